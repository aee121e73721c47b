"""What is done with single networks, by any crew: candidates of a search, finalists and the supernet itself.

Only numpy crosses from driver to worker and back. A result depends on its own seed and on the one thread it
is computed with, not on who works beside it.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparsenas import checkpoint, train
from sparsenas.cluster import spool
from sparsenas.cluster.crew import Alone, Crew, Job
from sparsenas.cluster.join import Joined, check_room, environment_of_workers, joined
from sparsenas.cluster.settings import ClusterSettings, parse_resources
from sparsenas.cluster.work import Arrays, Check, Worked
from sparsenas.data import Split
from sparsenas.errors import UserError
from sparsenas.latency.library import cache_folder
from sparsenas.nn.pure import Variables
from sparsenas.space import Arch, Space
from sparsenas.supernet import supernet
from sparsenas.train import CandidateSettings, NetworkSettings, SupernetSettings
from sparsenas.train.loop import Report
from sparsenas.trials import TrialLog, candidate_id

# A supernet's training goes on from its checkpoints, so that only a node that is gone ends an attempt.
_SECONDS_FOR_SUPERNET = 30 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network to train: an architecture, or its dense twin."""

    arch: Arch
    dense: bool = False

    def space(self, space: Space) -> Space:
        """Returns the space of this network alone."""
        return space.fixed(self.arch, dense=self.dense)

    def name(self, space: Space) -> str:
        """Returns a name that is also a file's."""
        return space.text(self.arch) + ("-dense" if self.dense else "")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A trained candidate.

    Attributes:
        arrays: by name.
        accuracy: on the validation images.
        training: how it went: rows of a step and numbers by name; none where that is not known any more.
    """

    candidate: Candidate
    arrays: dict[str, np.ndarray]
    accuracy: float
    training: Sequence[tuple[int, Mapping[str, float]]] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """What all that is trained in a run has in common; workers read it where it was put once.

    Attributes:
        candidate: of those that a search evaluates by training.
        network: of finalists.
        run: the run's folder, for checkpoints of the supernet.
    """

    space: Space
    training: Split
    validation: Split
    candidate: CandidateSettings
    network: NetworkSettings
    supernet: SupernetSettings
    seed: int
    run: Path

    @property
    def bytes(self) -> int:
        """How large the images are."""
        return self.training.images.nbytes + self.validation.images.nbytes

    def digest(self) -> str:
        """Returns a hash of the images and labels."""
        found = hashlib.sha256()
        for split in (self.training, self.validation):
            for array in (split.images, split.labels):
                found.update(np.ascontiguousarray(array))
        return found.hexdigest()


@contextlib.contextmanager
def crew(context: Context, *, log: TrialLog, settings: ClusterSettings) -> Iterator[Crew]:
    """Gives who works: this process alone for 0 workers, else Ray, which it starts or joins and leaves again.

    Open it before JAX computes anything in this process.
    """
    if settings.workers == 0:
        yield Alone(evaluate, context, log=log, run=context.run, settings=settings)
        return
    with joined(settings, cache=cache_folder(), shared_bytes=context.bytes) as place:
        # Imports Ray, which reads its variables then.
        from sparsenas.cluster.pool import Pool

        yield Pool(place, evaluate, context, log=log, run=context.run, settings=settings)


@contextlib.contextmanager
def crew_for_supernet(context: Context, *, log: TrialLog, settings: ClusterSettings) -> Iterator[Crew]:
    """Gives who trains the supernet, as a task with resources of its own; inside `crew` with Ray alone."""
    from sparsenas.cluster.pool import Pool

    resources = parse_resources(settings.resources_for_supernet)
    check_room(resources, who="the supernet", option="--resources-for-supernet")
    yield Pool(
        Joined(workers=1, resources=resources, is_local=False),
        evaluate,
        context,
        log=log,
        run=context.run,
        settings=dataclasses.replace(settings, deadline=_SECONDS_FOR_SUPERNET),
        environment=environment_of_workers(resources),
    )


def candidate_spec(context: Context, arch: Arch, *, data: str) -> dict[str, Any]:
    """Returns all that determines what training a candidate of a search finds.

    Args:
        data: digest of the images.
    """
    return {
        "kind": "candidate",
        "arch": context.space.text(arch),
        "space": context.space.fingerprint(),
        "data": data,
        "training": dataclasses.asdict(context.candidate),
        "seed": context.seed,
    }


def evaluate(
    context: Context, spec: Mapping[str, Any], start: Arrays | None, parts: int, check: Check
) -> Worked:
    """Does what a spec asks for; see `sparsenas.cluster.work.Evaluate`."""
    match spec["kind"]:
        case "candidate":
            return _evaluate_candidate(context, spec, start, parts, check)
        case "finalist":
            candidate = Candidate(arch=context.space.parse(spec["arch"]), dense=spec["dense"])
            fixed = candidate.space(context.space)
            training = []

            def report(done: int, total: int, metrics: Mapping[str, float]) -> None:
                training.append((done, metrics))
                check()

            variables = train.train_network(
                fixed, context.training, context.network, seed=context.seed, report=report
            )
            accuracy = train.accuracy(supernet(fixed), variables, context.validation)
            return Worked({"accuracy": accuracy}, checkpoint.to_arrays(variables), training)
        case "supernet":
            return Worked({}, checkpoint.to_arrays(train_supernet(context)))
        case other:
            raise ValueError(f"A spec's kind is candidate, finalist or supernet, found {other!r}.")


def _evaluate_candidate(
    context: Context, spec: Mapping[str, Any], start: Arrays | None, parts: int, check: Check
) -> Worked:
    space, rung = context.space, spec["rung"]
    arch = space.parse(spec["arch"])
    if start is not None:
        like = supernet(space).init(np.random.default_rng(0))
        start = checkpoint.from_arrays(like, start, source="the rung below")
    variables = train.train_candidate(
        space,
        arch,
        context.training,
        context.candidate,
        seed=context.seed,
        rung=rung,
        start=start,
        parts=parts,
        report=lambda done, total, metrics: check(),
    )
    accuracy = train.candidate_accuracy(
        space, arch, variables, context.validation, context.candidate, rung=rung
    )
    goes_on = rung + 1 < context.candidate.rungs
    return Worked({"accuracy": accuracy}, checkpoint.to_arrays(variables) if goes_on else None)


def train_candidates(
    context: Context, crew: Crew, candidates: Sequence[Candidate], *, data: str
) -> Iterator[Trained]:
    """Yields finalists as they finish training from scratch; what is trained already comes from the folder.

    Raises:
        UserError: where one was given up.
    """
    space = context.space
    jobs: dict[str, Candidate] = {}
    for candidate in candidates:
        spec = {
            "kind": "finalist",
            "arch": space.text(candidate.arch),
            "dense": candidate.dense,
            "space": space.fingerprint(),
            "data": data,
            "training": dataclasses.asdict(context.network),
            "seed": context.seed,
        }
        job = Job(candidate=candidate_id(spec), rung=0, spec=spec)
        if job.candidate not in jobs:
            jobs[job.candidate] = candidate
            crew.submit(job)
    while jobs:
        for one in crew.finished():
            candidate = jobs.pop(one.job.candidate)
            if one.metrics is None:
                raise UserError(f"Finalist {candidate.name(space)} cannot be trained: {one.error}.")
            arrays = spool.load_weights(context.run, one.job.candidate, 0)
            record = spool.read(spool.place(context.run, one.job.candidate, 0)) or {}
            yield Trained(
                candidate=candidate,
                arrays=arrays,
                accuracy=one.metrics["accuracy"],
                training=[(step, numbers) for step, numbers in record.get("training", ())],
            )


def train_supernet(context: Context, *, report: Report | None = None) -> Variables:
    """Trains the supernet, or goes on with a training that was stopped, on this machine or another."""
    space = context.space
    keeper = train.supernet_keeper(
        context.run / "checkpoints" / "supernet",
        space,
        context.training,
        context.supernet,
        seed=context.seed,
    )
    return train.train_supernet(
        supernet(space),
        space,
        context.training,
        context.supernet,
        seed=context.seed,
        report=report,
        keeper=keeper,
    )


def train_supernet_there(context: Context, crew: Crew, *, data: str) -> Iterator[Variables | None]:
    """Trains the supernet as a task of a crew; yields None while it is under way, its variables at the end.

    Raises:
        UserError: where it was given up.
    """
    spec = {
        "kind": "supernet",
        "space": context.space.fingerprint(),
        "data": data,
        "training": dataclasses.asdict(context.supernet),
        "seed": context.seed,
    }
    crew.submit(Job(candidate=candidate_id(spec), rung=0, spec=spec))
    while not (found := crew.finished()):
        yield None
    (one,) = found
    if one.error is not None:
        raise UserError(f"The supernet cannot be trained: {one.error}.")
    like = supernet(context.space).init(np.random.default_rng(context.seed))
    arrays = spool.load_weights(context.run, one.job.candidate, 0)
    yield checkpoint.from_arrays(like, arrays, source="the trained supernet")
