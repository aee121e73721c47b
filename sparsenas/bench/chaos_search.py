"""The search that `sparsenas bench chaos` disturbs: small trainings, as a process that can be killed.

Run as `python -m sparsenas.bench.chaos_search FOLDER CLUSTER WORKERS CANDIDATES SEED STEPS DEADLINE`; CLUSTER
is HOST:PORT, and WORKERS 0 for no cluster at all. What is there of an earlier start is not done again.
"""

import sys
from pathlib import Path

from sparsenas.builder import Builder
from sparsenas.candidates import Context, candidate_spec, crew
from sparsenas.cluster.settings import ClusterSettings
from sparsenas.data import load
from sparsenas.errors import UserError
from sparsenas.search_ahead import search_ahead
from sparsenas.space import Space
from sparsenas.sparsity.patterns import Sparse
from sparsenas.strategies.evolution import regularized_evolution
from sparsenas.strategies.halving import Schedule
from sparsenas.train import CandidateSettings, NetworkSettings, SupernetSettings
from sparsenas.trials import TrialLog

AHEAD = 8
# A candidate that somebody kills again and again is no poison here.
_ATTEMPTS = 1000


def space() -> Space:
    """Returns a space of 8,000 networks for images of 8 x 8 pixels."""
    net = Builder("chaos", image=(8, 8, 3), classes=10)
    x = net.conv_hwc("stem", net.image, 8, stride=2, activation="relu6")
    for i in range(3):
        width = net.choice(f"width{i}", (8, 12, 16, 24))
        zeros = net.choice(f"sparsity{i}", (Sparse(0.3), Sparse(0.5), Sparse(0.7), Sparse(0.8), Sparse(0.9)))
        x = net.conv1x1(f"mix{i}", x, width, sparsity=zeros, activation="relu6")
    return net.classify(x)


def main(
    folder: Path, cluster: str, workers: int, candidates: int, seed: int, steps: int, deadline: float
) -> None:
    data = load("digits", size=(8, 8), seed=seed)
    context = Context(
        space=space(),
        training=data.train,
        validation=data.validation,
        candidate=CandidateSettings(steps=steps, batch=32, rungs=2, reduction=4),
        network=NetworkSettings(),
        supernet=SupernetSettings(),
        seed=seed,
        run=folder,
    )
    digest = context.digest()
    settings = ClusterSettings(workers=workers, cluster=cluster, deadline=deadline, attempts=_ATTEMPTS)
    log = TrialLog(folder / "trials.sqlite")
    with crew(context, log=log, settings=settings) as workforce:
        for _ in search_ahead(
            context.space,
            regularized_evolution(context.space, population=16, tournament=4),
            lambda metrics: metrics["accuracy"],
            workforce,
            lambda arch: candidate_spec(context, arch, data=digest),
            log,
            trials=candidates,
            ahead=AHEAD,
            seed=seed,
            plan=Schedule(context.candidate.steps_of_rungs, context.candidate.reduction),
        ):
            pass
    log.close()


if __name__ == "__main__":
    where, address, *numbers, limit = sys.argv[1:]
    try:
        main(Path(where), address, *map(int, numbers), float(limit))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
