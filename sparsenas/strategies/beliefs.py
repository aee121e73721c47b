"""What a search believed over time: the probability of every option of every choice.

Searches by gradient note it while they train. What others believed is found by telling them their log again.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sparsenas import files
from sparsenas.errors import UserError
from sparsenas.space import Arch, Space, plain
from sparsenas.strategies.base import Result, Strategy

FILE = "beliefs.jsonl"
"""In the folder of a run."""

_FORMAT = "sparsenas-beliefs-1"

Unit = Literal["trials", "steps"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Beliefs:
    """Probabilities of options after parts of a search.

    Attributes:
        choices: names.
        options: of each choice, as JSON can hold them.
        unit: what `at` counts: results that a strategy was told, or steps of a training.
        at: when the probabilities were noted, ascending: [S].
        probabilities: [S, options] of each choice.
    """

    choices: tuple[str, ...]
    options: tuple[tuple[Any, ...], ...]
    unit: Unit
    at: tuple[int, ...]
    probabilities: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        expected = [(len(self.at), len(options)) for options in self.options]
        found = [np.shape(one) for one in self.probabilities]
        if found != expected or len(self.choices) != len(expected):
            raise ValueError(f"`probabilities` must have shapes {expected}, found {found}.")

    @property
    def last(self) -> tuple[np.ndarray, ...]:
        """The probabilities in the end: [options] of each choice."""
        return tuple(one[-1] for one in self.probabilities)


def beliefs_of(
    space: Space, at: Sequence[int], probabilities: Sequence[np.ndarray], *, unit: Unit
) -> Beliefs:
    """Returns the beliefs about a space; `probabilities` are [len(at), options] of each choice."""
    return Beliefs(
        choices=tuple(choice.name for choice in space.choices),
        options=tuple(tuple(map(plain, choice.options)) for choice in space.choices),
        unit=unit,
        at=tuple(int(one) for one in at),
        probabilities=tuple(np.asarray(one, np.float64) for one in probabilities),
    )


def replayed(
    space: Space, strategy: Strategy, told: Iterable[tuple[Arch, Result]], *, points: int = 100
) -> Beliefs | None:
    """Returns what a strategy with probabilities believed; None for others.

    Args:
        told: all results of a search, in order.
        points: about as many times are noted, evenly spaced, the first and the last among them.
    """
    if strategy.probabilities is None:
        return None
    told = list(told)
    noted = set(np.linspace(0, len(told), min(points, len(told) + 1)).round().astype(int).tolist())
    state = strategy.init()
    found = [strategy.probabilities(state)]
    for number, (arch, result) in enumerate(told, 1):
        state = strategy.tell(state, arch, result)
        if number in noted:
            found.append(strategy.probabilities(state))
    return beliefs_of(
        space, sorted(noted), [np.stack(one) for one in zip(*found, strict=True)], unit="trials"
    )


def write_beliefs(beliefs: Beliefs, path: Path, *, strategy: str, warnings: Sequence[str] = ()) -> None:
    """Writes beliefs as JSON lines: what they are of, and a line for each time they were noted.

    Args:
        strategy: whose they are.
        warnings: for people, what is suspicious about them.
    """
    head = {
        "format": _FORMAT,
        "strategy": strategy,
        "unit": beliefs.unit,
        "choices": [
            {"name": name, "options": list(options)}
            for name, options in zip(beliefs.choices, beliefs.options, strict=True)
        ],
        "warnings": list(warnings),
    }
    lines = [
        {"at": at, "probabilities": [np.round(one[row], 5).tolist() for one in beliefs.probabilities]}
        for row, at in enumerate(beliefs.at)
    ]
    files.write(path, "".join(json.dumps(one) + "\n" for one in (head, *lines)))


def read_beliefs(path: Path) -> Beliefs:
    """Reads what `write_beliefs` wrote; raises `UserError` for anything else."""
    try:
        head, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        if head["format"] != _FORMAT:
            raise ValueError(f"format {head['format']!r}, this version reads {_FORMAT!r}")
        options = [tuple(choice["options"]) for choice in head["choices"]]
        columns = [[line["probabilities"][i] for line in lines] for i in range(len(options))]
        return Beliefs(
            choices=tuple(str(choice["name"]) for choice in head["choices"]),
            options=tuple(options),
            unit=head["unit"],
            at=tuple(int(line["at"]) for line in lines),
            probabilities=tuple(
                np.array(column, np.float64).reshape(len(lines), len(of))
                for column, of in zip(columns, options, strict=True)
            ),
        )
    except OSError as error:
        raise UserError(f"Cannot read the beliefs {str(path)!r}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(
            f"Expected the beliefs of a search in {str(path)!r}, found something else: {error}."
        ) from None
