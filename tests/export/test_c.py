"""The exported program, built by CMake and run: here, and for arm64 under the emulator."""

import shutil
import sys

import numpy as np
import pytest

from sparsenas import files
from sparsenas.cross import repository, run, tool
from sparsenas.export.c import build_example, run_program, to_c
from sparsenas.export.network import normalized, random_network, reference
from sparsenas.export.snas import to_bytes
from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.pruning import uniform


def network():
    layers = REFERENCES["mobilenet_v1"].layers(width=0.25, side=32, classes=7, rule=uniform(0.9))
    images = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    return normalized(random_network(layers, seed=0), images), images


def installed(target, place):
    """Installs a library that make test-native or make test-arm64 has built."""
    build = repository() / "build" / target
    if not (build / "capi" / "libsparsenas.a").exists():
        pytest.skip(f"build/{target} is not built: make test-{target}")
    run([tool("cmake", "pip install cmake"), "--install", str(build), "--prefix", str(place)])
    return place / "lib" / "cmake" / "sparsenas"


def test_the_model_is_an_array():
    made, _ = network()
    text = to_c(made)["model.c"].decode()
    numbers = text[text.index("{") + 1 : text.index("}")]
    assert bytes(map(int, numbers.split(","))) == to_bytes(made)


def test_the_sources_are_whole():
    made, _ = network()
    content = to_c(made)
    native = repository() / "native"
    wanted = [
        f"sparsenas/{path.relative_to(native)}"
        for folder in ("base", "kernels", "model")
        for path in (native / folder).rglob("*.h")
    ]
    assert set(wanted) <= content.keys()
    assert not [name for name in content if "/test" in name or "/bench" in name]
    assert b"Apache License" in content["sparsenas/LICENSE"]


@pytest.mark.parametrize("target", ["native", "arm64"])
def test_the_program_computes_the_same(target, tmp_path, monkeypatch):
    # Which has ziglang.
    monkeypatch.setenv("PYTHON", sys.executable)
    made, images = network()
    library = installed(target, tmp_path / "installed")
    folder = tmp_path / "program"
    files.write_folder(folder, to_c(made))
    options, command = [], []
    if target == "arm64":
        if shutil.which("qemu-aarch64") is None:
            pytest.skip("needs qemu-aarch64 (Debian: apt install qemu-user)")
        # The toolchain comes with the sources.
        options = [f"-DCMAKE_TOOLCHAIN_FILE={folder / 'sparsenas' / 'cmake' / 'zig-aarch64.cmake'}"]
        command = ["qemu-aarch64"]
    program = build_example(folder, tmp_path / "build", library, options)
    found = run_program([*command, str(program)], images, tmp_path)
    np.testing.assert_allclose(found, reference(made, images), atol=1e-4, rtol=0)
