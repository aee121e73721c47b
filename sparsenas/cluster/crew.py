"""Who evaluates candidates: what a search needs of them, and the one without Ray."""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sparsenas.cluster import spool, work
from sparsenas.cluster.fate import ERROR, HERE, LOST, MEMORY, REFUSED, fate
from sparsenas.cluster.points import reach
from sparsenas.cluster.settings import ClusterSettings
from sparsenas.errors import UserError
from sparsenas.progress import Status
from sparsenas.trials import TrialLog


@dataclass(frozen=True, kw_only=True)
class Job:
    """A candidate to evaluate.

    Attributes:
        spec: see `work.Task`; its hash is the id.
        start: rung of the same candidate whose arrays it starts from; None for none.
        beside: metrics that are known without work.
    """

    candidate: str
    rung: int
    spec: Mapping[str, Any]
    start: int | None = None
    beside: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A candidate with its result, or why it was given up; one of `metrics` and `error` is None."""

    job: Job
    metrics: dict[str, float] | None
    error: str | None


class Crew(Protocol):
    """Evaluates candidates, several at once."""

    def submit(self, job: Job) -> None:
        """Takes a candidate; what has a result already is only looked up."""

    def finished(self) -> list[Finished]:
        """Returns candidates that finished, after a second at the latest; none where all are still worked
        on."""

    def status(self) -> Status:
        """Says how it goes."""


@dataclass
class Ledger:
    """The controller's side of every attempt: what was written before it began, and when it ended.

    Raises:
        UserError: from all that writes, where the disk is full.
    """

    log: TrialLog
    run: Path
    settings: ClusterSettings
    done: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    repeated: int = 0
    times: deque[float] = field(default_factory=lambda: deque([time.monotonic()], maxlen=200))

    def known(self, job: Job) -> Finished | None:
        """Returns what was found about a candidate before, here or by a worker that nobody waited for."""
        found = self.log.result(job.candidate, job.rung)
        if found is not None:
            return Finished(job=job, metrics=found[0], error=found[1])
        record = spool.read(spool.place(self.run, job.candidate, job.rung))
        return None if record is None else self.collect(job, None, record)

    def begin(self, job: Job, node: str) -> tuple[int, int] | Finished:
        """Writes that an attempt begins; returns its number and parts, or that the candidate is given up."""
        outcomes = self.log.outcomes(job.candidate, job.rung)
        parts, given_up = fate(outcomes, attempts=self.settings.attempts)
        if given_up is not None:
            self.log.finish(job.candidate, job.rung, error=given_up)
            self.failed += 1
            self.times.append(time.monotonic())
            return Finished(job=job, metrics=None, error=given_up)
        self.repeated += bool(outcomes)
        number = self.log.begin(job.candidate, job.rung, node=node)
        reach("attempted", f"{job.candidate}-{job.rung}")
        return number, parts

    def end(self, job: Job, number: int, *, node: str, outcome: str) -> None:
        """Writes that an attempt ended without a result."""
        self.log.end(job.candidate, job.rung, number, node=node, outcome=outcome)

    def collect(self, job: Job, number: int | None, record: dict[str, Any]) -> Finished:
        """Writes a result, from a worker's record; arrays come along where it could not write them itself."""
        what = f"{job.candidate}-{job.rung}"
        reach("collected", what)
        record = dict(record)
        arrays, full, said = record.pop("arrays", None), record.pop("kind", None), record.pop("error", None)
        if arrays is not None:
            # First, as a higher rung starts from them.
            try:
                spool.commit(self.run, job.candidate, job.rung, record, arrays)
            except spool.DiskFull as error:
                raise _full(str(error)) from None
        metrics = {**job.beside, **record["metrics"]}
        self.log.finish(
            job.candidate,
            job.rung,
            metrics=metrics,
            node=record["node"],
            seconds=record["seconds"],
            attempt=number,
        )
        reach("recorded", what)
        self.done[record["node"]] += 1
        self.times.append(time.monotonic())
        if full is not None and arrays is None:
            raise _full(said)
        return Finished(job=job, metrics=metrics, error=None)

    def outcome(self, record: Mapping[str, Any]) -> str:
        """Returns what to write about an attempt whose record is no result."""
        match record["kind"]:
            case "memory":
                return MEMORY
            case "version":
                return LOST
            case "refused":
                return REFUSED + record["error"]
            case _:
                return ERROR + record["error"]

    def start(self, job: Job) -> dict[str, Any] | None:
        """Returns the arrays that a candidate starts from."""
        if job.start is None:
            return None
        return spool.load_weights(self.run, job.candidate, job.start)

    def status(
        self,
        *,
        queued: int,
        running: Mapping[str, int] | None = None,
        suspects: Sequence[str] = (),
        notices: Sequence[str] = (),
    ) -> Status:
        """Says how it goes."""
        span = max(time.monotonic() - self.times[0], 1e-9)
        return Status(
            queued=queued,
            running=running or {},
            done=dict(self.done),
            failed=self.failed,
            repeated=self.repeated,
            suspects=suspects,
            notices=notices,
            per_minute=60 * (len(self.times) - 1) / span,
        )


class Alone:
    """A crew of this process alone, for finding faults: no Ray, one candidate after the other."""

    def __init__(
        self, evaluate: work.Evaluate, context: Any, *, log: TrialLog, run: Path, settings: ClusterSettings
    ) -> None:
        self._evaluate, self._context = evaluate, context
        self._ledger = Ledger(log, run, settings)
        self._identity = spool.identify(run)
        self._queue: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        self._queue.append(job)

    def finished(self) -> list[Finished]:
        if not self._queue:
            return []
        job, ledger = self._queue.popleft(), self._ledger
        if (known := ledger.known(job)) is not None:
            return [known]
        while not isinstance(begun := ledger.begin(job, HERE), Finished):
            number, parts = begun
            task = work.Task(
                candidate=job.candidate,
                rung=job.rung,
                spec=job.spec,
                parts=parts,
                run=ledger.run,
                identity=self._identity,
                version={},
            )
            try:
                record = work.worked(self._evaluate, self._context, ledger.start(job), task, node=HERE)
            except KeyboardInterrupt:
                ledger.end(job, number, node=HERE, outcome=LOST)
                raise
            if "metrics" in record:
                return [ledger.collect(job, number, record)]
            ledger.end(job, number, node=HERE, outcome=ledger.outcome(record))
        return [begun]

    def status(self) -> Status:
        return self._ledger.status(queued=len(self._queue))


def _full(said: str) -> UserError:
    return UserError(f"{said}; nothing new is proposed. Free space and go on with --resume.")
