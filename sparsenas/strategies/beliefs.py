"""What a search believed over time: the probability of every option of every choice.

And whether these beliefs collapsed, a known failure of differentiable searches: to blocks that are passed by
(Liang et al., 2019, DARTS+, https://arxiv.org/abs/1909.06035) or to the narrowest layers.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparsenas import files
from sparsenas.errors import UserError
from sparsenas.space import Space, plain

# Mean probability of the least option of all choices of a kind that is called a collapse.
_COLLAPSED = 0.8


@dataclass(frozen=True, kw_only=True, eq=False)
class Beliefs:
    """Probabilities of options after some steps of a search.

    Attributes:
        choices: names.
        options: of each choice, as JSON can hold them.
        steps: at which they were noted, ascending: [S].
        probabilities: [S, options] of each choice.
    """

    choices: tuple[str, ...]
    options: tuple[tuple[Any, ...], ...]
    steps: tuple[int, ...]
    probabilities: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        expected = [(len(self.steps), len(options)) for options in self.options]
        found = [np.shape(one) for one in self.probabilities]
        if found != expected or len(self.choices) != len(expected):
            raise ValueError(f"`probabilities` must have shapes {expected}, found {found}.")

    @property
    def last(self) -> tuple[np.ndarray, ...]:
        """The probabilities of the last step: [options] of each choice."""
        return tuple(one[-1] for one in self.probabilities)


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """A kind of choices whose least option took over.

    Attributes:
        kind: `depth`, where blocks are passed by, or `width`.
        since: the step from which on it was so.
        probabilities: of the least option in the end, by choice.
    """

    kind: str
    since: int
    probabilities: dict[str, float]

    def __str__(self) -> str:
        what = {"depth": "skip connections", "width": "the least width"}[self.kind]
        each = ", ".join(f"{name} {p:.2f}" for name, p in self.probabilities.items())
        return f"collapsed to {what} since step {self.since}: probability of the least option {each}"


def beliefs_of(space: Space, steps: Sequence[int], probabilities: Sequence[np.ndarray]) -> Beliefs:
    """Returns the beliefs about a space; `probabilities` are [steps, options] of each choice."""
    return Beliefs(
        choices=tuple(choice.name for choice in space.choices),
        options=tuple(tuple(map(plain, choice.options)) for choice in space.choices),
        steps=tuple(int(step) for step in steps),
        probabilities=tuple(np.asarray(one, np.float64) for one in probabilities),
    )


def collapses(space: Space, beliefs: Beliefs) -> list[Collapse]:
    """Returns the kinds of choices that collapsed and stayed so to the end.

    A kind has collapsed when the least option of its choices, blocks absent or layers narrow, has a mean
    probability of at least 0.8. A kind whose choices have one option each cannot.
    """
    if not beliefs.steps:
        return []
    found = []
    for kind, choices in _deciding(space).items():
        least = {i: int(np.argmin(space.choices[i].options)) for i in choices}
        if not least:
            continue
        each = {i: beliefs.probabilities[i][:, option] for i, option in least.items()}
        has = np.mean(list(each.values()), axis=0) >= _COLLAPSED
        if has[-1]:
            # The first step behind the last one at which it was not so.
            start = int(np.flatnonzero(~has)[-1]) + 1 if not has.all() else 0
            ends = {space.choices[i].name: float(one[-1]) for i, one in each.items()}
            found.append(Collapse(kind=kind, since=beliefs.steps[start], probabilities=ends))
    return found


def _deciding(space: Space) -> dict[str, list[int]]:
    """Returns the choices with several options that decide depths, and those that decide widths."""
    depth = {c for template in space.templates for c in template.present.choices}
    width = {c for template in space.templates for c in (*template.c_in.choices, *template.c_out.choices)}
    several = [i for i, choice in enumerate(space.choices) if len(choice.options) > 1]
    return {
        "depth": [i for i in several if i in depth],
        "width": [i for i in several if i in width - depth],
    }


def write_beliefs(beliefs: Beliefs, path: Path) -> None:
    """Writes beliefs as plain text."""
    choices = [
        {"name": name, "options": list(options), "probabilities": np.round(found, 5).tolist()}
        for name, options, found in zip(beliefs.choices, beliefs.options, beliefs.probabilities, strict=True)
    ]
    files.write(path, json.dumps({"steps": list(beliefs.steps), "choices": choices}) + "\n")


def read_beliefs(path: Path) -> Beliefs:
    """Reads what `write_beliefs` wrote; raises `UserError` for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        steps, choices = found["steps"], found["choices"]
        return Beliefs(
            choices=tuple(str(choice["name"]) for choice in choices),
            options=tuple(tuple(choice["options"]) for choice in choices),
            steps=tuple(map(int, steps)),
            probabilities=tuple(
                np.array(choice["probabilities"], np.float64).reshape(len(steps), len(choice["options"]))
                for choice in choices
            ),
        )
    except OSError as error:
        raise UserError(f"Cannot read the beliefs {str(path)!r}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"Expected the beliefs of a search in {str(path)!r}, found something else: {error}."
        ) from None
