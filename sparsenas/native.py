"""The native runtime: numpy in, numpy out.

The only file that imports `_native`.
"""

import contextlib
import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sparsenas.errors import UserError

try:
    from sparsenas import _native
except ImportError as error:
    raise ImportError(
        f"The native part of sparsenas cannot be loaded ({error}); install the package again: pip install ."
    ) from error


# What compressed files begin with.
_GZIP = b"\x1f\x8b"


def isas() -> tuple[str, ...]:
    """Returns the instruction sets that this machine has kernels for, the best first."""
    return tuple(_native.isas())


def isa() -> str:
    """Returns the instruction set that models use, `SPARSENAS_ISA` where that is set.

    Raises:
        UserError: where `SPARSENAS_ISA` names one that is unknown or that this machine lacks.
    """
    return _call(_native.isa)


def cpu() -> dict[str, str | int]:
    """Describes the machine: cpu, isa, cores, l1d_bytes, l2_bytes (0 where unknown)."""
    return _call(_native.cpu)


def build_id() -> str:
    """Returns a hash of the native sources: a latency belongs to the build that it was measured with."""
    return _native.build_id()


def peak_gflops() -> float:
    """Measures the rate of multiply-adds of one core, two operations each, in 10^9 per second."""
    return _call(_native.peak_gflops)


def primitives() -> dict[str, object]:
    """Returns the primitives of training by name, as capsules that `jax.ffi.register_ffi_target` takes.

    Empty where the package was built without jaxlib, which has the headers that they need.
    """
    return _native.primitives()


def pin(core: int) -> None:
    """Keeps the calling thread on one core.

    Raises:
        UserError: where the machine or the container has no such core.
    """
    _call(_native.pin, core)


@contextlib.contextmanager
def pinned(core: int | None = None) -> Iterator[int | None]:
    """Keeps the calling thread on one core inside a `with`, and yields the core.

    Args:
        core: the last one this process may use where left out, as interrupts tend to land on the first;
            None where the operating system keeps no thread on a core.

    Raises:
        UserError: where the machine or the container has no such core.
    """
    if core is None and not hasattr(os, "sched_getaffinity"):
        yield None
        return
    allowed = os.sched_getaffinity(0)
    core = max(allowed) if core is None else core
    pin(core)
    try:
        yield core
    finally:
        os.sched_setaffinity(0, allowed)


@dataclass(frozen=True, kw_only=True)
class PlannedLayer:
    """A layer as it runs.

    Attributes:
        inputs: positions of the layers it reads, -1 for the image.
        height, width: pixels of the (first) input.
        out_height, out_width: pixels of the output.
        nonzeros: weights in the model file, biases aside.
        weights: weights with the zeros.
        kernel_name: the kernel that computes it, such as "conv1x1_unstructured_avx512".
        note: why it runs in the form it does, such as "4x1: 90% zeros, pays from 45%"; empty where its
            operator has but one.
    """

    name: str
    op: str
    pattern: str
    activation: str
    inputs: tuple[int, ...]
    c_in: int
    c_out: int
    height: int
    width: int
    kernel: int
    stride: int
    out_height: int
    out_width: int
    nonzeros: int
    weights: int
    kernel_name: str
    note: str

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image, zeros left out."""
        return self.nonzeros * self.out_height * self.out_width

    @property
    def zeros(self) -> float:
        """Fraction of the weights that are pruned."""
        return 1 - self.nonzeros / self.weights if self.weights else 0.0

    @property
    def shape(self) -> str:
        """Channels and input pixels, for people."""
        return f"{self.c_in}x{self.c_out}@{self.height}x{self.width}"


class Model:
    """A model file, checked, with its weights packed for this machine. Made by `open` and `from_bytes`.

    Attributes:
        layers: in the order they run.
        image: height, width and channels of the input.
        classes: names of the outputs, if any.
        outputs: how many numbers one image gives.
        arena_bytes: memory of all activations.
        weight_bytes: memory of the packed weights.
        isa: the instruction set of its kernels.
        threads: how many share a large layer.
        tuning: what became of the file's tuning (see `tune`), for people; empty where it has none.
    """

    def __init__(self, model: "_native.Model") -> None:
        self._model = model
        self.layers = tuple(
            PlannedLayer(**{**layer, "inputs": tuple(layer["inputs"])}) for layer in model.layers
        )
        self.image: tuple[int, int, int] = model.image
        self.classes: tuple[str, ...] = tuple(model.classes)
        self.outputs: int = model.outputs
        self.arena_bytes: int = model.arena_bytes
        self.weight_bytes: int = model.weight_bytes
        self.isa: str = model.isa
        self.threads: int = model.threads
        self.tuning: str = model.tuning

    @classmethod
    def open(cls, path: str | os.PathLike, *, isa: str | None = None, threads: int = 1) -> "Model":
        """Loads a model file, also one that gzip has compressed.

        Args:
            isa: one of `isas()`; what `isa()` returns where left out.
            threads: how many share each layer that is large enough to be worth it; best the number of free
                cores. They run on the cores that the calling thread may run on now.

        Raises:
            UserError: where the file cannot be read or is not a sound model.
        """
        if _is_compressed(path):
            return cls.from_bytes(expanded(path), isa=isa, threads=threads, name=os.fspath(path))
        return cls(_call(_native.Model.open, os.fsencode(path), isa, _at_least_one("threads", threads)))

    @classmethod
    def from_bytes(
        cls, data: bytes, *, isa: str | None = None, threads: int = 1, name: str = "bytes"
    ) -> "Model":
        """Loads the bytes of a model file; `name` stands for it in errors."""
        threads = _at_least_one("threads", threads)
        return cls(_call(_native.Model.from_bytes, bytes(data), isa, name, threads))

    def run(self, images: np.ndarray) -> np.ndarray:
        """Computes the outputs of images, one after the other.

        Args:
            images: float32 [N, H, W, C], C-contiguous.

        Returns:
            float32 [N, outputs].
        """
        return self.prepared(images)()

    def prepared(self, images: np.ndarray) -> Callable[[], np.ndarray]:
        """Returns what computes the outputs of images whenever it is called, see `run`.

        The images are checked and laid out as the model reads them once. They must not change.
        """
        self._check(images)
        if self._model.input_layout == "chw":
            images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        return lambda: self._model.run(images)

    def measure(self, repeats: int) -> np.ndarray:
        """Returns the seconds of each of `repeats` runs on one image, after a warm-up: float64 [repeats]."""
        return self._model.measure(_at_least_one("repeats", repeats))

    def measure_cold(self, repeats: int) -> np.ndarray:
        """Returns the same where the level 1 and 2 caches are emptied before each run."""
        return self._model.measure_cold(_at_least_one("repeats", repeats))

    def profile(self, repeats: int) -> np.ndarray:
        """Returns the seconds of every layer in each of `repeats` runs: float64 [repeats, L]."""
        return self._model.profile(_at_least_one("repeats", repeats))

    def _check(self, images: np.ndarray) -> None:
        wanted = f"float32 [N, {', '.join(map(str, self.image))}]"
        if not isinstance(images, np.ndarray):
            raise UserError(f"`images` must be a numpy array, {wanted}, found {type(images).__name__}.")
        if images.dtype != np.float32 or images.shape[1:] != self.image or images.ndim != 4:
            raise UserError(f"`images` must be {wanted}, found {images.dtype} {list(images.shape)}.")
        if not images.flags.c_contiguous:
            raise UserError("`images` must be C-contiguous; pass `np.ascontiguousarray(images)`.")


@dataclass(frozen=True, kw_only=True)
class TunedLayer:
    """What was found out about a layer.

    Attributes:
        form: how its weights are packed: "dense", "unstructured", "2x1", "4x1", "2:4" or "pattern".
        us: microseconds of each form that was tried; empty where none but one came into question.
        note: why it runs in its form.
    """

    name: str
    form: str
    us: Mapping[str, float]
    note: str


def tune(
    path: str | os.PathLike,
    *,
    isa: str | None = None,
    threads: int = 1,
    progress: Callable[[int, int], None] = lambda done, layers: None,
) -> tuple[bytes, tuple[TunedLayer, ...]]:
    """Decides by measurement how every layer of a model file runs on this machine.

    Each layer that may be sparse is timed in every form that its zeros allow, unless it is estimated to take
    much longer than the best. The fastest is taken; dense where no other is faster beyond doubt.

    Args:
        isa: one of `isas()`; what `isa()` returns where left out.
        threads: how many the network is to run with.
        progress: is told how many layers are done, and of how many.

    Returns:
        The bytes of the same model file with a section that holds the forms and the weights packed in them
        (docs/format.md). `Model.open` uses it on this machine and ignores it on another one.

    Raises:
        UserError: where the file cannot be read or is not a sound model.
    """
    threads = _at_least_one("threads", threads)
    data, layers = _call(_native.tune, os.fsencode(path), isa, threads, progress)
    return data, tuple(TunedLayer(**layer) for layer in layers)


def expanded(path: str | os.PathLike) -> bytes:
    """Returns the bytes of a model file that gzip may have compressed.

    Raises:
        UserError: where it cannot be read, or is damaged.
    """
    try:
        with gzip.open(path) if _is_compressed(path) else open(path, "rb") as file:
            return file.read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"Cannot expand model {os.fspath(path)!r}: {error}.") from None
    except OSError as error:
        raise UserError(f"Cannot read model {os.fspath(path)!r}: {error.strerror}.") from None


def _is_compressed(path: str | os.PathLike) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(_GZIP)) == _GZIP
    except OSError:
        return False  # Whoever reads it next says why it cannot.


def _at_least_one(name: str, number: int) -> int:
    if number < 1:
        raise UserError(f"`{name}` must be at least 1, found {number}.")
    return number


def _call(fn, *args):
    """Calls into `_native`, whose complaints are the user's to mend."""
    try:
        return fn(*args)
    except (RuntimeError, ValueError) as error:
        raise UserError(str(error)) from None
