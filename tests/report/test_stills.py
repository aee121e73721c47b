"""Pictures of a report are files of their own."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from sparsenas.report.run import Curve
from sparsenas.report.stills import FOLDER, MAIN, stills, write_stills
from tests.report.test_page import EVIL, made_up

CURVE = Curve(name="supernet, loss", steps=(1, 2, 3), values=(3.0, 2.0, 1.0))


def test_every_picture_is_a_file_with_its_own_style(tmp_path):
    write_stills(replace(made_up(), curves=(CURVE,)), tmp_path)
    written = [tmp_path / MAIN, *sorted((tmp_path / FOLDER).iterdir())]
    assert [path.name for path in written] == ["search.svg", "course.svg", "layers.svg", "supernet-loss.svg"]
    for path in written:
        root = ET.fromstring(path.read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "prefers-color-scheme: dark" in root.find("{*}style").text


def test_bars_are_as_long_as_layers_take():
    run = made_up()
    bars = [one for one in ET.fromstring(stills(run)["layers"]).iter() if one.get("height") == "9"]
    lengths = [float(bar.get("width")) for bar in bars]
    times = [
        us for layer, twin in zip(run.layers, run.dense_layers, strict=True) for us in (layer.us, twin.us)
    ]
    assert lengths == pytest.approx([us / max(times) * max(lengths) for us in times], abs=0.1)


def test_nothing_of_a_users_becomes_markup():
    run = made_up()
    evil = replace(run, layers=(replace(run.layers[0], name=EVIL),))
    tags = {one.tag.rpartition("}")[2] for one in ET.fromstring(stills(evil)["layers"]).iter()}
    assert tags == {"svg", "style", "rect", "text"}


def test_run_without_layers_and_trials_has_no_pictures_of_them():
    assert stills(made_up(0, layers=(), dense_layers=())) == {}
