"""Modelled cores: the arithmetic everywhere, the emulator and LLVM where they are installed."""

import shutil
from dataclasses import replace
from typing import ClassVar

import pytest

from sparsenas.backends import modelled
from sparsenas.backends.modelled import CORES, FIGURES, modelled_table
from sparsenas.bench.emulated import Model, find_model
from sparsenas.cli.lookup import find_space
from sparsenas.cross import repository
from sparsenas.errors import UserError
from sparsenas.latency.devices import check_measured_here
from sparsenas.latency.table import load, save
from tests.backends.conftest import DESIGN, LAYERS


def test_public_figures_are_of_networks_that_there_are():
    for figure in FIGURES:
        zeros = [layer.sparsity for layer in figure.layers if layer.sparsity]
        assert bool(zeros) == bool(figure.zeros)
        assert all(zero == figure.zeros for zero in zeros)


def test_error_of_a_figure_is_that_of_a_factor_calibrated_without_it():
    fits = [replace(figure, fits=True) for figure in FIGURES[:3]]
    other = replace(FIGURES[-1], fits=False)
    found = modelled._calibration(dict(zip([*fits, other], [2.0, 2.0, 4.0, 1.0], strict=True)))
    assert found["factor"] == 2.0
    assert (found["least"], found["most"]) == (2.0, 4.0)
    errors = [one["error"] for one in found["figures"].values()]
    # Of 2 and 4 the middle, on a scale of ratios, is their geometric mean.
    assert errors == pytest.approx([8**0.5 / 2 - 1, 8**0.5 / 2 - 1, -0.5, 1.0], abs=1e-3)
    assert found["worst_error"] == 1.0


def test_core_that_is_not_modelled_is_refused():
    with pytest.raises(UserError, match="No modelled core named 'm4'. There are: cortex-a55, cortex-a72"):
        modelled_table("modelled:m4", DESIGN)


def test_blocks_that_hardly_run_count_in_proportion():
    class OneCyclePerInstruction:
        def cycles(self, blocks):
            return {"x": float(sum(size * times for (_, size), times in blocks.items()))}

    blocks = {(0, 10): 1000, (64, 5): 10, (128, 1): 1}
    assert modelled._estimated(OneCyclePerInstruction(), blocks) == {"x": pytest.approx(10051)}


@pytest.mark.skipif(
    shutil.which("qemu-aarch64") is None or find_model() is None,
    reason="needs qemu-aarch64 and llvm-mca (Debian: apt install qemu-user llvm-19)",
)
def test_table_is_modelled_and_every_time_an_interval(tmp_path, monkeypatch):
    if not (repository() / "build" / "arm64" / "tools" / "sparsenas-count-runs").exists():
        pytest.skip("build/arm64 is not built: make test-arm64")
    space = find_space("tiny")
    tiny = space.layers(space.smallest)
    figures = [replace(figure, ms=1.0) for figure in FIGURES[:2]]
    monkeypatch.setattr(modelled.Figure, "layers", tiny)
    table = modelled_table("modelled:cortex-a55", DESIGN, figures=figures)
    save(table, tmp_path / "a55.json")
    found = load(tmp_path / "a55.json")
    assert found.kind == "modelled"
    assert {one.layer for one in found.layers} == set(LAYERS)
    assert all(one.low_us < one.high_us for one in found.layers)
    assert found.how["ghz"] == CORES["cortex-a55"].ghz
    assert set(found.how["calibration"]["figures"]) == {figure.name for figure in figures}
    with pytest.raises(UserError, match="is modelled, but finalists are measured here"):
        check_measured_here(found)


class CountingOnPaper:
    """Counts a run of a model file as many blocks as it has bytes, and remembers which it was asked for."""

    image = ()
    asked: ClassVar[list[int]] = []
    most = 100

    def __init__(self, folder):
        pass

    def count_model(self, data):
        self.asked.append(len(data))
        if len(self.asked) > self.most:
            raise KeyboardInterrupt
        return "kernel", {(0, 1): len(data)}


class OneCycle:
    def __init__(self, model, image):
        pass

    def cycles(self, blocks):
        return dict.fromkeys(modelled._LLVM, float(sum(blocks.values())))


def test_counting_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(modelled, "find_model", lambda: Model("mca", "mc", 19))
    monkeypatch.setattr(modelled, "Emulator", CountingOnPaper)
    monkeypatch.setattr(modelled, "CycleModel", OneCycle)
    monkeypatch.setattr(modelled.os, "cpu_count", lambda: 1)
    monkeypatch.setattr(CountingOnPaper, "asked", [])
    monkeypatch.setattr(CountingOnPaper, "most", 3)
    space = find_space("tiny")
    monkeypatch.setattr(modelled.Figure, "layers", space.layers(space.smallest))
    settings = {"figures": [replace(figure, ms=1.0) for figure in FIGURES[:2]]}
    journal = tmp_path / "a55.json.part"
    with pytest.raises(KeyboardInterrupt):
        modelled_table("modelled:cortex-a55", DESIGN, journal=journal, **settings)
    assert len(journal.read_text().splitlines()) == 1 + 3
    monkeypatch.setattr(CountingOnPaper, "asked", [])
    found = modelled_table("modelled:cortex-a55", DESIGN, journal=journal, **settings)
    # The same counts serve another core.
    other = modelled_table("modelled:cortex-a76", DESIGN, journal=journal, **settings)
    assert len(CountingOnPaper.asked) == len(LAYERS) + 2 - 3
    assert [one.layer for one in other.layers] == [one.layer for one in found.layers]
    monkeypatch.setattr(CountingOnPaper, "most", 100)
    fresh = modelled_table("modelled:cortex-a55", DESIGN, **settings)
    assert fresh.layers == found.layers

    monkeypatch.setattr(modelled, "find_model", lambda: Model("mca", "mc", 20))
    with pytest.raises(UserError, match="belongs to another measurement: core_models is 19 there, 20 here"):
        modelled_table("modelled:cortex-a55", DESIGN, journal=journal, **settings)
    monkeypatch.setattr(modelled, "find_model", lambda: Model("mca", "mc", 19))
    journal.write_text("\n".join([*journal.read_text().splitlines()[:2], '{"kernel": "x"}', ""]))
    with pytest.raises(UserError, match="is damaged; delete it"):
        modelled_table("modelled:cortex-a55", DESIGN, journal=journal, **settings)
