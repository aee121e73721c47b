import shutil
import struct
from pathlib import Path

import pytest

import sparsenas
from sparsenas import cross
from sparsenas.bench import emulated
from sparsenas.bench.emulated import CORES, CycleModel, Emulator, find_model, summarize_emulated
from sparsenas.errors import UserError
from sparsenas.space import Layer
from sparsenas.sparsity.patterns import Unstructured

BUILD = Path(sparsenas.__file__).resolve().parents[1] / "build" / "arm64" / "build.ninja"
# The first build takes minutes; `make test` has made it by now.
needs_emulator = pytest.mark.skipif(
    not (shutil.which("qemu-aarch64") and BUILD.is_file()), reason="needs qemu-aarch64 and `make test-arm64`"
)
needs_model = pytest.mark.skipif(find_model() is None, reason="needs llvm-mca 17 or newer")

POINTWISE = Layer(
    name="layer", op="conv1x1", inputs=(-1,), c_in=64, c_out=64, height=28, width=28, activation="relu6",
    pattern=Unstructured(), sparsity=0.9,
)  # fmt: skip


@needs_emulator
def test_counts_are_the_same_each_time_and_fewer_than_xnnpacks(tmp_path):
    emulator = Emulator(tmp_path)
    kernel_name, blocks = emulator.count(POINTWISE)
    assert kernel_name == "conv1x1_unstructured_neon"
    # The emulator may cut the same instructions into other blocks.
    assert emulated.instructions(emulator.count(POINTWISE)[1]) == emulated.instructions(blocks)
    assert all(times > 0 for times in blocks.values())
    # XNNPACK's kernel takes 285,600 for this layer; each useful multiply-add of four floats takes one.
    assert POINTWISE.macs / 4 < emulated.instructions(blocks) < 285_600


@needs_emulator
@needs_model
def test_modelled_cores_differ_as_cores_do(tmp_path):
    emulator = Emulator(tmp_path)
    cycles = CycleModel(find_model(), emulator.image).cycles(emulator.count(POINTWISE)[1])
    assert cycles["cortex-a55"] > cycles["cortex-a72"] > cycles["neoverse-n1"]
    # The last one has two units for multiply-adds of four floats.
    assert cycles["neoverse-n1"] > POINTWISE.macs / 8


@needs_model
def test_cycles_are_those_of_the_instructions():
    # fmla v0.4s, v1.4s, v2.4s, four times: each waits for the one before.
    code = bytes.fromhex("20cc224e") * 4
    cycles = CycleModel(find_model(), [(0x1000, code)]).cycles({(0x1000, 4): 10})
    assert set(cycles) == set(CORES)
    for times in cycles.values():
        assert times == pytest.approx(10 * 4 * 4, rel=0.6)


def test_segments_are_what_an_elf_program_loads():
    header = bytearray(64)
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, 2)
    loaded = struct.pack("<IIQQQQ", 1, 5, 176, 0x4000, 0, 4) + bytes(16)
    other = struct.pack("<IIQQQQ", 4, 4, 0, 0, 0, 8) + bytes(16)
    assert emulated._segments(bytes(header) + loaded + other + b"code") == [(0x4000, b"code")]


def test_summaries_are_for_a_useful_multiply_add_of_four_floats():
    base = {"op": "conv1x1", "pattern": "dense", "sparsity": 0.0, "useful_macs": 400}
    (summary,) = summarize_emulated(
        [
            {**base, "instructions": 100, "modelled_cycles": {"cortex-a55": 50.0}},
            {**base, "instructions": 400, "modelled_cycles": {"cortex-a55": 200.0}},
        ]
    )
    assert summary.instructions == pytest.approx(2.0)
    assert summary.cycles == {"cortex-a55": pytest.approx(1.0)}


@pytest.mark.parametrize("name", ["qemu-aarch64", "node"])
def test_a_missing_program_is_one_line_with_what_to_install(monkeypatch, name):
    monkeypatch.setattr(shutil, "which", lambda *args, **kwargs: None)
    with pytest.raises(UserError, match=f"needs the program {name}: ") as error:
        cross.tool(name, "install it")
    assert "\n" not in str(error.value)


def test_a_missing_compiler_is_one_line_with_what_to_install(monkeypatch):
    monkeypatch.setattr(cross.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install 'ziglang"):
        cross.zig_environment()


def test_a_failing_program_says_why():
    with pytest.raises(UserError, match="sh failed with code 3: an error: no paper"):
        cross.run(["sh", "-c", "echo an error: no paper >&2; echo later >&2; exit 3"])
