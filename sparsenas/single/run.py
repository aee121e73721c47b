"""One run: from settings to a folder with a trained network."""

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from sparsenas import __version__, checkpoint, files, native, train
from sparsenas.data import Data, load
from sparsenas.errors import UserError
from sparsenas.latency.model import LatencyModel
from sparsenas.nn.pure import Variables
from sparsenas.progress import Progress, Silent, Update
from sparsenas.single.conclusion import TrainSummary, conclude
from sparsenas.single.finished import Trained
from sparsenas.single.settings import TrainSettings
from sparsenas.space import Arch, Space
from sparsenas.sparsity.patterns import PATTERNS
from sparsenas.supernet import supernet
from sparsenas.train import Keeper, NetworkSettings, Teacher
from sparsenas.train.distribution import (
    guided_fractions,
    learned_patterns,
    prunable,
    shared_out,
    trained_weights,
    with_fractions,
)
from sparsenas.train.keeping import described


def open_run(folder: Path, settings: TrainSettings, arch: str) -> None:
    """Makes a run's folder; raises `UserError` where it exists."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UserError(
            f"The run folder {str(folder)!r} exists; give another name with --out, or go on with it: "
            f"sparsenas train --resume {folder}"
        ) from None
    except OSError as error:
        raise UserError(f"Cannot make the run folder {str(folder)!r}: {error.strerror}.") from None
    config = {
        "train": dataclasses.asdict(settings),
        "arch": arch,
        "versions": {
            "sparsenas": __version__,
            "python": sys.version.split()[0],
            "jax": jax.__version__,
            "numpy": np.__version__,
        },
        "machine": native.cpu(),
    }
    files.write(folder / "config.json", json.dumps(config, indent=1) + "\n")


def load_run(folder: Path) -> tuple[TrainSettings, str]:
    """Returns settings and architecture of a run; raises `UserError` where the folder is not one."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
        fields = config["train"]
        settings = TrainSettings(**{**fields, "network": NetworkSettings(**fields["network"])})
        return settings, str(config["arch"])
    except OSError:
        raise UserError(f"Expected a run folder with a config.json, found none in {str(folder)!r}.") from None
    except KeyError:
        raise UserError(
            f"{str(path)!r} is not of a training; a search goes on with: sparsenas search --resume {folder}"
        ) from None
    except (ValueError, TypeError) as error:
        raise UserError(f"Cannot read the run's settings {path}: {error}.") from None


def load_data(settings: TrainSettings, space: Space, progress: Progress | None = None) -> Data:
    """Returns the images that a training learns from and is tested on."""
    with (progress or Silent()).stage(f"Data set {settings.dataset}") as update:
        data = load(
            settings.dataset,
            size=space.image[:2],
            seed=settings.seed,
            limit=settings.limit,
            report=lambda done, total: update(done, total, ""),
        )
        sizes = (len(split.labels) for split in (data.train, data.validation, data.test))
        counts = "{} train, {} validation, {} test images, {} classes".format(*sizes, len(data.classes))
        update(1, 1, counts)
    return data


def run(
    settings: TrainSettings,
    space: Space,
    arch: Arch,
    folder: Path,
    *,
    data: Data | None = None,
    start: Trained | None = None,
    teacher: Trained | None = None,
    progress: Progress | None = None,
) -> TrainSummary:
    """Trains an architecture and leaves what came out in `folder`.

    Args:
        space: what `settings.space` names.
        folder: made by `open_run`; a training that was stopped goes on from its last checkpoint.
        data: what `load_data` returns; loaded where left out.
        start: what `settings.start` names.
        teacher: what `settings.teacher` names.
    """
    progress = progress or Silent()
    data = load_data(settings, space, progress) if data is None else data
    space = space.with_classes(len(data.classes))
    model = None if settings.device is None else LatencyModel.load(settings.device)
    first = _first(settings, space.fixed(arch, dense=True), start)
    network = _with_zeros(settings, space, arch, first, model)
    keeper = Keeper(
        folder=folder / "checkpoints",
        about=_about(settings, network, data),
        every=settings.checkpoint_every,
    )
    started = time.perf_counter()
    with progress.stage(f"Train {settings.network.steps} steps") as update:
        variables = train.train_network(
            network,
            data.train,
            settings.network,
            seed=settings.seed,
            start=first,
            teacher=_teacher(settings, teacher),
            keeper=keeper,
            report=_losses(update),
        )
    seconds = time.perf_counter() - started
    with progress.stage("Check the model file against JAX") as update:
        summary = conclude(settings, network, space.text(arch), data, variables, model, seconds, folder)
        update(1, 1, f"{summary.accuracy:.2%} of the test images, {summary.file_bytes / 1e3:.1f} kB")
    return summary


def _first(settings: TrainSettings, dense: Space, start: Trained | None) -> Variables:
    """Returns the variables to begin with."""
    net = supernet(dense)
    # As `train_network` draws them.
    random = net.init(np.random.default_rng(settings.seed).spawn(2)[0])
    if start is None:
        return random
    return checkpoint.from_arrays(
        random, checkpoint.to_arrays(start.variables), source=f"run {settings.start!r}"
    )


def _with_zeros(
    settings: TrainSettings, space: Space, arch: Arch, first: Variables, model: LatencyModel | None
) -> Space:
    """Returns the single network with the zeros that the settings ask for."""
    if settings.dense or (settings.sparsity is None and settings.target_ms is None):
        return space.fixed(arch, dense=settings.dense)
    dense = space.fixed(arch, dense=True)
    pattern = PATTERNS[settings.pattern]
    weights = trained_weights(dense, first.params)
    if settings.learn_patterns:
        pattern = learned_patterns(dense, weights, count=settings.learn_patterns)
    if settings.distribution != "guided":
        return shared_out(dense, settings.sparsity, pattern, how=settings.distribution)
    patterns = prunable(dense, pattern)
    found = guided_fractions(
        dense.layers(()),
        weights,
        model,
        patterns,
        target_ms=settings.target_ms,
        fraction=settings.sparsity,
    )
    return with_fractions(dense, found.fractions, patterns)


def _teacher(settings: TrainSettings, teacher: Trained | None) -> Teacher | None:
    if teacher is None:
        return None
    return Teacher(
        space=teacher.space,
        variables=teacher.variables,
        weight=settings.teacher_weight,
        temperature=settings.temperature,
    )


def _about(settings: TrainSettings, network: Space, data: Data) -> dict[str, str]:
    """Returns what a checkpoint must agree in."""
    found = described(network.fingerprint(), data.train, settings.network, seed=settings.seed)
    names = ("start", "teacher", "teacher_weight", "temperature")
    return found | {name: str(getattr(settings, name)) for name in names}


def _losses(update: Update) -> Callable[[int, int, dict[str, float]], None]:
    def report(step: int, total: int, metrics: dict[str, float]) -> None:
        update(step, total, f"loss {metrics['loss']:.3f}, {metrics['accuracy']:.1%} of the training images")

    return report
