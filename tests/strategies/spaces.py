"""Spaces and rewards that tests of strategies share."""

import numpy as np

from sparsenas.bench.tabular import Table
from sparsenas.cli.lookup import find_space
from sparsenas.space import Choice
from sparsenas.strategies.base import Result

TINY = find_space("tiny")


def share(space, arch):
    """Highest at the last option of every choice."""
    return sum(arch) / sum(len(choice.options) - 1 for choice in space.choices)


def play(strategy, trials, score, *, seed=0, batch=1):
    """Plays in groups, each told before the next is asked; returns what was asked for, and the state."""
    state, asked = strategy.init(), []
    while len(asked) < trials:
        at, group = state, []
        for number in range(len(asked), min(len(asked) + batch, trials)):
            group.append(strategy.ask(at, np.random.default_rng((seed, number))))
            at = strategy.expect(at, group[-1])
        for arch in group:
            state = strategy.tell(state, arch, result_of(score, arch))
        asked += group
    return asked, state


def result_of(score, arch):
    found = score(arch)
    return Result(found["accuracy"], found) if isinstance(found, dict) else Result(found, {"accuracy": found})


def grid(*sizes, seed=0):
    """A table of a small space in which accuracy and cost grow with options, with bumps."""
    archs = tuple(map(tuple, np.indices(sizes).reshape(len(sizes), -1).T.tolist()))
    rng = np.random.default_rng(seed)
    level = np.array(archs).sum(1) / sum(size - 1 for size in sizes)
    accuracy = 0.5 + 0.3 * np.sqrt(level) + 0.02 * rng.random(len(archs))
    trainings = np.clip(accuracy[:, None] + 0.01 * rng.standard_normal((len(archs), 3)), 0, 1)
    return Table(
        name="grid",
        choices=tuple(Choice(f"c{i}", tuple(range(size))) for i, size in enumerate(sizes)),
        archs=archs,
        accuracy=trainings,
        costs={"latency_ms": 0.1 + level + 0.05 * rng.random(len(archs)), "macs": 100 * (1 + level)},
    )
