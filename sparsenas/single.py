"""Trains one architecture alone, and leaves a model file, its weights and what is known of it in a folder.

config.json    settings, architecture, versions
checkpoints/   the training as it was a while ago, to go on from
best/          model.snas, arch.json, weights.safetensors
summary.json   what came out
"""

import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from sparsenas import __version__, checkpoint, files, native, train
from sparsenas.data import Data, load
from sparsenas.errors import UserError
from sparsenas.export.fold import fold
from sparsenas.export.network import Network
from sparsenas.export.snas import to_bytes
from sparsenas.latency.model import LatencyModel
from sparsenas.nn.pure import Variables
from sparsenas.progress import Progress, Silent, Update
from sparsenas.space import Arch, Layer, Space
from sparsenas.sparsity.patterns import PATTERNS, KernelPattern
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


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """All that determines the training of one network, beside its architecture.

    Attributes:
        space: a space by name, or a Python file that defines SPACE.
        dataset: `digits`, a folder or archive with train/<class>/* and test/<class>/*, the binary version of
            CIFAR-10 or CIFAR-100, or a .npz file.
        limit: at most this many images of each split, for a quick look.
        dense: without any zeros, whatever the architecture has.
        sparsity: overall fraction of zeros of the layers that are pruned, instead of the architecture's own.
        pattern: of these zeros.
        distribution: who gets them: every layer alike, small layers fewer (`erk`), or layers where `device`
            makes them pay (`guided`: as fast as `uniform`, and less is taken away).
        target_ms: what a `guided` network is to take, instead of `sparsity`.
        device: the latency table of `guided`, and of the prediction in the summary; none if left out.
        learn_patterns: how many kernel patterns to learn from the weights of `start`; 0 for the usual eight.
        start: folder of a finished run of the same architecture, whose weights are trained on.
        teacher: folder of a finished run, whose network's answers are learned as well.
        teacher_weight: of the teacher's word against the labels'.
        temperature: of the teacher's answers; the higher, the more wrong classes count.
        checkpoint_every: steps between two checkpoints.
        seed: of everything that is random.
    """

    space: str = "tiny"
    dataset: str = "digits"
    limit: int | None = None
    dense: bool = False
    sparsity: float | None = None
    pattern: Literal["unstructured", "block2", "block4", "2:4", "pattern"] = "unstructured"
    distribution: Literal["uniform", "erk", "guided"] = "uniform"
    target_ms: float | None = None
    device: str | None = None
    learn_patterns: int = 0
    start: str | None = None
    teacher: str | None = None
    teacher_weight: float = 0.5
    temperature: float = 4.0
    checkpoint_every: int = 500
    seed: int = 0
    network: NetworkSettings = field(default_factory=lambda: NetworkSettings(steps=1500))

    def __post_init__(self) -> None:
        guided = self.distribution == "guided"
        if self.target_ms is not None and not self.target_ms > 0:
            raise UserError(f"`target_ms` must be above 0, found {self.target_ms}.")
        if self.sparsity is not None and not 0 < self.sparsity < 1:
            raise UserError(
                f"`sparsity` must be above 0 and below 1, found {self.sparsity:g}; at 1 nothing would be "
                "left, and for no zeros there is `dense`."
            )
        if self.dense and (self.sparsity is not None or self.target_ms is not None):
            raise UserError("A `dense` network has no zeros; leave out `sparsity` and `target_ms`.")
        if guided and (self.device is None or (self.sparsity is None) == (self.target_ms is None)):
            raise UserError(
                "`guided` zeros need a `device`, and either `sparsity` or `target_ms`; found device "
                f"{self.device}, sparsity {self.sparsity}, target_ms {self.target_ms}."
            )
        if self.target_ms is not None and not guided:
            raise UserError("`target_ms` is for `distribution` guided.")
        if self.learn_patterns and (self.pattern != "pattern" or self.start is None):
            raise UserError("`learn_patterns` needs `pattern` pattern and the weights of `start`.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A network that was trained before.

    Attributes:
        space: without choices and without zeros: weights tell themselves which of them are 0.
        variables: of `supernet(space)`.
    """

    space: Space
    variables: Variables


@dataclass(frozen=True, kw_only=True)
class TrainSummary:
    """What came out of a training. Accuracies are those of the model file, run by the native kernels.

    Attributes:
        sparsity: fraction of zeros of all weights.
        latency_ms_predicted: by the table of `device`; None without one.
        parity_max_abs_error: largest difference of an output from JAX.
        layers: name, operator, pattern, fraction of zeros and weights that are left, of layers that have any.
    """

    dataset: str
    space: str
    arch: str
    algorithm: str
    distribution: str
    seed: int
    steps: int
    train_seconds: float
    validation_accuracy: float
    accuracy: float
    weights: int
    nonzeros: int
    sparsity: float
    macs: int
    device: str | None
    latency_ms_predicted: float | None
    file_bytes: int
    parity_max_abs_error: float
    layers: list[dict]


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


def load_trained(folder: Path, find_space: Callable[[str], Space]) -> Trained:
    """Returns the network of a finished run, of a search or of a training.

    Args:
        find_space: name of a space to the space.

    Raises:
        UserError: where there is none, or it belongs to another version of the space.
    """
    described = folder / "best" / "arch.json"
    try:
        found = json.loads(described.read_text())
        name, text = found["space"], found["arch"]
    except OSError:
        raise UserError(f"Expected a finished run in {str(folder)!r}, found no {described}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"Cannot read {str(described)!r}: {error}.") from None
    space = find_space(name)
    path = folder / "best" / "weights.safetensors"
    arrays, _ = checkpoint.load(path)
    head = arrays.get(f"params/{space.templates[-1].name}/weight")
    if head is None:
        raise UserError(f"{path} has no weights of the last layer of space {name!r}; it is another space's.")
    space = space.with_classes(head.shape[-1])
    fixed = space.fixed(space.parse(text), dense=True)
    like = supernet(fixed).init(np.random.default_rng(0))
    return Trained(space=fixed, variables=checkpoint.from_arrays(like, arrays, source=str(path)))


def run(
    settings: TrainSettings,
    space: Space,
    arch: Arch,
    folder: Path,
    *,
    start: Trained | None = None,
    teacher: Trained | None = None,
    progress: Progress | None = None,
) -> TrainSummary:
    """Trains an architecture and leaves what came out in `folder`.

    Args:
        space: what `settings.space` names.
        folder: made by `open_run`; a training that was stopped goes on from its last checkpoint.
        start: what `settings.start` names.
        teacher: what `settings.teacher` names.
    """
    progress = progress or Silent()
    with progress.stage(f"Data set {settings.dataset}") as update:
        data = load(settings.dataset, size=space.image[:2], seed=settings.seed, limit=settings.limit)
        sizes = (len(split.labels) for split in (data.train, data.validation, data.test))
        counts = "{} train, {} validation, {} test images, {} classes".format(*sizes, len(data.classes))
        update(1, 1, counts)
    model = None if settings.device is None else LatencyModel.load(settings.device)
    dense = space.with_classes(len(data.classes)).fixed(arch, dense=True)
    first = _first(settings, dense, start)
    network = _with_zeros(settings, space.with_classes(len(data.classes)), arch, first, model)
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
            teacher=None
            if teacher is None
            else Teacher(
                space=teacher.space,
                variables=teacher.variables,
                weight=settings.teacher_weight,
                temperature=settings.temperature,
            ),
            keeper=keeper,
            report=_losses(update),
        )
    seconds = time.perf_counter() - started
    with progress.stage("Check the model file against JAX") as update:
        summary = _conclude(settings, network, space.text(arch), data, variables, model, seconds, folder)
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
        random, checkpoint.to_arrays(start.variables), source=f"The run {settings.start}"
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
    assert isinstance(pattern, KernelPattern) or not settings.learn_patterns
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


def _about(settings: TrainSettings, network: Space, data: Data) -> dict[str, str]:
    """Returns what a checkpoint must agree in."""
    digest = hashlib.sha256(data.train.images.tobytes() + data.train.labels.tobytes()).hexdigest()[:16]
    described = {"network": network.fingerprint(), "images": digest, "seed": str(settings.seed)}
    for name in ("start", "teacher", "teacher_weight", "temperature"):
        described[name] = str(getattr(settings, name))
    return described | {name: str(value) for name, value in dataclasses.asdict(settings.network).items()}


def _conclude(
    settings: TrainSettings,
    network: Space,
    arch: str,
    data: Data,
    variables: Variables,
    model: LatencyModel | None,
    seconds: float,
    folder: Path,
) -> TrainSummary:
    folded = fold(network, variables, classes=data.classes)
    content = to_bytes(folded)
    runtime = native.Model.from_bytes(content)
    found = {
        name: runtime.run(split.images.astype(np.float32) / 255)
        for name, split in (("validation", data.validation), ("test", data.test))
    }
    expected = train.logits(supernet(network), variables, data.test.images)
    files.write(folder / "best" / "model.snas", content)
    described = {"space": settings.space, "arch": arch, "options": _zeros(folded)}
    files.write(folder / "best" / "arch.json", json.dumps(described, indent=1) + "\n")
    checkpoint.save(
        folder / "best" / "weights.safetensors", checkpoint.to_arrays(variables), about={"arch": arch}
    )
    layers = [layer for layer in folded.layers if layer.weight_shape is not None]
    total = sum(layer.dense().nonzeros for layer in layers)
    nonzeros = sum(layer.nonzeros for layer in layers)
    summary = TrainSummary(
        dataset=settings.dataset,
        space=network.name,
        arch=arch,
        algorithm=settings.network.algorithm,
        distribution=_distribution(settings),
        seed=settings.seed,
        steps=settings.network.steps,
        train_seconds=round(seconds, 2),
        validation_accuracy=_accuracy(found["validation"], data.validation.labels),
        accuracy=_accuracy(found["test"], data.test.labels),
        weights=total,
        nonzeros=nonzeros,
        sparsity=1 - nonzeros / total,
        macs=sum(layer.macs for layer in folded.layers),
        device=settings.device,
        latency_ms_predicted=None if model is None else float(model.predict(folded.layers)),
        file_bytes=len(content),
        parity_max_abs_error=float(np.abs(found["test"] - expected).max()),
        layers=[_described(layer) for layer in layers],
    )
    files.write(folder / "summary.json", json.dumps(dataclasses.asdict(summary), indent=1) + "\n")
    return summary


def _distribution(settings: TrainSettings) -> str:
    if settings.dense:
        return "dense"
    own = settings.sparsity is None and settings.target_ms is None
    return "architecture" if own else settings.distribution


def _zeros(network: Network) -> dict[str, str]:
    return {
        layer.name: f"{layer.pattern.name} {layer.sparsity:g}" for layer in network.layers if layer.sparsity
    }


def _described(layer: Layer) -> dict[str, str | float | int]:
    return {
        "name": layer.name,
        "op": layer.op,
        "pattern": layer.pattern.name,
        "sparsity": layer.sparsity,
        "nonzeros": layer.nonzeros,
    }


def _accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.argmax(1) == labels).mean())


def _losses(update: Update) -> Callable[[int, int, dict[str, float]], None]:
    def report(step: int, total: int, metrics: dict[str, float]) -> None:
        update(step, total, f"loss {metrics['loss']:.3f}, {metrics['accuracy']:.1%} of the training images")

    return report
