"""A crew of Ray tasks: each attempt with a deadline of its own, on nodes that come, die and freeze.

Ray itself repeats nothing. It is given as many tasks as there is room for, and a spare for each, with which
a worker goes on while this process still writes what the last one found. A task says at once where it runs,
and a deadline counts from there. Where it then lets its deadline pass, its node is passed over until it is
heard of again, and the candidate given to another.
"""

import contextlib
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sparsenas.cluster import spool, work
from sparsenas.cluster.crew import Finished, Job, Ledger
from sparsenas.cluster.fate import CRASHED, ERROR, LOST, MEMORY, OVERDUE
from sparsenas.cluster.join import Joined
from sparsenas.cluster.metrics import Metrics
from sparsenas.cluster.points import reach
from sparsenas.cluster.settings import ClusterSettings
from sparsenas.cluster.version import differences, version
from sparsenas.errors import UserError
from sparsenas.progress import Status
from sparsenas.trials import TrialLog

_SECONDS_OF_A_LOOK = 1.0
_SECONDS_BETWEEN_COUNTS = 2.0
# For the first node to say its version, and for the others then: one may be frozen.
_SECONDS_TO_CHECK = 60
_SECONDS_FOR_OTHERS = 5
_SECONDS_TO_FETCH = 60
# For what is ready already: longer only where it was lost.
_SECONDS_FOR_A_WORD = 10
# Where no deadline is asked for.
_LEAST_DEADLINE = 120.0
_FIRST_DEADLINE = 3600.0
_TIMES_THE_LONGEST = 10
# Until an attempt says where it runs: a worker has to start.
_LEAST_TO_BEGIN = 60.0
_MOST_TO_BEGIN = 120.0
# The label of nodes that an autoscaler or an operator has started.
_NODE_GROUP = "ray.io/node-group"


@dataclass(eq=False)
class _Running:
    """An attempt that Ray has.

    Attributes:
        since: when there was room for it; from when it said where it runs, that.
        is_late: whether its deadline has passed, so that nobody waits for it any more.
    """

    job: Job
    number: int
    since: float
    node: str | None = None
    host: str = ""
    pid: int = 0
    is_late: bool = False


class Pool:
    """A crew of Ray's workers."""

    def __init__(
        self,
        joined: Joined,
        evaluate: work.Evaluate,
        context: Any,
        *,
        log: TrialLog,
        run: Path,
        settings: ClusterSettings,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Puts the context where all workers read it, and makes sure that they have this version of the
        package.

        Args:
            environment: variables of workers; those that Ray was started with where left out.

        Raises:
            UserError: where a node has another one.
        """
        self._notices: list[str] = []
        self._joined, self._settings = joined, settings
        self._ledger = Ledger(log, run, settings)
        self._version, self._identity = version(), spool.identify(run)
        self._check_versions()
        self._context = ray.put(context)
        self._evaluate = evaluate
        how = {} if environment is None else {"runtime_env": {"env_vars": environment}}
        self._task = ray.remote(max_retries=0, num_returns="streaming", max_calls=0, **how)(work.attempt)
        self._queue: deque[Job] = deque()
        self._running: dict[Any, _Running] = {}
        self._suspects: dict[str, str] = {}
        self._calls: dict[Any, str] = {}
        self._refused: set[str] = set()
        self._longest = 0.0
        self._alive: list[dict[str, Any]] = []
        self._room = 0
        self._counted, self._exported = 0.0, 0.0
        self._metrics = Metrics()

    def submit(self, job: Job) -> None:
        self._queue.append(job)

    def finished(self) -> list[Finished]:
        self._export()
        self._ask_suspects()
        found = self._pump()
        if found or not self._running:
            if not found and self._queue:
                time.sleep(_SECONDS_OF_A_LOOK)  # No node has room just now.
            return found
        ready, _ = ray.wait(
            list(self._running),
            num_returns=len(self._running),
            timeout=0,
        )
        if not ready:
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=_SECONDS_OF_A_LOOK)
        for stream in ready:
            one = self._heard(stream, self._running[stream])
            if one is not None:
                found.append(one)
        self._pass_deadlines()
        return found

    def status(self) -> Status:
        notices, self._notices = self._notices, []
        return self._counts(suspects=sorted(self._suspects.values()), notices=notices)

    def _counts(self, **said: Sequence[str]) -> Status:
        spares = self._spares()
        active = [one for one in self._active() if one not in spares]
        return self._ledger.status(
            queued=len(self._queue) + len(spares),
            running=Counter(one.host or "starting" for one in active),
            **said,
        )

    def _export(self) -> None:
        if time.monotonic() - self._exported > _SECONDS_BETWEEN_COUNTS:
            self._metrics.update(self._counts())
            self._exported = time.monotonic()

    def _active(self) -> list[_Running]:
        """Returns the attempts that are waited for, in the order in which Ray got them."""
        return [one for one in self._running.values() if not one.is_late]

    def _spares(self) -> set[_Running]:
        """Returns the attempts that there is no room for until others end."""
        begun = sum(one.node is not None for one in self._active())
        starting = max(min(self._capacity(), self._room) - begun, 0)
        return set([one for one in self._active() if one.node is None][starting:])

    def _pump(self) -> list[Finished]:
        """Gives Ray as much as there is room for, and spares; returns what needs no work."""
        found = []
        active = len(self._active())
        capacity = self._capacity()
        most = capacity + self._most_spares(capacity)
        while self._queue and active < most:
            job = self._queue.popleft()
            if (known := self._ledger.known(job)) is not None:
                found.append(known)
                continue
            begun = self._ledger.begin(job, "")
            if isinstance(begun, Finished):
                found.append(begun)
                continue
            number, parts = begun
            task = work.Task(
                candidate=job.candidate,
                rung=job.rung,
                spec=job.spec,
                parts=parts,
                run=self._ledger.run.absolute(),
                identity=self._identity,
                version=self._version,
            )
            options = self._joined.resources.options()
            if avoided := self._suspects.keys() | self._refused:
                options["label_selector"] = {"ray.io/node-id": f"!in({','.join(sorted(avoided))})"}
            try:
                stream = self._task.options(**options).remote(
                    self._evaluate, self._context, self._ledger.start(job), task
                )
            except (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError):
                self._ledger.end(job, number, node="", outcome=LOST)
                raise UserError(
                    "Ray's object store is full; nothing new is proposed. Free memory or disk on the "
                    "nodes and go on with --resume."
                ) from None
            self._running[stream] = _Running(job, number, time.monotonic())
            active += 1
            reach("submitted", f"{job.candidate}-{job.rung}")
        return found

    def _capacity(self) -> int:
        """Returns how many attempts there may be at once; none where no node is to be trusted."""
        if time.monotonic() - self._counted > _SECONDS_BETWEEN_COUNTS:
            self._alive = [node for node in ray.nodes() if node["Alive"]]
            self._counted = time.monotonic()
        self._room = sum(
            self._room_on(node)
            for node in self._alive
            if node["NodeID"] not in self._suspects and node["NodeID"] not in self._refused
        )
        if self._joined.workers is None:
            return self._room
        # More than there is room for makes a cluster grow that can.
        return self._joined.workers if self._room or not self._suspects else 0

    def _most_spares(self, capacity: int) -> int:
        """Returns how many attempts Ray may have beside those that there may be at once.

        It starts whatever it has room for, so that there are spares only where the others take all of it; and
        a cluster that grows with what is asked for would grow for them.
        """
        grows = any(_NODE_GROUP in node["Labels"] for node in self._alive)
        return 0 if grows or capacity != self._room else capacity

    def _room_on(self, node: dict[str, Any]) -> int:
        """Returns how many candidates fit on a node."""
        needed = self._joined.resources.needed.items()
        return int(min(node["Resources"].get(name, 0) / amount for name, amount in needed) + 1e-9)

    def _heard(self, stream: Any, one: _Running) -> Finished | None:
        """Takes the next word of an attempt."""
        try:
            # `next` would wait for ever where the end of a stream was lost with its node.
            word = stream._next_sync(timeout_s=_SECONDS_FOR_A_WORD)
            if word.is_nil():
                return self._ended(stream, one, LOST)
            said = ray.get(word, timeout=_SECONDS_TO_FETCH)
        except StopIteration:
            # Only after a result, and then nobody listens any more.
            del self._running[stream]
            return None
        except ray.exceptions.GetTimeoutError:
            return self._ended(stream, one, LOST)
        except ray.exceptions.RayError as error:
            return self._ended(stream, one, self._outcome(error, one))
        self._suspects.pop(said["node"] if one.node is None else one.node, None)
        if one.node is None:
            one.node, one.host, one.pid = said["node"], said["host"], said["pid"]
            one.since = time.monotonic()
            return None
        if "metrics" in said:
            del self._running[stream]
            if one.is_late and self._ledger.log.result(one.job.candidate, one.job.rung) is not None:
                return None
            # One that came late is not asked for again: who is next in the queue finds its result.
            self._longest = max(self._longest, time.monotonic() - one.since)
            found = self._ledger.collect(one.job, one.number, said)
            return None if one.is_late else found
        if said["kind"] == "version":
            self._refuse(one, said["error"])
        return self._ended(stream, one, self._ledger.outcome(said))

    def _ended(self, stream: Any, one: _Running, outcome: str) -> None:
        """Writes that an attempt ended without a result, and queues another one."""
        del self._running[stream]
        if not one.is_late:
            self._ledger.end(one.job, one.number, node=one.host, outcome=outcome)
            self._metrics.ended(outcome)
            self._queue.appendleft(one.job)

    def _outcome(self, error: Exception, one: _Running) -> str:
        match error:
            case ray.exceptions.OutOfMemoryError():
                return MEMORY
            case ray.exceptions.WorkerCrashedError():
                # The last word of a node that dies may be that its workers did.
                return LOST if one.node is not None and not self._is_alive(one.node) else CRASHED
            case ray.exceptions.RuntimeEnvSetupError():
                raise UserError(f"Workers do not start: {work.described(error)}.") from None
            case ray.exceptions.ObjectStoreFullError() | ray.exceptions.OutOfDiskError():
                raise UserError(
                    "Ray's object store is full; nothing new is proposed. Free memory or disk on the "
                    "nodes and go on with --resume."
                ) from None
            case ray.exceptions.RayTaskError():
                return ERROR + work.described(error)
        return LOST

    def _pass_deadlines(self) -> None:
        now, spares = time.monotonic(), self._spares()
        for stream, one in list(self._running.items()):
            if one in spares:
                one.since = now
                continue
            limit = self._deadline()
            if one.node is None:
                limit = min(max(limit, _LEAST_TO_BEGIN), _MOST_TO_BEGIN)
            if one.is_late or now - one.since < limit:
                continue
            one.is_late = True
            outcome = LOST if one.node is None else OVERDUE
            self._ledger.end(one.job, one.number, node=one.host, outcome=outcome)
            self._metrics.ended(outcome)
            if one.node is not None:
                self._suspects[one.node] = one.host
                self._notices.append(
                    f"An attempt on {one.host} passed its deadline of {limit:.0f} s; the candidate is "
                    "given to another node."
                )
            with contextlib.suppress(ray.exceptions.RayError, ValueError, TypeError):
                ray.cancel(stream, force=True)
            self._queue.appendleft(one.job)

    def _ask_suspects(self) -> None:
        """Trusts nodes again that answer; those that are dead are nobody's suspects."""
        for node in self._suspects.keys() - set(self._calls.values()):
            where = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
            self._calls[_version_there.options(scheduling_strategy=where).remote()] = node
        ready, _ = (
            ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0) if self._calls else ([], [])
        )
        for call in ready:
            node = self._calls.pop(call)
            with contextlib.suppress(ray.exceptions.RayError):
                ray.get(call, timeout=_SECONDS_FOR_A_WORD)
            self._suspects.pop(node, None)

    def _deadline(self) -> float:
        if self._settings.deadline is not None:
            return self._settings.deadline
        if not self._longest:
            return _FIRST_DEADLINE
        return max(_LEAST_DEADLINE, _TIMES_THE_LONGEST * self._longest)

    def _is_alive(self, node: str) -> bool:
        return any(found["NodeID"] == node and found["Alive"] for found in ray.nodes())

    def _refuse(self, one: _Running, differing: str) -> None:
        self._refused.add(one.node)
        self._notices.append(f"Node {one.host} gets no work: it has {differing}.")
        able = [node["NodeID"] for node in ray.nodes() if node["Alive"] and self._room_on(node)]
        if self._refused.issuperset(able):
            raise UserError(f"No node has this version of the package: {one.host} has {differing}.")

    def _check_versions(self) -> None:
        """Asks every node for its version, before any trial."""
        nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
        asked = {}
        for node in nodes:
            where = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
            found = _version_there.options(scheduling_strategy=where).remote()
            asked[found] = node
        ray.wait(list(asked), num_returns=1, timeout=_SECONDS_TO_CHECK)
        ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_SECONDS_FOR_OTHERS)
        # Who does not answer now is asked again with the first candidate.
        wrong = list(self._wrong(ready, asked, nodes))
        if wrong:
            raise UserError(
                f"Nodes of the cluster have other versions than this process: {'; '.join(wrong)}. "
                "Install the same wheel everywhere."
            )

    def _wrong(self, ready: list, asked: dict, nodes: dict[str, str]) -> Iterator[str]:
        for found in ready:
            try:
                said = ray.get(found, timeout=_SECONDS_FOR_A_WORD)
            except ray.exceptions.RayTaskError as error:
                yield f"{nodes[asked[found]]} has none ({work.described(error.cause or error)})"
                continue
            except ray.exceptions.RayError:
                continue
            if (differing := differences(self._version, said)) is not None:
                yield f"{nodes[asked[found]]} has {differing}"


def _remote_version() -> Any:
    # Defined here so that it travels as code: a node without the package, or with an older one, can still
    # answer.
    def version_there() -> dict[str, str]:
        from sparsenas.cluster.version import version

        return version()

    return ray.remote(num_cpus=0, max_retries=0)(version_there)


_version_there = _remote_version()
