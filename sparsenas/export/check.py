"""Whether an exported file computes what JAX computes."""

import json
from dataclasses import asdict, dataclass

import jax
import numpy as np

from sparsenas.errors import UserError
from sparsenas.export.forward import forward
from sparsenas.export.network import Network

TOLERANCE = 1e-4
"""Largest difference of an output from JAX, relative to the largest output where that is above 1."""

_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Check:
    """How well an export agrees with JAX, as it is stored beside the file.

    Attributes:
        file: its name.
        file_bytes: of the file, or of all files in the folder.
        engine: what ran it, with its version.
        images: what was run, such as "digits (test)" or "noise", and how many.
        max_abs_difference: the largest difference of an output from JAX with the same weights.
        top1_agreement: fraction of the images whose largest output is the same as that of JAX with the
            weights before they were rounded.
        rounding_max_abs_difference: what rounding the weights to float16 changed, in JAX; 0 without.
        notes: what became of some layers, by name.
    """

    file: str
    format: str
    file_bytes: int
    engine: str
    engine_version: str
    source: str
    images: int
    max_abs_difference: float
    top1_agreement: float
    rounding_max_abs_difference: float
    notes: dict[str, str]

    def json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def jax_outputs(network: Network, images: np.ndarray) -> np.ndarray:
    """Returns what JAX makes of images: float32 [N, outputs]."""
    run = jax.jit(forward(network))
    # The last batch is filled up, so that one compilation does.
    padded = np.concatenate([images, np.zeros((-len(images) % _BATCH, *images.shape[1:]), np.float32)])
    batches = [np.asarray(run(padded[i : i + _BATCH])) for i in range(0, len(padded), _BATCH)]
    return np.concatenate(batches)[: len(images)]


def noise(shape: tuple[int, int, int], count: int) -> np.ndarray:
    """Returns images for networks whose own are not at hand: float32 [count, H, W, C] in [0, 1]."""
    return np.random.default_rng(0).random((count, *shape), np.float32)


def difference(found: np.ndarray, expected: np.ndarray, *, engine: str) -> float:
    """Returns the largest difference of an output.

    Raises:
        UserError: where it is more than rounding makes of it.
    """
    if found.shape != expected.shape:
        raise UserError(f"{engine} gives outputs {list(found.shape)}, JAX {list(expected.shape)}.")
    # NaN is more than any tolerance.
    largest = float(np.abs(found - expected).max(initial=0))
    allowed = TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0)))
    if not largest <= allowed:
        raise UserError(
            f"{engine} computes something else than JAX: outputs differ by up to {largest:.2e}, expected at "
            f"most {allowed:.2e}. Nothing was written."
        )
    return largest


def agreement(found: np.ndarray, expected: np.ndarray) -> float:
    """Returns the fraction of images with the same largest output."""
    return float((found.argmax(1) == expected.argmax(1)).mean())
