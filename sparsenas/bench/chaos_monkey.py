"""A monkey that disturbs one search until it ends: what it does, when, and how often it did it.

What is counted as a kill is a process that was there and is gone, as an exit one at its labelled moment, and
as a full disk a search that said so and ended.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sparsenas.bench.chaos_nodes import Nodes, below
from sparsenas.bench.chaos_trace import read_trace
from sparsenas.cluster.points import AT_THE_CONTROLLER, ON_A_WORKER
from sparsenas.errors import UserError
from sparsenas.progress import Update
from sparsenas.trial_list import count_states

# Of them, the first half does not count where time is measured.
LEAST_CANDIDATES = 12
# Longer than the deadline, and shorter than what Ray takes for dead.
SECONDS_AWAY = 45
DEADLINE = 30
_DISK_BYTES = 32 * 2**20
_SECONDS_WITHOUT_PROGRESS = 900
_SECONDS_TO_ACT = 180
# Looking for processes costs time that the search could use.
_SECONDS_OF_A_LOOK = 0.2
# The search's own word: a full disk, or a predecessor that is still ending.
_REFUSED = 2
_KILLED = (9, -signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class ChaosSettings:
    """How a search is disturbed.

    Attributes:
        candidates: proposals of the search, of one seed. Where that ends before all else is done, another
            one of the next seed goes on.
        kills: of workers.
        driver_kills, node_kills, frozen, cut: of drivers and nodes; nodes that freeze, or are cut off the
            network, for a while.
        exits: whether processes exit at every labelled moment, too.
        full_disk: whether the disk of the results is filled once, where a small one can be mounted.
        scaling: whether one worker is compared with two; takes one more search.
        steps: of the last rung; the first one has a quarter.
        seed: of the search and of the monkey.
    """

    candidates: int = 200
    kills: int = 300
    driver_kills: int = 30
    node_kills: int = 10
    frozen: int = 3
    cut: int = 2
    exits: bool = True
    full_disk: bool = True
    scaling: bool = True
    steps: int = 1200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.candidates < LEAST_CANDIDATES:
            raise UserError(f"`candidates` must be at least {LEAST_CANDIDATES}, found {self.candidates}.")
        if self.steps < 8:
            raise UserError(f"`steps` must be at least 8, found {self.steps}.")
        for name in ("kills", "driver_kills", "node_kills", "frozen", "cut"):
            if getattr(self, name) < 0:
                raise UserError(f"`{name}` must be 0 or more, found {getattr(self, name)}.")

    def actions(self) -> list[str]:
        """Returns what the monkey is to do, in the order in which it does it."""
        found = ["worker"] * self.kills + ["driver"] * self.driver_kills + ["node"] * self.node_kills
        found += ["freeze"] * self.frozen + ["cut"] * self.cut
        if self.exits:
            found += [f"exit-{label}" for label in (*ON_A_WORKER, *AT_THE_CONTROLLER)]
        if self.full_disk:
            found.append("disk")
        random.Random(self.seed).shuffle(found)
        return found


@dataclass
class Done:
    """What the monkey has done.

    Attributes:
        acted: how many actions were tried, without those that the end of the search forestalled.
        is_over: whether the search has ended.
        worker_kills, driver_kills, node_kills, frozen_nodes, cut_nodes, full_disks: how many came about.
        points: labels at which a process has exited.
        launches: process and time of each start of the search.
    """

    acted: int = 0
    is_over: bool = False
    worker_kills: int = 0
    driver_kills: int = 0
    node_kills: int = 0
    frozen_nodes: int = 0
    cut_nodes: int = 0
    full_disks: int = 0
    points: list[str] = field(default_factory=list)
    launches: list[tuple[int, float]] = field(default_factory=list)


class Monkey:
    """Disturbs one search until it ends.

    Args:
        folder: of the run; what an earlier monkey left there goes on.
        actions: what to do; the search may end before all is done.
        done: what that earlier one has done; it is counted on.
        save: is called whenever something was done.
    """

    def __init__(
        self,
        folder: Path,
        nodes: Nodes,
        settings: ChaosSettings,
        actions: Sequence[str],
        done: Done,
        *,
        save: Callable[[], None],
        report: Update,
        note: Callable[[str], None],
    ) -> None:
        self.folder, self.points, self.done = folder, points_of(folder), done
        self._nodes, self._settings, self._actions, self._save = nodes, settings, actions, save
        self._report, self._note = report, note
        self._rng = random.Random(f"{settings.seed} {done.acted}")
        self._away: list[tuple[float, Callable[[], None]]] = []
        self._results, self._kept = folder / "results", folder / "kept"
        self._process: subprocess.Popen | None = None
        self._launched = 0.0

    def run(self) -> None:
        """Starts the search again and again until it ends by itself."""
        actions = self._actions
        finished, moved = 0, time.monotonic()
        self._results.mkdir(parents=True, exist_ok=True)
        self._mount()
        self._say_what_is_missing()
        try:
            self._launch()
            while not self._has_ended():
                found = self._finished()
                if found > finished:
                    finished, moved = found, time.monotonic()
                if time.monotonic() - moved > _SECONDS_WITHOUT_PROGRESS:
                    raise RuntimeError(f"The search does not go on:\n{said(self.folder)}")
                # Evenly over the search, that no candidate is disturbed for ever.
                acted = self.done.acted
                due = acted * self._settings.candidates / (len(actions) + 1)
                if acted < len(actions) and finished >= due:
                    came = self._act(actions[acted])
                    # What the end of this search forestalled is left to the next one.
                    if came or self._process.poll() != 0:
                        self.done.acted += 1
                        self._save()
                    moved = time.monotonic()
                note = f"{self._settings.candidates - finished} candidates to go"
                self._report(self.done.acted, len(actions), note)
                time.sleep(_SECONDS_OF_A_LOOK)
            self.done.is_over = True
            self._save()
        finally:
            self._bring_back(now=True)
            self._kill_driver()
            self._unmount()

    def _act(self, action: str) -> bool:
        """Does something, and returns whether it came about or cannot be done on this machine."""
        came = True
        match action:
            case "worker":
                came = self._kill_worker()
                self.done.worker_kills += came
            case "driver":
                self._await_work()
                came = self._kill_driver()
                self.done.driver_kills += came
            case "node":
                with self._held():
                    self._nodes.kill(self._rng.choice(self._nodes.workers))
                self.done.node_kills += 1
            case "freeze":
                self._await_work()
                stopped = self._nodes.freeze(self._rng.choice(self._nodes.workers))
                self._until_later(lambda: self._nodes.thaw(stopped))
                self.done.frozen_nodes += 1
            case "cut":
                if self._nodes.has_networks:
                    self._await_work()
                    node = self._rng.choice(self._nodes.workers)
                    self._nodes.cut(node)
                    self._until_later(lambda: self._nodes.heal(node))
                    self.done.cut_nodes += 1
            case "disk":
                if self._results.is_mount():
                    came = self._fill_disk()
                    self.done.full_disks += came
            case exit_at:
                came = self._exit_at(exit_at)
                if came:
                    self.done.points.append(exit_at.removeprefix("exit-"))
        return came

    def _launch(self) -> None:
        self._launched = time.time()
        self._process = start(self.folder, self._nodes, self._settings, 2)
        self.done.launches.append((self._process.pid, self._launched))

    def _has_ended(self) -> bool:
        """Looks after search and nodes: what has ended is started again, unless it was the end."""
        self._bring_back(now=False)
        if self._nodes.gone():
            with self._held():
                self._nodes.tend()
        code = self._process.poll()
        if code == 0:
            return True
        if code is not None:
            if code not in (_REFUSED, *_KILLED):
                raise RuntimeError(f"The search failed with code {code}:\n{said(self.folder)}")
            self._launch()
        return False

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Stops the driver while a node is started, that its search does not end before the monkey."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _until_later(self, back: Callable[[], None]) -> None:
        self._away.append((time.monotonic() + SECONDS_AWAY, back))

    def _bring_back(self, *, now: bool) -> None:
        for one in [one for one in self._away if now or time.monotonic() > one[0]]:
            self._away.remove(one)
            one[1]()

    def _await_work(self) -> None:
        """Waits until the driver that runs now has given somebody something to do."""
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            for event in read_trace(self.points):
                if (event.label, event.pid) == ("submitted", self._process.pid) and event.at > self._launched:
                    time.sleep(self._rng.uniform(0, 1))
                    return
            time.sleep(0.1)

    def _kill_worker(self) -> bool:
        until = time.monotonic() + _SECONDS_TO_ACT
        while time.monotonic() < until and not self._has_ended():
            pids = [pid for node in self._nodes.workers for pid in below(node.process.pid)]
            busy = [pid for pid in pids if "attempt" in _command(pid) and _state(pid) not in "TZ"]
            if busy:
                time.sleep(self._rng.uniform(0, 0.3))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._rng.choice(busy), signal.SIGKILL)
                    return True
            time.sleep(_SECONDS_OF_A_LOOK)
        return False

    def _kill_driver(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return False
        self._process.kill()
        self._process.wait()
        return True

    def _exit_at(self, action: str) -> bool:
        """Lets the first process that comes to a labelled moment exit there; returns whether one did."""
        path = self.points / action
        path.touch()
        until = time.monotonic() + _SECONDS_TO_ACT
        while path.exists() and time.monotonic() < until and not self._has_ended():
            time.sleep(0.1)
        exited = not path.exists()
        path.unlink(missing_ok=True)
        return exited

    def _fill_disk(self) -> bool:
        """Fills the disk of the results until the search has ended; returns whether it said why."""
        ballast = self._results / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        until = time.monotonic() + _SECONDS_TO_ACT
        while self._process.poll() is None and time.monotonic() < until:
            self._bring_back(now=False)
            time.sleep(0.1)
        noticed = self._process.poll() == _REFUSED and "No room left for results" in said(self.folder)
        ballast.unlink()
        return noticed

    def _finished(self) -> int:
        with contextlib.suppress(UserError):
            states = count_states(self.folder / "trials.sqlite")
            return states["done"] + states["failed"]
        return 0

    def _say_what_is_missing(self) -> None:
        if self._settings.full_disk and not self._results.is_mount():
            self._note("no small disk can be mounted here: the disk is not filled")
        if self._settings.cut and not self._nodes.has_networks:
            self._note("no network namespaces can be made here: no node is cut off")

    def _mount(self) -> None:
        """Mounts a small disk for the results, with what an earlier monkey kept."""
        if not self._settings.full_disk or self._results.is_mount():
            return
        command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", self._results]
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(command, check=False, capture_output=True)
        if self._results.is_mount() and self._kept.exists():
            shutil.copytree(self._kept, self._results, dirs_exist_ok=True)

    def _unmount(self) -> None:
        if self._results.is_mount():
            (self._results / "ballast").unlink(missing_ok=True)
            shutil.copytree(self._results, self._kept, dirs_exist_ok=True)
            # A process that is just ending may still be there.
            subprocess.run(["umount", "--lazy", self._results], check=False, capture_output=True)


def points_of(folder: Path) -> Path:
    """Returns the folder for the trace of a run."""
    return folder.with_name(f"{folder.name}.points")


def start(folder: Path, nodes: Nodes, settings: ChaosSettings, workers: int) -> subprocess.Popen:
    """Starts a search, or one that goes on."""
    folder.mkdir(exist_ok=True)
    points_of(folder).mkdir(exist_ok=True)
    arguments = (folder, nodes.address, workers, settings.candidates, settings.seed, settings.steps, DEADLINE)
    variables = {"SPARSENAS_POINTS": str(points_of(folder)), "PJRT_NPROC": "1", "JAX_PLATFORMS": "cpu"}
    with (folder / "said").open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "sparsenas.bench.chaos_search", *map(str, arguments)],
            env={**os.environ, **variables},
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def said(folder: Path) -> str:
    """Returns the last words of a search."""
    return (folder / "said").read_text(errors="replace")[-3000:]


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
