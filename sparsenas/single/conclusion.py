"""From trained variables to the model file, checked against JAX, and a summary."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsenas import checkpoint, files, native, train
from sparsenas.data import Data
from sparsenas.errors import UserError
from sparsenas.export.fold import fold
from sparsenas.export.network import Network
from sparsenas.export.snas import to_bytes
from sparsenas.latency.model import LatencyModel
from sparsenas.nn.pure import Variables
from sparsenas.single.settings import TrainSettings
from sparsenas.space import Layer, Space
from sparsenas.supernet import supernet


@dataclass(frozen=True, kw_only=True)
class TrainSummary:
    """What came out of a training. Accuracies are those of the model file, run by the native kernels.

    Attributes:
        train_seconds: since the last start, where a training was resumed.
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


def read_summary(path: Path) -> TrainSummary:
    """Reads the summary of a finished run; raises `UserError` for a damaged one."""
    try:
        return TrainSummary(**json.loads(path.read_text()))
    except OSError as error:
        raise UserError(f"Cannot read {str(path)!r}: {error.strerror}.") from None
    except (ValueError, TypeError) as error:
        raise UserError(f"Cannot read the summary {str(path)!r}: {error}.") from None


def conclude(
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
    described = {
        "space": settings.space,
        "side": settings.side,
        "arch": arch,
        "zeros": _zeros(folded),
    }
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
