"""Writes a network in a format and checks it with the engine that the format is for, before it counts."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsenas import files
from sparsenas.errors import UserError
from sparsenas.export.c import run_c, to_c
from sparsenas.export.check import Check, agreement, difference, jax_outputs
from sparsenas.export.engines import run_onnx, run_snas, run_stablehlo, run_tflite, version_of
from sparsenas.export.half import halved
from sparsenas.export.litert_path import obstacles
from sparsenas.export.network import Network
from sparsenas.export.onnx import to_onnx
from sparsenas.export.snas import to_bytes
from sparsenas.export.stablehlo import to_stablehlo
from sparsenas.export.tflite import to_tflite
from sparsenas.export.web import run_web, to_web


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a network is written.

    Attributes:
        float16: weights and biases are rounded to half precision and stored so.
        sparse: (onnx) weights of mostly zeros as sparse tensors.
        dense: (web) the twin without zeros that the page compares with; made where left out.
        pack: (snas) what makes a model file one that is packed for a device.
    """

    float16: bool = False
    sparse: bool = False
    dense: Network | None = None
    pack: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format: what writes it and what runs it.

    Attributes:
        write: network, settings and the name in the end -> bytes of the file, or of a folder's files by name.
        run: what runs the file on images.
        engine: what people call that, and the distribution that says its version.
        float16: whether it has something of half precision.
        notes: why some layers do not run as well as they might, by name.
    """

    write: Callable[[Network, Settings, str], bytes | dict[str, bytes]]
    run: Callable[[Path, np.ndarray], np.ndarray]
    engine: tuple[str, str]
    float16: bool = False
    notes: Callable[[Network], Mapping[str, str]] = lambda network: {}


def _snas(network: Network, settings: Settings, name: str) -> bytes:
    data = to_bytes(network, float16=settings.float16)
    if settings.pack is not None:
        data = settings.pack(data)
    return gzip.compress(data, 9, mtime=0) if name.endswith(".gz") else data


FORMATS: Mapping[str, Format] = {
    "snas": Format(write=_snas, run=run_snas, engine=("SparseNAS", "sparsenas"), float16=True),
    "tflite": Format(
        write=lambda network, settings, name: to_tflite(network, float16=settings.float16),
        run=run_tflite,
        engine=("LiteRT", "ai-edge-litert"),
        float16=True,
        notes=obstacles,
    ),
    "onnx": Format(
        write=lambda network, settings, name: to_onnx(network, batch=None, sparse=settings.sparse),
        run=run_onnx,
        engine=("ONNX Runtime", "onnxruntime"),
    ),
    "stablehlo": Format(
        write=lambda network, settings, name: to_stablehlo(network),
        run=run_stablehlo,
        engine=("JAX", "jax"),
    ),
    "web": Format(
        write=lambda network, settings, name: to_web(network, settings.dense, float16=settings.float16),
        run=run_web,
        engine=("SparseNAS in Chromium", "sparsenas"),
        float16=True,
    ),
    "c": Format(
        write=lambda network, settings, name: to_c(network, float16=settings.float16),
        run=run_c,
        engine=("libsparsenas", "sparsenas"),
        float16=True,
    ),
}


def deliver(
    network: Network,
    format: str,
    out: Path,
    *,
    images: np.ndarray,
    source: str,
    settings: Settings | None = None,
    force: bool = False,
) -> Check:
    """Writes a network to `out`, and beside it, in `out`.json, how well it agrees with JAX.

    What is there is replaced only with `force`, and only once the new one has been checked. Where anything
    fails, nothing is written.

    Args:
        format: one of `FORMATS`.
        images: float32 [N, H, W, C] to check with.
        source: what they are, for people.

    Raises:
        UserError: where there is such a file or folder, the network cannot be written so, or the engine
            computes something else.
    """
    settings = settings or Settings()
    made = FORMATS[format]
    if settings.float16 and not made.float16:
        have = ", ".join(name for name, one in FORMATS.items() if one.float16)
        raise UserError(f"`--float16` is for the formats {have}, not for {format}.")
    described = out.parent / f"{out.name}.json"
    _check_free(out, described, force=force)
    expected = jax_outputs(network, images)
    exact = expected
    if settings.float16:
        network = halved(network)
        expected = jax_outputs(network, images)
    with files.beside(out) as place:
        content = made.write(network, settings, out.name)
        size = (
            files.write(place, content) if isinstance(content, bytes) else files.write_folder(place, content)
        )
        engine, distribution = made.engine
        found = made.run(place, images)
        check = Check(
            file=out.name,
            format=format,
            file_bytes=size,
            engine=engine,
            engine_version=version_of(distribution),
            source=source,
            images=len(images),
            max_abs_difference=difference(found, expected, engine=engine),
            top1_agreement=agreement(found, exact),
            rounding_max_abs_difference=float(np.abs(expected - exact).max(initial=0)),
            notes=dict(made.notes(network)),
        )
    files.write(described, check.json())
    return check


def _check_free(out: Path, described: Path, *, force: bool) -> None:
    if not out.exists():
        return
    if not force:
        raise UserError(f"{str(out)!r} exists; give another --out, or --force to replace it.")
    # A folder is not thrown away unless it was made here.
    if out.is_dir() and not described.is_file():
        raise UserError(
            f"The folder {str(out)!r} is no export, as there is no {str(described)!r}, and is not replaced; "
            "give another --out."
        )
