"""One network in several engines: the same weights, outputs that are checked, and turns.

Every engine is timed only if it computes what the weights mean. All take turns on the same cores, so that a
slow moment of the machine hits all of them a little instead of one of them hard. The time of a run on one
core is how long it had the core: on a quiet machine that is how long it took, and elsewhere interruptions,
which hit long runs more often than short ones, do not tilt the comparison.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sparsenas.bench.peers.process import ENGINES, EngineError, Worker
from sparsenas.export.network import Network, normalized, random_network, reference
from sparsenas.export.onnx import to_onnx
from sparsenas.export.snas import to_bytes
from sparsenas.export.tflite import to_tflite
from sparsenas.space import Layer

# Outputs that differ by more, relative to the largest one, are not those of this network.
TOLERANCE = 1e-3
# How long an engine runs at each visit, and runs that are not counted, as the one before took the caches.
_VISIT_SECONDS = 0.05
_WARM_UP = 2
# Threads of an engine may wait busily for more work before they sleep.
_SETTLE_SECONDS = 0.01
# An engine that has less of its core shares it with something else.
_OWN_SHARE = 0.95
# Ours and LiteRT take as many images as they are given.
_WRITERS: Mapping[str, Callable[[Network, int], bytes]] = {
    "snas": lambda network, batch: to_bytes(network),
    "onnx": lambda network, batch: to_onnx(network, batch=batch),
    "tflite": lambda network, batch: to_tflite(network),
}

Note = Callable[[str], None]
"""Takes a line about what is left out, and why."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A network, dense or pruned in one way."""

    network: str
    sparsity: float
    pattern: str
    layers: tuple[Layer, ...]

    @property
    def image(self) -> tuple[int, int, int]:
        """Height, width and channels of the input."""
        first = self.layers[0]
        return first.height, first.width, first.c_in

    @property
    def name(self) -> str:
        return f"{self.network} {self.pattern}" + (f" {self.sparsity:.3g}" if self.sparsity else "")


@dataclass(frozen=True, eq=False)
class Subject:
    """A network in files, and what it must compute.

    Attributes:
        models: by kind of file.
        images: a file of them, all of which a run takes.
        expected: float64 [N * outputs].
    """

    variant: Variant
    models: Mapping[str, Path]
    images: Path
    expected: np.ndarray


def prepare(
    stack: contextlib.ExitStack, variant: Variant, engines: Iterable[str], *, batch: int = 1
) -> Subject:
    """Writes the files that engines need, in a folder that goes with the stack."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    images = _images(max(2, batch), *variant.image)
    network = normalized(random_network(variant.layers, seed=0), images)
    models = {kind: folder / f"model.{kind}" for kind in {ENGINES[engine].model for engine in engines}}
    for kind, path in models.items():
        path.write_bytes(_WRITERS[kind](network, batch))
    given = folder / "images.npy"
    np.save(given, images[:batch], allow_pickle=False)
    return Subject(variant, models, given, reference(network, images[:batch]).ravel())


def _images(count: int, height: int, width: int, channels: int) -> np.ndarray:
    """Returns images of coloured patches with noise: float32 [N, H, W, C]."""
    rng = np.random.default_rng(0)
    patches = rng.random((count, 4, 4, channels), np.float32)
    rows, columns = (np.arange(side) * 4 // side for side in (height, width))
    noise = rng.random((count, height, width, channels), np.float32)
    return 0.8 * patches[:, rows][:, :, columns] + 0.2 * noise


@dataclass(eq=False)
class Entrant:
    """An engine with a network.

    Attributes:
        model: the file that it read.
        threads: how many it may use, on as many cores.
        difference: of its outputs from what is expected, relative to the largest.
        runs: how many each visit takes.
        visits: median milliseconds of each.
        shares: for each visit, how much of the time it had a core; more than 1 with several threads.
    """

    engine: str
    variant: Variant
    model: Path
    threads: int
    worker: Worker
    difference: float
    runs: int
    visits: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def visit(self, *, one_core: bool) -> None:
        timing = self.worker.run(_WARM_UP + self.runs)
        seconds = timing.core_seconds if one_core else timing.seconds
        self.visits.append(float(np.median(seconds[_WARM_UP:])) * 1e3)
        self.shares.append(timing.core_seconds.sum() / timing.seconds.sum())


def enter(
    stack: contextlib.ExitStack,
    engines: Sequence[str],
    subject: Subject,
    pythons: Mapping[str, Path],
    cores: Sequence[int],
    note: Note,
) -> list[Entrant]:
    """Starts engines, and returns those that compute what is expected."""
    entrants = []
    for engine in engines:
        try:
            model = subject.models[ENGINES[engine].model]
            worker = stack.enter_context(Worker(engine, model, cores, python=pythons[engine]))
            found = worker.compute(subject.images, subject.images.with_name(f"{engine}.npy"))
            difference = relative_difference(found, subject.expected)
            if not difference <= TOLERANCE:
                raise EngineError(
                    f"{engine} is not timed, its outputs are off by {difference:.2g} of the largest, "
                    f"expected at most {TOLERANCE:g}"
                )
            once = float(np.median(worker.run(3).seconds))
            runs = max(3, min(200, round(_VISIT_SECONDS / once)))
        except EngineError as error:
            note(f"{subject.variant.name}: {error}")
            continue
        entrants.append(Entrant(engine, subject.variant, model, len(cores), worker, difference, runs=runs))
    return entrants


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Returns the largest difference over the largest number expected; infinite for another shape.

    >>> relative_difference(np.array([1.0, 2.5]), np.array([1.0, 2.0]))
    0.25
    """
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def take_turns(entrants: Sequence[Entrant], rounds: int, note: Note, *, one_core: bool) -> Sequence[Entrant]:
    """Runs engines in turn, and returns those that finish.

    Args:
        one_core: whether all have one thread; several are given time to fall asleep after each turn.
    """
    left = list(entrants)
    for _ in range(rounds):
        for entrant in tuple(left):
            try:
                entrant.visit(one_core=one_core)
            except EngineError as error:
                note(f"{entrant.variant.name}: {error}")
                left.remove(entrant)
            if not one_core:
                time.sleep(_SETTLE_SECONDS)
    # Several threads may wait for each other, which is not something else.
    shares = [share for entrant in left if entrant.threads == 1 for share in entrant.shares[-rounds:]]
    if shares and np.mean(shares) < _OWN_SHARE:
        note(
            f"{left[-1].variant.name}: something else had the core for {1 - np.mean(shares):.0%} of the "
            f"time, {'which is left out' if one_core else 'and what it took counts'}; expect shorter times "
            "on a quiet machine"
        )
    return left
