import os
import subprocess
import sys

import pytest

from sparsenas.errors import UserError
from sparsenas.latency.layer_text import parse_layer
from sparsenas.latency.local import Local
from sparsenas.latency.machine import circumstances, free_cores
from sparsenas.latency.subjects import layer_subject

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="This system keeps no thread on a core."
)
LAST = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


@pytest.fixture
def crowded():
    """The last core with four programs beside us."""
    loop = f"import os; os.sched_setaffinity(0, {{{LAST}}})\nprint(flush=True)\nwhile True: pass"
    programs = [subprocess.Popen([sys.executable, "-c", loop], stdout=subprocess.PIPE) for _ in range(4)]
    try:
        for program in programs:
            program.stdout.readline()
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()
            program.stdout.close()


def test_busy_core_is_refused_and_said_so(crowded):
    before = os.sched_getaffinity(0)
    with pytest.raises(UserError, match=rf"^No free core: core {LAST} is busy, a loop got \d+% of it"):
        free_cores(LAST, 1)
    assert free_cores(LAST, 1, busy=True) == [LAST]
    assert os.sched_getaffinity(0) == before


def test_core_of_another_is_refused():
    with pytest.raises(UserError, match="may not run on core 4000; it may on"):
        free_cores(4000, 1)


@pytest.mark.parametrize("count", [0, 4000])
def test_more_threads_than_cores_are_refused(count):
    with pytest.raises(UserError, match=f"`threads` must be from 1 to .*, found {count}"):
        free_cores(None, count)


def test_local_device_runs_where_it_says_and_leaves_no_trace():
    before = os.sched_getaffinity(0)
    with Local(core=LAST, busy=True) as device:
        assert device.circumstances()["cores"] == [LAST]
        next(device.rounds([_model()], threads=1, count=1))
        assert os.sched_getaffinity(0) == {LAST}
    assert os.sched_getaffinity(0) == before


def _model():
    return layer_subject(parse_layer("add 8x8@4"), seed=0).model


def test_instruction_set_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="This machine has no instruction set 'mmx'; it has "):
        Local(isa="mmx")


def test_scalar_kernels_are_measured_on_any_machine():
    with Local(isa="scalar", busy=True) as device:
        (found,) = device.rounds([_model()], threads=1, count=1)
    assert device.machine["isa"] == "scalar"
    assert found.kernels == ("add_scalar",)


def test_unknown_core_has_no_circumstances():
    assert circumstances(None) == {}
    assert circumstances(4000) == {"caches": {}, "governor": "unknown", "mhz": "unknown"}
