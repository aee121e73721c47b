"""What a search is to be compared with: networks of the same space with one sparsity in all layers.

Of `uniform` ones, widths, depths and whatever else are chosen by the same scores and within the same latency
as the search's own, so that what differs is where the zeros are. `scaled` ones are what people have who do
not search: width and depth are the same part of the most everywhere, as width multipliers make them (Howard
et al., 2017, https://arxiv.org/abs/1704.04861) and compound scaling does (Tan and Le, 2019,
https://arxiv.org/abs/1905.11946).
"""

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsenas import files
from sparsenas.space import Arch, Space, plain
from sparsenas.train.sampling import kinds

# Architectures of a level that are looked at; random ones where there are more.
_LISTED = 20_000
# Of those within the latency, how many of the slowest are scored.
_SCORED = 16

FILE = "baselines.json"
"""In the folder of a run."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A network to compare with, or the winner among them.

    Attributes:
        name: says the kind, the sparsity and for what part of the target it was chosen.
        accuracy: on the test images.
        validation_accuracy: on the validation images.
    """

    name: str
    arch: str
    accuracy: float
    validation_accuracy: float
    latency_ms_predicted: float
    latency_ms_measured: float


def uniform(space: Space, rng: np.random.Generator) -> dict[str, list[Arch]]:
    """Returns networks with the same sparsity wherever it is chosen, by that sparsity as text.

    Only what all choices of sparsity offer counts; {} where the space has none.
    """
    zeros = _choices_of_zeros(space)
    others = [range(len(one.options)) if i not in zeros else (0,) for i, one in enumerate(space.choices)]
    if math.prod(map(len, others)) <= _LISTED:
        listed = list(itertools.product(*others))
    else:
        listed = [tuple(int(rng.integers(len(one))) for one in others) for _ in range(_LISTED)]
    return _by_level(space, listed)


def scaled(space: Space) -> dict[str, list[Arch]]:
    """Returns those of `uniform` where, too, all choices that decide the same take the same place.

    That is where between their first and their last option: all stages half as wide, all kernels the largest.
    """
    deciding = kinds(space)
    sizes: dict[frozenset[str], int] = {}
    for one, kind in zip(space.choices, deciding, strict=True):
        if kind != {"sparsities"}:
            sizes[kind] = max(sizes.get(kind, 0), len(one.options))
    listed = []
    for places in itertools.product(*(np.linspace(0, 1, size) for size in sizes.values())):
        at = dict(zip(sizes, places, strict=True))
        listed.append(
            tuple(
                math.floor(at.get(kind, 0) * (len(one.options) - 1) + 0.5)
                for one, kind in zip(space.choices, deciding, strict=True)
            )
        )
    return _by_level(space, listed)


def _choices_of_zeros(space: Space) -> list[int]:
    return [i for i, kind in enumerate(kinds(space)) if kind == {"sparsities"}]


def _by_level(space: Space, listed: Sequence[Arch]) -> dict[str, list[Arch]]:
    """Returns networks with each sparsity instead of their own, without repetition."""
    zeros = _choices_of_zeros(space)
    if not zeros:
        return {}
    found = {}
    for level in space.choices[zeros[0]].options:
        if any(level not in space.choices[i].options for i in zeros):
            continue
        at = {i: space.choices[i].options.index(level) for i in zeros}
        archs = (space.canonical(tuple(at.get(i, one) for i, one in enumerate(arch))) for arch in listed)
        found[str(plain(level))] = list(dict.fromkeys(archs))
    return found


def choose_baselines(
    space: Space,
    latency: Callable[[Sequence[Arch]], np.ndarray],
    score: Callable[[Sequence[Arch]], np.ndarray],
    budgets: Mapping[str, float],
    rng: np.random.Generator,
) -> dict[str, Arch]:
    """Returns for each sparsity and budget the networks with the highest score within the budget.

    One of `uniform` and one of `scaled`.

    Args:
        latency, score: of architectures: [N].
        budgets: milliseconds by what to call them.
    """
    found = {}
    for how, listed in (("uniform", uniform(space, rng)), ("scaled", scaled(space))):
        for level, archs in listed.items():
            ms = latency(archs)
            for budget, most in budgets.items():
                # Of a latency much lower than allowed none is the best.
                close = [archs[i] for i in np.argsort(-ms, kind="stable") if ms[i] <= most][:_SCORED]
                if close:
                    found[f"{how} {level}{budget}"] = close[int(np.argmax(score(close)))]
    return found


def write_baselines(winner: Baseline, baselines: Sequence[Baseline], target_ms: float, path: Path) -> None:
    """Writes the comparison as JSON."""
    content = {
        "target_ms": target_ms,
        "winner": vars(winner),
        "baselines": [vars(one) for one in baselines],
    }
    files.write(path, json.dumps(content, indent=1) + "\n")


def read_baselines(path: Path) -> tuple[Baseline, list[Baseline]]:
    """Returns the winner and the others of a file of `write_baselines`."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Baseline(**found["winner"]), [Baseline(**one) for one in found["baselines"]]
