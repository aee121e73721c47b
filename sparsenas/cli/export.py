"""sparsenas export: a network for other programs, and for people."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from sparsenas import data, native
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError
from sparsenas.export.network import Network
from sparsenas.space import Arch, Space

_LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Writes a network in a format, and checks that it computes the same in the engine that reads it.

    How well it agrees with JAX is printed and stored beside the file, in OUT.json.

    Attributes:
        source: the folder of a run, a model file (.snas), or weights (.safetensors) in a run: of a trained
            network, a checkpoint of a training, or of a supernet.
        format: `snas`, the native runtime's; `tflite` for LiteRT; `onnx`; `stablehlo` for JAX; `web`, a
            folder for a browser; `c`, a folder for a C compiler.
        out: the file or folder to write; a name that ends in .snas.gz is compressed.
        force: replace what is there.
        dense: the dense twin of a search's winner instead.
        arch: which network of a supernet: `largest`, `smallest`, option indices joined by '-', or a file
            arch.json of a run.
        float16: (snas, tflite, web, c) weights of half precision.
        sparse_initializer: (onnx) weights of mostly zeros as sparse tensors.
        device: (snas) pack the weights for a device, on which every layer is timed: local,
            ssh://[USER@]HOST[:PORT] or adb://SERIAL.
        threads: (snas, with a device) how many the network is to run with.
        dataset: whose test images it is checked with; the run's own where left out, noise without a run.
        images: check with at most so many.
    """

    source: Annotated[Path, tyro.conf.Positional]
    out: Path
    format: Literal["snas", "tflite", "onnx", "stablehlo", "web", "c"] = "snas"
    force: bool = False
    dense: bool = False
    arch: str | None = None
    float16: bool = False
    sparse_initializer: bool = False
    device: str | None = None
    threads: int = 1
    dataset: str | None = None
    images: int = 1000

    def __post_init__(self) -> None:
        if self.sparse_initializer and self.format != "onnx":
            raise UserError(f"`--sparse-initializer` is for onnx, not for {self.format}.")
        if self.device is not None and self.format != "snas":
            raise UserError(f"`--device` packs model files (snas), not {self.format}.")
        if self.images < 1:
            raise UserError(f"`--images` must be at least 1, found {self.images}.")


def main(args: list[str]) -> None:
    options = parse(Options, args, command="export")
    if options.out.exists() and not options.force:
        raise UserError(f"{str(options.out)!r} exists; give another --out, or --force to replace it.")
    # Takes a second to import.
    from sparsenas.cli.lookup import find_space
    from sparsenas.export import deliver
    from sparsenas.single.sources import find_network

    terminal = console()
    network = find_network(
        options.source,
        find_space,
        dense=options.dense,
        arch=None if options.arch is None else lambda space: _arch(space, options.arch),
        dataset=options.dataset,
    )
    images, source = _images(options, network)
    settings = deliver.Settings(
        float16=options.float16,
        sparse=options.sparse_initializer,
        dense=_twin(options),
        pack=None if options.device is None else lambda model: _packed(model, options),
    )
    with TerminalProgress(terminal).stage(f"Writing and checking {options.format}"):
        check = deliver.deliver(
            network,
            options.format,
            options.out,
            images=images,
            source=source,
            settings=settings,
            force=options.force,
        )
    if check.notes:
        rows = [(name, why) for name, why in check.notes.items()]
        terminal.print(table("Layers whose zeros LiteRT makes no use of", ("layer", "why"), rows))
    rounded = (
        f" Rounding to float16 changed outputs by up to {check.rounding_max_abs_difference:.1e}."
        if options.float16
        else ""
    )
    terminal.print(
        f"Wrote {options.out}, {check.file_bytes / 1e6:.3f} MB. {check.engine} {check.engine_version} on "
        f"{check.images} images of {check.source}: outputs differ from JAX by up to "
        f"{check.max_abs_difference:.1e}, the same class for {check.top1_agreement:.2%}.{rounded}",
        markup=False,
    )


def _arch(space: Space, given: str) -> Arch:
    """Returns the architecture that `--arch` names."""
    from sparsenas.cli.lookup import find_arch

    path = Path(given)
    if not path.is_file():
        return find_arch(space, given)
    try:
        return space.parse(json.loads(path.read_text())["arch"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"Expected the arch.json of a run, found {given!r}.") from None


def _images(options: Options, network: Network) -> tuple[np.ndarray, str]:
    """Returns what to check with, float32 [N, H, W, C], and what people call it."""
    from sparsenas.export.check import noise

    name, seed = options.dataset, 0
    run = _run_of(options.source)
    if name is None and run is not None:
        name, seed = _dataset_of(run)
        # A run may have moved away from its data.
        if name is not None and name not in data.EMBEDDED and not Path(name).exists():
            name = None
    height, width, channels = network.image
    if name is None or channels != 3:
        return noise(network.image, min(options.images, 64)), "noise"
    found = data.load(name, size=(height, width), seed=seed)
    return found.test.images[: options.images].astype(np.float32) / 255, f"{found.name} (test)"


def _run_of(source: Path) -> Path | None:
    """Returns the run that a folder or weights belong to."""
    if not source.is_dir() and source.suffix != ".safetensors":
        return None
    return next((folder for folder in (source, *source.parents) if (folder / "config.json").is_file()), None)


def _dataset_of(run: Path) -> tuple[str | None, int]:
    """Returns the data set and the seed of a run; None where it does not say."""
    try:
        config = json.loads((run / "config.json").read_text())
        settings = config.get("settings") or config["train"]
        return str(settings["dataset"]), int(settings["seed"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, 0


def _twin(options: Options) -> Network | None:
    """Returns the dense twin that a search has trained, if there is one."""
    from sparsenas.export.read import read

    path = options.source / "best" / "dense.snas"
    if options.format != "web" or options.dense or not path.is_file():
        return None
    return read(path)


def _packed(model: bytes, options: Options) -> bytes:
    """Returns a model file with its weights packed for a device."""
    from sparsenas.backends.open import DeviceSettings, open_device
    from sparsenas.backends.remote import Remote

    if options.device == _LOCAL:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "model.snas"
            path.write_bytes(model)
            tuned, _ = native.tune(path, threads=options.threads)
            return tuned
    with open_device(options.device, DeviceSettings(busy=True), threads=options.threads) as device:
        if not isinstance(device, Remote):
            raise UserError(
                f"Model files are packed for {_LOCAL}, ssh:// and adb:// devices, found {options.device!r}."
            )
        return device.tune(model, threads=options.threads)
