"""Training steps on a processor, in this package and in PyTorch: the same networks, batch and cores.

Both take turns, in processes of their own. Ours runs its training loop, with drawing and moving images;
PyTorch is handed one batch again and again, with its memory laid out as it is fastest (channels last).
"""

import contextlib
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import sparsenas
from sparsenas import __version__, native
from sparsenas.bench.machine import cores_of
from sparsenas.bench.peers.process import EngineError, Worker
from sparsenas.errors import UserError
from sparsenas.space import Layer

TRAINER = Path(__file__).parent / "peers" / "trainer.py"
# Where `make peers` puts PyTorch, beside the package in a checkout.
TORCH = Path(sparsenas.__file__).resolve().parents[1] / ".venv-torch" / "bin" / "python"
# Steps of a visit: those that the training loop does in one call of the device.
VISIT = 20
# Threads of one process may wait busily for more work before they sleep.
_SETTLE_SECONDS = 0.05

Note = Callable[[str], None]
Report = Callable[[int, int, str], None]
"""`(done, in all, what it is at)`."""
Tell = Callable[[int, str], None]
"""`(rounds of a network that are done, what it is at)`."""


# What the networks are made of: name, input [N, H, W, C], output channels, stride.
PRIMITIVES = (
    ("convolution", (128, 32, 32, 3), 32, 1),
    ("depthwise", (128, 16, 16, 96), 96, 1),
    ("depthwise", (128, 16, 16, 96), 96, 2),
    ("depthwise", (128, 8, 8, 192), 192, 1),
    ("pointwise", (128, 16, 16, 16), 96, 1),
    ("pointwise", (128, 16, 16, 96), 16, 1),
    ("pointwise", (128, 8, 8, 64), 384, 1),
    ("batch_norm", (128, 16, 16, 96), 96, 1),
)


def bench_training(
    networks: Mapping[str, Sequence[Layer]],
    *,
    batch: int = 128,
    threads: Iterable[int] | None = None,
    core: int | None = None,
    rounds: int = 5,
    torch: bool = True,
    primitives: bool = True,
    report: Report = lambda done, total, name: None,
    note: Note = lambda line: None,
) -> dict[str, Any]:
    """Measures training steps.

    Args:
        networks: by name, made of inverted residuals; they are trained without zeros.
        threads: counts of threads, each on as many cores; all of them if left out.
        core: the last of the cores.
        rounds: visits of each; a time is the median over them.
        torch: also measure PyTorch, where it is installed.
        primitives: also measure what a step consists of.
        note: is told what is left out, and why.

    Returns:
        What the JSON file holds. Milliseconds: `jax_step_ms` and `torch_step_ms` of a step, `forward_ms` of
        our pass to the loss as training runs it, `gradient_ms` of that and the pass back to the weights.
        PyTorch's are None where it is missing.

    Raises:
        UserError: where the machine lacks the cores, or a library fails.
    """
    cores = [cores_of(count, core) for count in threads or (native.cpu()["cores"],)]
    python = _find_torch(note) if torch else None
    # One more round compiles.
    each = rounds + 1
    total, done = len(cores) * len(networks) * each, 0
    records, parts = [], []
    for own in cores:
        for name, layers in networks.items():
            tell = _teller(report, done, total, f"{name}, threads: {len(own)}")
            try:
                tell(0, "start")
                with _trainers(layers, batch, own, python, note) as trainers:
                    records.append(_measure(name, batch, len(own), trainers, rounds, tell))
                    if primitives and name == next(iter(networks)):
                        parts += _measure_primitives(trainers, len(own), partial(tell, each))
            except EngineError as error:
                raise UserError(f"{name} cannot be measured: {error}.") from None
            done += each
    report(total, total, ", ".join(networks))
    return {"machine": native.cpu(), "version": __version__, "records": records, "primitives": parts}


def _teller(report: Report, done: int, total: int, at: str) -> Tell:
    return lambda rounds, what: report(done + rounds, total, f"{at}, {what}")


def _find_torch(note: Note) -> Path | None:
    if importlib.util.find_spec("torch") is not None:
        return Path(sys.executable)
    if TORCH.exists():
        return TORCH
    note("PyTorch is left out, it is not installed: `make peers`, or pip install torch")
    return None


@contextlib.contextmanager
def _trainers(
    layers: Sequence[Layer], batch: int, cores: Sequence[int], torch: Path | None, note: Note
) -> Iterator[dict[str, Worker]]:
    """Yields the processes that train a network, by library."""
    fields = ("op", "inputs", "c_in", "c_out", "height", "width", "kernel", "stride", "activation")
    described = [{field: getattr(layer, field) for field in fields} for layer in layers]
    network = {"layers": described, "classes": layers[-1].c_out, "batch": batch, "visit": VISIT}
    with contextlib.ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "network.json"
        path.write_text(json.dumps(network))

        def start(library: str, python: Path) -> Worker:
            # A slow machine may take minutes to compile a large network.
            worker = Worker(library, path, cores, python=python, program=TRAINER, patience=None)
            return stack.enter_context(worker)

        trainers = {"sparsenas": start("sparsenas", Path(sys.executable))}
        if torch is not None:
            try:
                trainers["torch"] = start("torch", torch)
            except EngineError as error:
                note(f"PyTorch is left out: {error}")
        yield trainers


def _measure(
    name: str,
    batch: int,
    threads: int,
    trainers: dict[str, Worker],
    rounds: int,
    tell: Tell,
) -> dict[str, Any]:
    ours = trainers["sparsenas"]
    found: dict[str, list[float]] = {"forward": [], "gradient": [], **{library: [] for library in trainers}}
    for i in range(rounds + 1):
        for library, trainer in trainers.items():
            tell(i, f"{library} trains")
            ms = trainer.ask({"step": True})["ms"]
            # The first visit compiles.
            if i > 0:
                found[library].append(ms)
            time.sleep(_SETTLE_SECONDS)
        if i % 2 == 1:
            for what in ("forward", "gradient"):
                tell(i, f"{what} pass")
                found[what].append(ours.ask({what: True})["ms"])
    medians = {what: median(times) for what, times in found.items()}
    return {
        "network": name,
        "batch": batch,
        "threads": threads,
        "jax_step_ms": medians["sparsenas"],
        "torch_step_ms": medians.get("torch"),
        "torch_version": trainers["torch"].version if "torch" in trainers else None,
        "forward_ms": medians["forward"],
        "gradient_ms": medians["gradient"],
    }


def _measure_primitives(
    trainers: dict[str, Worker], threads: int, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Returns the milliseconds of each primitive: ours, XLA's own way, PyTorch's."""
    found = []
    for primitive, shape, out, stride in PRIMITIVES:
        tell(primitive)
        message = {"primitive": primitive, "shape": shape, "out": out, "stride": stride}
        answers = {library: trainer.ask(message) for library, trainer in trainers.items()}
        ours, torch = answers["sparsenas"], answers.get("torch", {})
        found.append(
            {
                **message,
                "threads": threads,
                "forward_ms": ours["forward"],
                "gradient_ms": ours["gradient"],
                "xla_forward_ms": ours["xla_forward"],
                "xla_gradient_ms": ours["xla_gradient"],
                "torch_forward_ms": torch.get("forward"),
                "torch_gradient_ms": torch.get("gradient"),
            }
        )
    return found
