import numpy as np
import pytest

from sparsenas.builder import Builder
from sparsenas.errors import UserError
from sparsenas.strategies.beliefs import Beliefs, beliefs_of, collapses, read_beliefs, write_beliefs


def space():
    net = Builder("believed", image=(8, 8, 3), classes=10)
    width = net.choice("width", (8, 16, 24))
    x = net.conv_hwc("stem", net.image, width)
    x = net.optional(net.choice("depth", (0, 1)) >= 1, x, lambda x: net.conv1x1("mix", x, width))
    return net.classify(x)


SPACE = space()
EVEN = {"width": [1 / 3] * 3, "depth": [0.5, 0.5]}


def over_time(**each):
    """Beliefs at steps 10, 20, ...; a choice that is not given stays even."""
    rows = len(next(iter(each.values())))
    found = [each.get(name, [EVEN[name]] * rows) for name in ("width", "depth")]
    return beliefs_of(SPACE, [10 * (i + 1) for i in range(rows)], [np.array(one) for one in found])


def test_beliefs_survive_their_file(tmp_path):
    beliefs = over_time(width=[[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    write_beliefs(beliefs, tmp_path / "beliefs.json")
    found = read_beliefs(tmp_path / "beliefs.json")
    assert (found.choices, found.options, found.steps) == (beliefs.choices, beliefs.options, (10, 20))
    for one, other in zip(found.probabilities, beliefs.probabilities, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_allclose(found.last[0], [0.1, 0.1, 0.8])


def test_a_collapse_says_what_and_since_when():
    skipped = [[0.5, 0.5], [0.9, 0.1], [0.6, 0.4], [0.85, 0.15], [0.95, 0.05]]
    (found,) = collapses(SPACE, over_time(depth=skipped))
    assert (found.kind, found.since, found.probabilities) == ("depth", 40, {"depth": 0.95})
    assert str(found).startswith("collapsed to skip connections since step 40: ")
    (found,) = collapses(SPACE, over_time(width=[[0.9, 0.05, 0.05]] * 2))
    assert (found.kind, found.since) == ("width", 10)


def test_undecided_and_decided_for_more_is_no_collapse():
    assert collapses(SPACE, over_time(depth=[[0.95, 0.05], [0.7, 0.3]])) == []
    assert collapses(SPACE, over_time(width=[[0.01, 0.01, 0.98]], depth=[[0.02, 0.98]])) == []
    assert collapses(SPACE, beliefs_of(SPACE, [], [np.zeros((0, 3)), np.zeros((0, 2))])) == []


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"must have shapes \[\(1, 2\)\], found \[\(1, 3\)\]"):
        Beliefs(choices=("a",), options=((0, 1),), steps=(1,), probabilities=(np.zeros((1, 3)),))


WIDER = '{"name": "a", "options": [1], "probabilities": [[1, 2]]}'


@pytest.mark.parametrize("content", ["", "[]", '{"steps": [1]}', f'{{"steps": [1], "choices": [{WIDER}]}}'])
def test_other_files_are_a_users_error(tmp_path, content):
    path = tmp_path / "beliefs.json"
    path.write_text(content)
    with pytest.raises(UserError, match="Expected the beliefs of a search in .*beliefs.json"):
        read_beliefs(path)
    with pytest.raises(UserError, match="Cannot read the beliefs"):
        read_beliefs(tmp_path / "none.json")
