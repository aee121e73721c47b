import pytest

from sparsenas.cluster.fate import CRASHED, ERROR, HERE, LOST, MEMORY, OVERDUE, REFUSED, fate


def of(*ends, attempts=4, node="n"):
    return fate([(node, end) for end in ends], attempts=attempts)


def test_first_attempt_is_whole():
    assert of() == (1, None)


def test_dead_nodes_and_drivers_are_no_fault_of_a_candidate():
    assert of(*[LOST, None] * 50) == (1, None)


def test_driver_that_dies_with_a_candidate_of_its_own_counts():
    assert of(None, None, None, attempts=4, node=HERE).given_up is None
    assert "4 x crashed" in of(None, None, None, None, attempts=4, node=HERE).given_up


@pytest.mark.parametrize("end", [CRASHED, OVERDUE])
def test_attempts_are_limited(end):
    assert of(end, end, end).given_up is None
    assert of(end, LOST, end, None, end, end).given_up == f"4 failed attempts: 4 x {end}"


def test_memory_halves_the_batch_once():
    assert of(MEMORY) == (2, None)
    assert of(MEMORY, LOST, CRASHED) == (2, None)
    assert of(MEMORY, MEMORY).given_up == "out of memory, also with half a batch at a time"


def test_same_error_twice_is_enough():
    assert of(ERROR + "KeyError: 1").given_up is None
    assert of(ERROR + "KeyError: 1", ERROR + "KeyError: 2").given_up is None
    assert of(ERROR + "KeyError: 1", ERROR + "KeyError: 1").given_up == "KeyError: 1 (twice)"


def test_what_is_refused_is_not_asked_again():
    assert of(REFUSED + "Training diverged").given_up == "Training diverged"
