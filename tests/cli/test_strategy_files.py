"""A user's own strategy, and what is wrong with it in one line."""

import re

import numpy as np
import pytest

from sparsenas.cli.lookup import find_strategy
from sparsenas.errors import UserError
from sparsenas.objectives import Costs, Objective
from sparsenas.strategies.catalog import STRATEGIES, Aim, make
from tests.documents import blocks
from tests.strategies.spaces import TINY, play, share

AIM = Aim(trials=100, objectives=(Objective("accuracy"),), costs=Costs(functions={}))
START = "from sparsenas.strategies.base import Strategy\n"


def documented():
    (block,) = [one.text for one in blocks("docs/strategies.md") if one.title == "hill_climbing.py"]
    return block


def test_documented_example_climbs(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(documented())
    assert len(documented().splitlines()) <= 22
    found, _ = play(make(str(path), find_strategy(str(path)), TINY, AIM), 150, lambda arch: share(TINY, arch))
    drawn = [share(TINY, TINY.sample(np.random.default_rng(i))) for i in range(150)]
    assert max(share(TINY, arch) for arch in found) > max(drawn) + 0.1


def test_names_are_found():
    assert find_strategy("nsga2") is STRATEGIES["nsga2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "must define strategy(space), found NoneType"),
        ("strategy = 3", "must define strategy(space), found int"),
        ("def strategy(space):\n    return 1", "found int"),
        ("def strategy(space):\n    return 1 / 0", "line 3: ZeroDivisionError"),
        ("import nothing_of_that_name", "line 2: ModuleNotFoundError"),
        ("def strategy(space) return", "line 2: "),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path, text, said):
    path = tmp_path / "mine.py"
    path.write_text(START + text)
    with pytest.raises(UserError, match=re.escape(said)) as error:
        find_strategy(str(path))(TINY, AIM)
    assert "\n" not in str(error.value)
    assert "mine.py" in str(error.value)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ("space.nothing", "line 3: AttributeError"),
        ("(0, 1)", "option indices, found 2"),
        ("[9] * len(space.choices)", "found 9"),
        ("None", "TypeError"),
    ],
)
def test_what_is_wrong_with_a_proposal_is_one_line(tmp_path, ask, said):
    path = tmp_path / "mine.py"
    path.write_text(
        f"{START}def strategy(space):\n"
        f"    return Strategy(lambda: None, lambda state, rng: {ask}, lambda state, arch, result: state)\n"
    )
    strategy = find_strategy(str(path))(TINY, AIM)
    with pytest.raises(UserError, match=re.escape(said)) as error:
        strategy.ask(strategy.init(), np.random.default_rng(0))
    assert "\n" not in str(error.value)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UserError, match="There are: regularized_evolution, random, nsga2"):
        find_strategy("luck")
    with pytest.raises(UserError, match="No file 'none.py'"):
        find_strategy("none.py")
