"""Tables of trained architectures: every network of a small space with what training it found.

Two formats are read. Ours is one JSON object:

    {"format": "sparsenas-table-1", "name": "...", "device": "...", "how": {...},
     "choices": {"NAME": ["OPTION", ...], ...},
     "records": [{"arch": "0-2-1", "accuracy": [0.91, 0.92], "latency_ms": 0.12, "macs": 1000}, ...]}

with one record for every combination of options, `accuracy` one fraction per training, and any number of
costs, each a number. That of NAS-Bench-Macro (Su et al., 2021, https://arxiv.org/abs/2103.11922) is an object
from digits, one per layer, to `test_acc` in percent, `flops` and `params`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sparsenas import files
from sparsenas.dims import Dim, constant
from sparsenas.errors import UserError
from sparsenas.space import IMAGE, Arch, Choice, Space, Template, plain

FORMAT = "sparsenas-table-1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """What is known about all N architectures of a space, each trained R times.

    Attributes:
        choices: of the space; options may be anything, only their text is kept.
        archs: every combination of options once, in any order.
        accuracy: [N, R], fractions, in the order of `archs`.
        costs: [N] by name, such as `latency_ms` and `macs`.
        device: where latencies were measured; "" where there are none.
        how: how the table was made, for people; whatever JSON can hold.
    """

    name: str
    choices: tuple[Choice, ...]
    archs: tuple[Arch, ...]
    accuracy: np.ndarray
    costs: Mapping[str, np.ndarray]
    device: str = ""
    how: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.choices:
            raise UserError(f"Table {self.name!r} has no choices.")
        combinations = math.prod(len(choice.options) for choice in self.choices)
        for arch in self.archs:
            self.space.check(arch)
        if len(set(self.archs)) != len(self.archs) or len(self.archs) != combinations:
            raise UserError(
                f"Table {self.name!r} must have each of the {combinations} architectures of its space once, "
                f"found {len(self.archs)} records of {len(set(self.archs))} architectures."
            )
        if self.accuracy.ndim != 2 or len(self.accuracy) != combinations or not self.accuracy.size:
            raise UserError(
                f"Table {self.name!r} must have the same number of accuracies, at least one, for every "
                f"architecture; found shape {self.accuracy.shape}."
            )
        if not ((self.accuracy >= 0) & (self.accuracy <= 1)).all():
            raise UserError(f"Accuracies of table {self.name!r} must be fractions from 0 to 1.")
        for name, values in self.costs.items():
            if values.shape != (combinations,) or not np.isfinite(values).all():
                raise UserError(f"Table {self.name!r} must have one finite `{name}` for every architecture.")

    @cached_property
    def space(self) -> Space:
        """A space of these choices and nothing else: a stand-in for a layer reads each of them."""
        templates = tuple(
            Template(
                name=choice.name,
                op="conv1x1",
                inputs=(IMAGE,),
                c_in=constant(1),
                c_out=Dim((i,), np.arange(1, 1 + len(choice.options))),
                height=1,
                width=1,
            )
            for i, choice in enumerate(self.choices)
        )
        return Space(name=self.name, image=(1, 1, 1), classes=1, choices=self.choices, templates=templates)

    @cached_property
    def mean_accuracy(self) -> np.ndarray:
        """The mean over trainings: [N]."""
        return self.accuracy.mean(1)

    def rows(self, archs: "Sequence[Arch] | np.ndarray") -> np.ndarray:
        """Returns the positions of architectures in the table: [len(archs)]."""
        sizes = [len(choice.options) for choice in self.choices]
        return self._positions[np.ravel_multi_index(tuple(np.asarray(archs, int).T), sizes)]

    def cost(self, name: str, archs: "Sequence[Arch] | np.ndarray") -> np.ndarray:
        """Returns one cost of architectures: [len(archs)]."""
        return self.costs[name][self.rows(archs)]

    @cached_property
    def _positions(self) -> np.ndarray:
        sizes = [len(choice.options) for choice in self.choices]
        positions = np.empty(len(self.archs), np.intp)
        positions[np.ravel_multi_index(tuple(np.array(self.archs).T), sizes)] = np.arange(len(self.archs))
        return positions


def write_table(table: Table, path: Path) -> int:
    """Writes a table, one record a line, and returns the file's size in bytes."""
    head = {
        "format": FORMAT,
        "name": table.name,
        "device": table.device,
        "how": dict(table.how),
        "choices": {choice.name: [str(plain(one)) for one in choice.options] for choice in table.choices},
    }
    records = [
        {"arch": table.space.text(arch), "accuracy": [float(f"{one:.5g}") for one in accuracy]}
        | {name: float(f"{values[i]:.6g}") for name, values in table.costs.items()}
        for i, (arch, accuracy) in enumerate(zip(table.archs, table.accuracy, strict=True))
    ]
    lines = ",\n".join(json.dumps(record) for record in records)
    return files.write(path, json.dumps(head, indent=1)[:-2] + f',\n "records": [\n{lines}\n]}}\n')


def read_table(path: Path) -> Table:
    """Reads a table of either format; raises `UserError` where the file is not one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read the table {str(path)!r}: {error.strerror}.") from None
    except ValueError as error:
        raise UserError(
            f"Expected a table in JSON in {str(path)!r}, found something else: {error}."
        ) from None
    if not isinstance(found, dict) or not found:
        raise UserError(f"Expected a table, a JSON object, in {str(path)!r}, found {type(found).__name__}.")
    try:
        return _ours(found) if "records" in found else _macro(found, path.stem)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"nothing named {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"Cannot read the table {str(path)!r}: {said}.") from None


def _ours(found: dict[str, Any]) -> Table:
    if found["format"] != FORMAT:
        raise ValueError(f"format {found['format']!r}, this version reads {FORMAT!r}")
    records = found["records"]
    costs = [name for name in records[0] if name not in ("arch", "accuracy")] if records else []
    return Table(
        name=found["name"],
        choices=tuple(Choice(name, tuple(options)) for name, options in found["choices"].items()),
        archs=tuple(tuple(int(one) for one in record["arch"].split("-")) for record in records),
        accuracy=np.array([record["accuracy"] for record in records], float),
        costs={name: np.array([record[name] for record in records], float) for name in costs},
        device=found["device"],
        how=found["how"],
    )


def _macro(found: dict[str, Any], name: str) -> Table:
    archs = tuple(tuple(int(digit) for digit in text) for text in found)
    most = np.array(archs).max(0)
    return Table(
        name=name,
        choices=tuple(Choice(f"layer{i + 1}", tuple(range(n + 1))) for i, n in enumerate(most.tolist())),
        archs=archs,
        accuracy=np.array([record["test_acc"] for record in found.values()], float) / 100,
        costs={
            "macs": np.array([record["flops"] for record in found.values()], float),
            "parameters": np.array([record["params"] for record in found.values()], float),
        },
    )
