"""Disturbs a search on a real cluster of this machine, and compares what is left with an undisturbed one.

A monkey kills workers, drivers and nodes with SIGKILL, freezes nodes, fills the disk of the results, and lets
processes exit at every labelled moment of a commit. What processes did is read from the trace that they leave
(`sparsenas.cluster.points`); what is counted as a kill is a process that was there and is gone.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparsenas import __version__, native
from sparsenas.cluster.points import AT_THE_CONTROLLER, ON_A_WORKER
from sparsenas.errors import UserError
from sparsenas.progress import Update
from sparsenas.trials import Row, read_rows

# Longer than the deadline, and shorter than what Ray takes for dead.
_SECONDS_FROZEN = 40
_DEADLINE = 25
_DISK_BYTES = 8 * 2**20
_SECONDS_WITHOUT_PROGRESS = 600
# Of one measurement of throughput these many candidates at the start do not count: workers start with them.
_WARM_UP = 6

_PARENT = re.compile(r"^PPid:\s+(\d+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class ChaosSettings:
    """How a search is disturbed.

    Attributes:
        candidates: proposals of the search, of one seed.
        kills: of workers.
        driver_kills, node_kills, frozen: of drivers and nodes; nodes that freeze for a while.
        exits: whether processes exit at every labelled moment, too.
        full_disk: whether the disk of the results is filled once, where a small one can be mounted.
        scaling: whether one worker is compared with two; takes two more searches.
        steps: of the last rung; the first one has a quarter.
        seed: of the search and of the monkey.
    """

    candidates: int = 200
    kills: int = 300
    driver_kills: int = 30
    node_kills: int = 10
    frozen: int = 3
    exits: bool = True
    full_disk: bool = True
    scaling: bool = True
    steps: int = 1200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.candidates < 2 * _WARM_UP:
            raise UserError(f"`candidates` must be at least {2 * _WARM_UP}, found {self.candidates}.")
        for name in ("kills", "driver_kills", "node_kills", "frozen"):
            if getattr(self, name) < 0:
                raise UserError(f"`{name}` must be 0 or more, found {getattr(self, name)}.")


@dataclass
class _Counts:
    worker_kills: int = 0
    driver_kills: int = 0
    node_kills: int = 0
    frozen_nodes: int = 0
    full_disks: int = 0
    points: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Event:
    label: str
    what: str
    pid: int
    at: float


def bench_chaos(
    settings: ChaosSettings,
    *,
    report: Update = lambda done, total, note: None,
    note: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Returns the figures of `sparsenas bench chaos`.

    `lost` counts proposals without a result, and results that a worker has committed and the log has not;
    `duplicated` candidates that were trained to the end again after their result was committed.
    """
    if not Path("/proc/self/status").exists():
        raise UserError("The monkey finds its victims in /proc, which this system does not have; use Linux.")
    with tempfile.TemporaryDirectory(prefix="sparsenas-chaos-") as name, _nodes(Path(name)) as nodes:
        place = Path(name)
        one = _undisturbed(place / "one", nodes, settings, 1) if settings.scaling else None
        two = _undisturbed(place / "two", nodes, settings, 2)
        note(f"undisturbed: {settings.candidates} candidates in {two.seconds:.0f} s")
        monkey = _Monkey(place / "disturbed", nodes, settings, report, note)
        monkey.run()
        rows, trace = read_rows(monkey.folder / "trials.sqlite"), _trace(monkey.points)
        population = [_facts(row) for row in rows]
        scaling = one.seconds_each / two.seconds_each if one is not None else None
        result = {
            "machine": native.cpu(),
            "version": __version__,
            "candidates": len(rows),
            "worker_kills": monkey.counts.worker_kills,
            "driver_kills": monkey.counts.driver_kills,
            "node_kills": monkey.counts.node_kills,
            "frozen_nodes": monkey.counts.frozen_nodes,
            "commit_points": len(monkey.counts.points),
            "lost": _lost(rows, trace),
            "duplicated": _duplicated(trace),
            "identical_population": population == two.population
            and (one is None or one.population == two.population),
            "resume_seconds": monkey.resume_seconds(trace),
            "overhead_ms": None if one is None else one.overhead_ms,
            "scaling_2_workers": scaling,
        }
        if monkey.counts.full_disks:
            note("the disk of the results was full once; the search said so, stopped and went on")
        return result


@dataclass(frozen=True)
class _Undisturbed:
    population: list[tuple]
    seconds: float
    seconds_each: float
    overhead_ms: float


def _undisturbed(folder: Path, nodes: "_Nodes", settings: ChaosSettings, workers: int) -> _Undisturbed:
    points = folder.with_name(f"{folder.name}.points")
    began = time.time()
    process = _start(folder, points, nodes, settings, workers)
    if process.wait():
        raise RuntimeError(f"The undisturbed search failed:\n{_said(folder)}")
    seconds = time.time() - began
    trace = _trace(points)
    recorded = sorted(event.at for event in trace if event.label == "recorded")
    since, until = recorded[_WARM_UP], recorded[-1]
    trained = [event for event in trace if event.label == "trained" and since < event.at <= until]
    begun = {event.what: event.at for event in trace if event.label == "begun"}
    # Of one worker, which does one after the other: what is not training is overhead.
    training = sum(event.at - begun[event.what] for event in trained)
    return _Undisturbed(
        population=[_facts(row) for row in read_rows(folder / "trials.sqlite")],
        seconds=seconds,
        seconds_each=(until - since) / (len(recorded) - 1 - _WARM_UP),
        overhead_ms=1e3 * (until - since - training) / max(len(trained), 1),
    )


class _Nodes:
    """A head and two nodes with one core each, in processes of this machine."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 * 2**20}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = self._cluster.address
        self.workers = [self._add(), self._add()]

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)

    def processes(self, node: Any) -> list[int]:
        """Returns the processes of a node: its raylet and all below it."""
        raylet = node.all_processes["raylet"][0].process.pid
        return [raylet, *_below(raylet)]

    def kill(self, node: Any) -> None:
        """Kills all of a node and starts another one in its place."""
        below = self.processes(node)[1:]
        self._cluster.remove_node(node, allow_graceful=False)
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.workers.remove(node)
        self.workers.append(self._add())

    def close(self) -> None:
        self._cluster.shutdown()


@contextlib.contextmanager
def _nodes(folder: Path) -> Iterator[_Nodes]:
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(random.SystemRandom().randbytes(32).hex())
    variables = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_worker_niceness": "0",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        nodes = _Nodes()
        try:
            yield nodes
        finally:
            nodes.close()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class _Monkey:
    """Disturbs one search until it ends."""

    def __init__(
        self,
        folder: Path,
        nodes: _Nodes,
        settings: ChaosSettings,
        report: Update,
        note: Callable[[str], None],
    ) -> None:
        self.folder, self.points = folder, folder.with_name(f"{folder.name}.points")
        self.counts = _Counts()
        self._nodes, self._settings, self._report, self._note = nodes, settings, report, note
        self._rng = random.Random(settings.seed)
        self._launches: list[tuple[int, float]] = []
        self._frozen: list[tuple[float, list[int]]] = []
        self._ballast = folder / "results" / "ballast"
        self._actions = self._planned()
        self._process: subprocess.Popen | None = None

    def run(self) -> None:
        """Starts the search again and again until it ends by itself."""
        total, done, moved = len(self._actions), 0, time.monotonic()
        (self.folder / "results").mkdir(parents=True)
        mounted = self._settings.full_disk and _mounted(self.folder / "results")
        if self._settings.full_disk and not mounted:
            self._note("no small disk can be mounted here: the disk is not filled")
        try:
            self._launch()
            while True:
                self._thaw(now=False)
                code = self._process.poll()
                if code == 0:
                    break
                if code is not None:
                    self._started_again(code)
                found = self._finished()
                if found > done:
                    done, moved = found, time.monotonic()
                if time.monotonic() - moved > _SECONDS_WITHOUT_PROGRESS:
                    raise RuntimeError(f"The search does not go on:\n{_said(self.folder)}")
                # Evenly over the search, that no candidate is disturbed for ever.
                due = (total - len(self._actions)) * self._settings.candidates / (total + 1)
                if self._actions and done >= due:
                    self._act(self._actions.pop(), mounted)
                note = f"{self._settings.candidates - done} candidates to go"
                self._report(total - len(self._actions), total, note)
                time.sleep(0.1)
        finally:
            self._thaw(now=True)
            self._kill_driver()
            if mounted:
                self._keep_results()

    def resume_seconds(self, trace: list[_Event]) -> float | None:
        """Returns the longest time from the start of a driver to its first attempt, less joining Ray."""
        found = []
        for pid, launched in self._launches[1:]:
            first: dict[str, float] = {}
            for event in trace:
                if event.pid == pid:
                    first.setdefault(event.label, event.at)
            if {"joins", "joined", "attempted"} <= first.keys():
                found.append(first["attempted"] - launched - (first["joined"] - first["joins"]))
        return max(found, default=None)

    def _planned(self) -> list[str]:
        settings = self._settings
        actions = ["worker"] * settings.kills + ["driver"] * settings.driver_kills
        actions += ["node"] * settings.node_kills + ["freeze"] * settings.frozen
        if settings.exits:
            actions += [f"exit-{label}" for label in (*ON_A_WORKER, *AT_THE_CONTROLLER)]
        if settings.full_disk:
            actions.append("disk")
        self._rng.shuffle(actions)
        return actions

    def _act(self, action: str, mounted: bool) -> None:
        match action:
            case "worker":
                self._kill_worker()
            case "driver":
                self._await_work()
                if self._kill_driver():
                    self.counts.driver_kills += 1
            case "node":
                self._nodes.kill(self._rng.choice(self._nodes.workers))
                self.counts.node_kills += 1
            case "freeze":
                self._await_work()
                pids = self._nodes.processes(self._rng.choice(self._nodes.workers))
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGSTOP)
                self._frozen.append((time.monotonic() + _SECONDS_FROZEN, pids))
                self.counts.frozen_nodes += 1
            case "disk":
                if mounted:
                    self._fill_disk()
            case exit_at:
                self._exit_at(exit_at)

    def _launch(self) -> None:
        at = time.time()
        self._process = _start(self.folder, self.points, self._nodes, self._settings, 2)
        self._launches.append((self._process.pid, at))

    def _started_again(self, code: int) -> None:
        # 2 is the search's own word: a full disk, or a predecessor that is still ending.
        if code not in (2, 9, -signal.SIGKILL):
            raise RuntimeError(f"The search failed with code {code}:\n{_said(self.folder)}")
        if self._ballast.exists():
            self._ballast.unlink()
            self.counts.full_disks += 1
        self._launch()

    def _await_work(self) -> None:
        """Waits until the driver that runs now has given somebody something to do."""
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            if any(e.label == "submitted" and e.pid == self._process.pid for e in _trace(self.points)):
                time.sleep(self._rng.uniform(0, 1))
                return
            time.sleep(0.1)

    def _kill_worker(self) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until and self._process.poll() is None:
            below = [pid for node in self._nodes.workers for pid in _below(self._nodes.processes(node)[0])]
            busy = [pid for pid in below if "attempt" in _command(pid) and _state(pid) not in "TZ"]
            if busy:
                time.sleep(self._rng.uniform(0, 0.3))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._rng.choice(busy), signal.SIGKILL)
                    self.counts.worker_kills += 1
                return
            time.sleep(0.05)

    def _kill_driver(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return False
        self._process.kill()
        self._process.wait()
        return True

    def _exit_at(self, action: str) -> None:
        path = self.points / action
        path.touch()
        until = time.monotonic() + 120
        while path.exists() and time.monotonic() < until:
            if (code := self._process.poll()) is not None:
                if code == 0:
                    break
                self._started_again(code)
            self._thaw(now=False)
            time.sleep(0.1)
        if path.exists():
            path.unlink(missing_ok=True)
        else:
            self.counts.points.append(action.removeprefix("exit-"))

    def _fill_disk(self) -> None:
        with contextlib.suppress(OSError), self._ballast.open("wb") as file:
            while True:
                file.write(b"\0" * 65536)
                file.flush()

    def _thaw(self, *, now: bool) -> None:
        for one in [one for one in self._frozen if now or time.monotonic() > one[0]]:
            for pid in one[1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self._frozen.remove(one)

    def _finished(self) -> int:
        with contextlib.suppress(UserError):
            return sum(row.trial.state != "open" for row in read_rows(self.folder / "trials.sqlite"))
        return 0

    def _keep_results(self) -> None:
        kept = self.folder / "kept"
        shutil.copytree(self.folder / "results", kept)
        subprocess.run(["umount", self.folder / "results"], check=False, capture_output=True)


def _start(
    folder: Path, points: Path, nodes: _Nodes, settings: ChaosSettings, workers: int
) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    points.mkdir(exist_ok=True)
    arguments = (folder, nodes.address, workers, settings.candidates, settings.seed, settings.steps)
    arguments += (_DEADLINE,)
    with (folder / "said").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "sparsenas.bench.chaos_search", *map(str, arguments)],
            env={**os.environ, "SPARSENAS_POINTS": str(points), "PJRT_NPROC": "1", "JAX_PLATFORMS": "cpu"},
            stdout=said,
            stderr=subprocess.STDOUT,
        )


def _said(folder: Path) -> str:
    return (folder / "said").read_text(errors="replace")[-3000:]


def _trace(points: Path) -> list[_Event]:
    try:
        lines = (points / "trace").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [
        _Event(label, what, int(pid), float(at)) for label, what, pid, at in (line.split() for line in lines)
    ]


def _facts(row: Row) -> tuple:
    """Returns what a run must have in common with another of the same seed."""
    trial = row.trial
    return trial.number, trial.arch, trial.rung, trial.metrics, trial.error, row.candidate


def _lost(rows: list[Row], trace: list[_Event]) -> int:
    known = {f"{row.candidate}-{row.trial.rung}" for row in rows if row.trial.metrics is not None}
    asked = {f"{row.candidate}-{row.trial.rung}" for row in rows}
    committed = {event.what for event in trace if event.label == "linked"}
    return len((asked | committed) - known)


def _duplicated(trace: list[_Event]) -> int:
    committed: set[str] = set()
    again: Counter[str] = Counter()
    for event in trace:
        if event.label == "trained" and event.what in committed:
            again[event.what] += 1
        elif event.label == "linked":
            committed.add(event.what)
    return len(again)


def _mounted(folder: Path) -> bool:
    """Mounts a small disk at a folder; returns whether that was possible."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", folder]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _below(root: int) -> list[int]:
    """Returns all processes below another one."""
    children = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                parent = _PARENT.search((entry / "status").read_text())
                children[int(parent[1]) if parent else 0].append(int(entry.name))
    found, todo = [], [root]
    while todo:
        todo.extend(new := children[todo.pop()])
        found.extend(new)
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
