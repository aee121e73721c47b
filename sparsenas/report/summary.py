"""`summary.json`: what a run found, in numbers that were measured."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

from sparsenas import files
from sparsenas.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run found. "Dense" is the same architecture with every layer dense, trained alike.

    Attributes:
        dataset: as it was asked for: a name, or the path of a folder or archive.
        trials: architectures that were evaluated with the supernet.
        search_seconds: from the start until the last trial, training of the supernet included.
        arch: the winner as text, one option index per choice of the space.
        accuracy, dense_accuracy: fraction of the test images that the native runtime classifies right.
        latency_ms_predicted: by the device's latency table, one image.
        latency_ms_measured, dense_latency_ms_measured: of the whole network on the device, one image.
        speedup: dense latency over latency.
        parity_max_abs_error: largest difference of an output of the native runtime from JAX's, test images.
        file_bytes, dense_file_bytes: of the model files.
    """

    dataset: str
    space: str
    strategy: str
    device: str
    seed: int
    trials: int
    search_seconds: float
    arch: str
    accuracy: float
    dense_accuracy: float
    latency_ms_predicted: float
    latency_ms_measured: float
    dense_latency_ms_measured: float
    speedup: float
    target_latency_ms: float
    parity_max_abs_error: float
    file_bytes: int
    dense_file_bytes: int


def write_summary(summary: Summary, path: Path) -> None:
    """Writes `summary.json`; it appears whole or not at all."""
    text = json.dumps(dataclasses.asdict(summary), indent=1, ensure_ascii=False, allow_nan=False)
    files.write(path, text + "\n")


def read_summary(path: Path) -> Summary:
    """Reads what `write_summary` wrote; raises `UserError` for anything else."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"Expected the summary of a finished run in {str(path)!r}, found no such file; a run that was "
            "stopped goes on with: sparsenas search --resume RUN."
        ) from None
    except OSError as error:
        raise UserError(f"Cannot read {str(path)!r}: {error.strerror}.") from None
    except ValueError as error:
        raise UserError(f"Expected JSON in {str(path)!r}: {error}.") from None
    if not isinstance(values, dict):
        raise UserError(f"Expected an object in {str(path)!r}, found {type(values).__name__}.")

    fields = {field.name: field.type for field in dataclasses.fields(Summary)}
    if missing := [name for name in fields if name not in values]:
        raise UserError(f"Field {missing[0]!r} is missing in {str(path)!r}; run the search again.")
    if unknown := sorted(values.keys() - fields.keys()):
        raise UserError(
            f"Field {unknown[0]!r} in {str(path)!r} is unknown to this version; read it with the version "
            "of sparsenas that wrote it."
        )
    return Summary(**{name: _checked(values[name], kind, name, path) for name, kind in fields.items()})


def _checked(value: object, kind: type, name: str, path: Path) -> str | int | float:
    if kind is float and type(value) is int:
        value = float(value)  # JSON of other writers does not tell 1.0 from 1.
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise UserError(
            f"Field {name!r} in {str(path)!r} should be {_KINDS[kind]}, found {json.dumps(value)[:40]}."
        )
    return value


_KINDS = {str: "text", int: "a whole number", float: "a number"}
