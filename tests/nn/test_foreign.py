"""When the native primitives serve, and what happens where they cannot."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas import native
from sparsenas.nn import foreign
from sparsenas.nn.depthwise import depthwise, library
from tests.nn.against import normal


def test_single_precision_on_a_cpu_is_served():
    assert foreign.serve(jnp.ones(1), jnp.ones(2))
    assert not foreign.serve(jnp.ones(1), jnp.ones(1, jnp.bfloat16))


@pytest.mark.parametrize(
    ("capsules", "reason"), [({}, "built without jaxlib"), ({"depthwise": object()}, "this version of jax")]
)
def test_without_primitives_one_warning_and_the_librarys_results(monkeypatch, capsules, reason):
    monkeypatch.setattr(foreign, "_ready", functools.cache(foreign._ready.__wrapped__))
    monkeypatch.setattr(native, "primitives", lambda: capsules)
    x, kernel = normal(2, 5, 5, 3), normal(3, 3, 3)
    with pytest.warns(UserWarning, match=reason):
        y = depthwise(x, kernel)
    np.testing.assert_array_equal(y, library(x, kernel, 1))


def test_an_instruction_set_that_the_machine_lacks_is_an_error(monkeypatch):
    monkeypatch.setenv("SPARSENAS_ISA", "neon" if native.isas()[0] != "neon" else "avx2")
    with pytest.raises(jax.errors.JaxRuntimeError, match="must name one of this machine's instruction sets"):
        jax.block_until_ready(depthwise(normal(1, 2, 2, 3), normal(3, 3, 3)))


def test_all_instruction_sets_compute_the_same(monkeypatch):
    x, kernel = normal(2, 6, 7, 35), normal(3, 3, 35)
    expected = depthwise(x, kernel)
    for isa in native.isas():
        monkeypatch.setenv("SPARSENAS_ISA", isa)
        # Whether a product is rounded before it is added differs.
        np.testing.assert_allclose(depthwise(x, kernel), expected, rtol=1e-5, atol=1e-5)


def test_one_thread_computes_what_several_do(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from sparsenas.nn.normalized import normalized\n"
        "x = np.random.default_rng(0).normal(size=(32, 8, 8, 24)).astype(np.float32)\n"
        "y, mean, variance = normalized(x, x[0, :3, :3], x[0, 0, 0], x[0, 0, 1], activation='relu')\n"
        "np.savez(sys.argv[1], y=y, mean=mean, variance=variance)\n"
    )
    files = []
    for threads in ("1", "2"):
        files.append(tmp_path / f"{threads}.npz")
        # As a worker of a cluster is told.
        command = [sys.executable, "-c", code, str(files[-1])]
        subprocess.run(command, env={**os.environ, "PJRT_NPROC": threads}, check=True)
    one, two = map(np.load, files)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
