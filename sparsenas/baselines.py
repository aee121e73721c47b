"""What a search is to be compared with: networks of the same space with one sparsity in all layers.

Their widths, depths and whatever else are chosen by the same scores and within the same latency as the
search's own, so that what differs is where the zeros are.
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
        name: says the sparsity and for what part of the target it was chosen.
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
    zeros = [i for i, kind in enumerate(kinds(space)) if kind == {"sparsities"}]
    if not zeros:
        return {}
    levels = [
        level
        for level in space.choices[zeros[0]].options
        if all(level in space.choices[i].options for i in zeros)
    ]
    others = [range(len(one.options)) if i not in zeros else (0,) for i, one in enumerate(space.choices)]
    if math.prod(map(len, others)) <= _LISTED:
        listed = list(itertools.product(*others))
    else:
        listed = [tuple(int(rng.integers(len(one))) for one in others) for _ in range(_LISTED)]
    found = {}
    for level in levels:
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
    """Returns for each sparsity and budget the network with the highest score within the budget.

    Args:
        latency, score: of architectures: [N].
        budgets: milliseconds by what to call them.
    """
    found = {}
    for level, archs in uniform(space, rng).items():
        ms = latency(archs)
        for budget, most in budgets.items():
            # Of a latency much lower than allowed none is the best.
            close = [archs[i] for i in np.argsort(-ms, kind="stable") if ms[i] <= most][:_SCORED]
            if close:
                found[f"uniform {level}{budget}"] = close[int(np.argmax(score(close)))]
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
