import numpy as np
import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.pipeline import STRATEGIES
from sparsenas.strategies.base import Result
from sparsenas.strategies.evolution import regularized_evolution

SPACE = find_space("tiny")


def score(arch):
    """Highest at the last option of every choice."""
    return sum(arch) / sum(len(choice.options) - 1 for choice in SPACE.choices)


def play(strategy, trials):
    state, told = strategy.init(), []
    for number in range(trials):
        arch = strategy.ask(state, np.random.default_rng((0, number)))
        state = strategy.tell(state, arch, Result(score(arch), {}))
        told.append(arch)
    return told


@pytest.mark.parametrize("name", STRATEGIES)
def test_same_seed_gives_the_same_sequence(name):
    assert play(STRATEGIES[name](SPACE), 100) == play(STRATEGIES[name](SPACE), 100)


def test_evolution_finds_better_than_random_with_as_many_trials():
    evolved = max(map(score, play(regularized_evolution(SPACE, population=32, tournament=8), 400)))
    drawn = max(map(score, play(STRATEGIES["random"](SPACE), 400)))
    assert evolved > drawn + 0.1


def test_evolution_forgets_its_oldest_member():
    strategy = regularized_evolution(SPACE, population=4, tournament=2)
    state = strategy.init()
    for number in range(5):
        state = strategy.tell(state, SPACE.largest, Result(number, {}))
    assert [reward for _, reward in state] == [1, 2, 3, 4]


def test_evolution_mutates_the_winner_of_a_full_tournament():
    strategy = regularized_evolution(SPACE, population=3, tournament=3)
    rng = np.random.default_rng(0)
    members = [SPACE.smallest, SPACE.largest, SPACE.sample(rng)]
    state = strategy.init()
    for arch, reward in zip(members, (0.1, 0.9, 0.2), strict=True):
        state = strategy.tell(state, arch, Result(reward, {}))
    child = strategy.ask(state, rng)
    used = set(SPACE.used_choices(child)) & set(SPACE.used_choices(SPACE.largest))
    assert sum(child[i] != SPACE.largest[i] for i in used) == 1


def test_evolution_refuses_a_tournament_larger_than_the_population():
    with pytest.raises(ValueError, match=r"`tournament` \(9\) must be at least 2 and at most"):
        regularized_evolution(SPACE, population=8, tournament=9)
