"""Known failures of searches, seen in what they believed over time.

Beliefs collapse to blocks that are passed by (Liang et al., 2019, DARTS+, https://arxiv.org/abs/1909.06035)
or to the narrowest layers, or a choice is decided before its options can have been compared.
"""

from dataclasses import dataclass

import numpy as np

from sparsenas.space import Space
from sparsenas.strategies.beliefs import Beliefs

# Mean probability of the least option of all choices of a kind that is called a collapse.
_COLLAPSED = 0.8


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """A kind of choices whose least option took over.

    Attributes:
        kind: `depth`, where blocks are passed by, or `width`.
        since: from when on it was so, in the beliefs' `unit`.
        probabilities: of the least option in the end, by choice.
    """

    kind: str
    since: int
    unit: str
    probabilities: dict[str, float]

    def __str__(self) -> str:
        what = {"depth": "skip connections", "width": "the least width"}[self.kind]
        each = ", ".join(f"{name} {p:.2f}" for name, p in self.probabilities.items())
        since = f"since {self.unit.removesuffix('s')} {self.since}"
        return f"collapsed to {what} {since}: probability of the least option {each}"


def warnings(space: Space, beliefs: Beliefs) -> list[str]:
    """Returns what a person should know of beliefs, in lines; none where there is nothing to say."""
    found = [str(collapse) for collapse in collapses(space, beliefs)]
    # Searches by gradient are to be decided in the end, and their beliefs move steadily.
    early = decided_early(space, beliefs) if beliefs.unit == "trials" else {}
    return found + ([described(early, beliefs.at[-1])] if early else [])


def collapses(space: Space, beliefs: Beliefs) -> list[Collapse]:
    """Returns the kinds of choices that collapsed and stayed so to the end.

    A kind has collapsed when the least option of its choices, blocks absent or layers narrow, has a mean
    probability of at least 0.8. A kind whose choices have one option each cannot.
    """
    if not beliefs.at:
        return []
    found = []
    for kind, choices in _deciding(space).items():
        least = {i: int(np.argmin(space.choices[i].options)) for i in choices}
        if not least:
            continue
        each = {i: beliefs.probabilities[i][:, option] for i, option in least.items()}
        has = np.mean(list(each.values()), axis=0) >= _COLLAPSED
        if has[-1]:
            # The first time behind the last one at which it was not so.
            start = int(np.flatnonzero(~has)[-1]) + 1 if not has.all() else 0
            ends = {space.choices[i].name: float(one[-1]) for i, one in each.items()}
            found.append(Collapse(kind=kind, since=beliefs.at[start], unit=beliefs.unit, probabilities=ends))
    return found


def decided_early(
    space: Space, beliefs: Beliefs, *, within: float = 0.5, certainty: float = 0.98
) -> dict[str, int]:
    """Returns the choices that a search decided too early to have compared their options.

    Args:
        within: part of the search in which a decision is early.
        certainty: probability of one option that is a decision, if it is that certain until the end.

    Returns:
        By the choice's name when it was decided for good.
    """
    found = {}
    for choice, probabilities in zip(space.choices, beliefs.probabilities, strict=True):
        if len(choice.options) < 2 or not beliefs.at:
            continue
        since = _settled(probabilities, certainty)
        if since is not None and beliefs.at[since] < within * beliefs.at[-1]:
            found[choice.name] = beliefs.at[since]
    return found


def described(early: dict[str, int], trials: int) -> str:
    """Returns a warning for people.

    >>> described({"width": 12}, 100)
    'decided early: width after 12 of 100 trials; search longer'
    """
    each = ", ".join(f"{name} after {count}" for name, count in early.items())
    return f"decided early: {each} of {trials} trials; search longer"


def _settled(probabilities: np.ndarray, certainty: float) -> int | None:
    """Returns from which row on the last row's most probable option is certain; None where it is not."""
    option = int(probabilities[-1].argmax())
    uncertain = np.flatnonzero(probabilities[:, option] < certainty)
    if not len(uncertain):
        return 0
    return int(uncertain[-1]) + 1 if uncertain[-1] + 1 < len(probabilities) else None


def _deciding(space: Space) -> dict[str, list[int]]:
    """Returns the choices with several options that decide depths, and those that decide widths."""
    depth = {c for template in space.templates for c in template.present.choices}
    width = {c for template in space.templates for c in (*template.c_in.choices, *template.c_out.choices)}
    several = [i for i, choice in enumerate(space.choices) if len(choice.options) > 1]
    return {
        "depth": [i for i in several if i in depth],
        "width": [i for i in several if i in width - depth],
    }
