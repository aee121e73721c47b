"""The page tells what was found, asks nobody for anything, and lets nothing of a user's through as markup."""

import base64
import dataclasses
import hashlib
import json
import re
import shlex
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest

from sparsenas.report.charts import (
    MICROSECONDS,
    MILLISECONDS,
    Axis,
    figure_svg,
    frame_of,
    front,
    thinned,
    unit_of,
)
from sparsenas.report.page import page, sentences, write_report
from sparsenas.report.run import BaselinePoint, Finalist, LayerTime, RunReport, TrialPoint
from sparsenas.report.summary import Summary

EVIL = "</script><script>alert(1)</script>\"'&<b>"
VOID = {"meta", "br", "wbr"}


def trial(i: int, *, accuracy: float, latency_ms: float, is_finalist: bool = False) -> TrialPoint:
    options = {"width": 16 + i % 3, "sparsity": "dense" if i % 2 else "unstructured 0.9"}
    return TrialPoint(
        arch=f"{i}-0", options=options, accuracy=accuracy, latency_ms=latency_ms, is_finalist=is_finalist
    )


def made_up(count: int = 60, **changes) -> RunReport:
    """Returns a run whose winner is the first of two finalists."""
    rng = np.random.default_rng(0)
    points = [
        trial(i, accuracy=float(a), latency_ms=float(ms), is_finalist=i < 2)
        for i, (a, ms) in enumerate(
            zip(rng.uniform(0.6, 0.9, count), rng.uniform(0.008, 0.02, count), strict=True)
        )
    ]
    summary = Summary(
        dataset="digits",
        space="tiny",
        strategy="regularized_evolution",
        device="local",
        seed=0,
        trials=count,
        search_seconds=74.2,
        arch="0-0",
        accuracy=0.98,
        dense_accuracy=0.985,
        latency_ms_predicted=0.0114,
        latency_ms_measured=0.012,
        dense_latency_ms_measured=0.024,
        speedup=2.0,
        target_latency_ms=0.0125,
        parity_max_abs_error=4.8e-6,
        file_bytes=50_000,
        dense_file_bytes=100_000,
    )
    layer = LayerTime(
        name="stem", op="conv_hwc", shape="3x16@32x32", sparsity=0.0, kernel="conv_hwc_dense_avx2", us=1.9
    )
    mix = LayerTime(
        name="mix",
        op="conv1x1",
        shape="16x32@16x16",
        sparsity=0.9,
        kernel="conv1x1_unstructured_avx2",
        us=0.71,
    )
    fields = {
        "summary": summary,
        "trials": tuple(points),
        "finalists": tuple(
            Finalist(name=f"{i}-0", accuracy=0.97, latency_ms_predicted=0.0114, latency_ms_measured=0.012)
            for i in range(min(2, count))
        ),
        "layers": (layer, mix),
        "dense_layers": (layer, dataclasses.replace(mix, sparsity=0.0, kernel="conv1x1_dense_avx2", us=2.5)),
        "machine": {"cpu": "A processor", "isa": "avx2", "cores": 2, "pinned_core": 1},
        "command": "sparsenas search --seed 0 --out 'runs/my run' --target-ms=0.0125",
        "versions": {"sparsenas": "0.1.0", "jax": "0.10.0"},
    }
    of_summary = {k: v for k, v in changes.items() if k in Summary.__dataclass_fields__ and k != "trials"}
    fields["summary"] = dataclasses.replace(summary, **of_summary)
    return RunReport(**{**fields, **{k: v for k, v in changes.items() if k not in of_summary}})


class Reader(HTMLParser):
    """Collects elements, text and the content of scripts; checks that elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.elements, self.scripts, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.text += data


def data_of(reader: Reader) -> dict:
    return json.loads(reader.scripts[0])


def test_page_says_what_was_found():
    text = Reader(page(made_up())).text
    for expected in (
        "2.00\N{MULTIPLICATION SIGN} as fast as dense",
        "98.0%",
        "12.0\N{NO-BREAK SPACE}µs",
        "50.0\N{NO-BREAK SPACE}kB",
        "conv1x1_unstructured_avx2",
        "90% zeros",
        "2.50 → 0.71 µs",
        "A processor, 2 cores",
        "pinned to core 1",
        "jax 0.10.0",
        "sparsenas search --seed 0 --out 'runs/my run' --target-ms=0.0125",
        "best/model.snas",
    ):
        assert expected in text


def test_networks_with_one_sparsity_are_compared():
    run = made_up()
    assert "one sparsity" not in page(run)
    run = dataclasses.replace(
        run,
        baselines=(
            BaselinePoint(name=f"unstructured 0.9 {EVIL}", accuracy=0.97, latency_ms_measured=0.018),
            BaselinePoint(name="dense", accuracy=0.4, latency_ms_measured=0.05),
        ),
    )
    reader = Reader(page(run))
    assert "+1.00 points, 1.50\N{MULTIPLICATION SIGN} the speed" in reader.text
    marks = {mark[0]: mark for mark in data_of(reader)["marks"]}
    assert marks["dense, test images"][1:3] == [0.05, 0.4]
    frame = frame_of(run, width=800, height=400)
    assert frame.y.low < 0.4
    assert frame.x.high > 0.05
    drawn = [one.get("class") for one in ET.fromstring(figure_svg(run)).iter()]
    assert drawn.count("baseline") == 2


def test_page_asks_nobody_for_anything():
    text = page(made_up())
    reader = Reader(text)
    assert not re.search(r"https?://|//[a-z]|@import|url\(", re.sub(r"// .*", "", text))
    assert not {"src", "href", "srcset", "action"} & {name for _, attrs in reader.elements for name in attrs}
    assert not any(name.startswith("on") for _, attrs in reader.elements for name in attrs)


def test_policy_allows_the_pages_own_script_and_nothing_else():
    reader = Reader(page(made_up()))
    policy = next(attrs["content"] for tag, attrs in reader.elements if "http-equiv" in attrs)
    digest = base64.b64encode(hashlib.sha256(reader.scripts[1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_nothing_of_a_users_becomes_markup():
    plain = made_up()
    arch = f"9-{EVIL}"
    evil = made_up(
        dataset=EVIL,
        space=EVIL,
        strategy=EVIL,
        device=EVIL,
        arch=arch,
        trials=(*plain.trials, dataclasses.replace(plain.trials[0], arch=arch, options={EVIL: EVIL})),
        finalists=(dataclasses.replace(plain.finalists[0], name=arch), plain.finalists[1]),
        layers=tuple(
            dataclasses.replace(x, name=EVIL, op=EVIL, shape=EVIL, kernel=EVIL) for x in plain.layers
        ),
        machine={"cpu": EVIL, "isa": EVIL, "cores": EVIL, "pinned_core": EVIL},
        command=shlex.join(["sparsenas", "search", "--dataset", EVIL]),
        versions={EVIL: EVIL, "sparsenas": EVIL},
    )
    reader = Reader(page(evil))
    assert len(reader.scripts) == 2
    tags = {tag for tag, _ in reader.elements}
    assert tags == {tag for tag, _ in Reader(page(plain)).elements}
    assert [EVIL, [EVIL]] in data_of(reader)["choices"]
    drawn = {element.tag for element in ET.fromstring(figure_svg(evil)).iter()}
    assert drawn == {element.tag for element in ET.fromstring(figure_svg(plain)).iter()}


def test_figure_is_well_formed_xml_with_its_own_style():
    root = ET.fromstring(figure_svg(made_up()))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in root.find("{*}style").text
    assert "var(--found)" in root.find("{*}style").text
    assert "tiny" in root.find("{*}title").text


def test_written_page_is_the_page(tmp_path):
    write_report(made_up(), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page(made_up())
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_cursor_finds_the_architecture_of_every_mark():
    run = made_up()
    data = data_of(Reader(page(run)))
    marks = {mark[0]: mark for mark in data["marks"]}
    for point in run.trials[2:]:
        _, ms, accuracy, options, _ = marks[f"Trial {point.arch}"]
        assert (ms, accuracy) == pytest.approx((point.latency_ms, point.accuracy), abs=1e-5)
        named = {name: values[i] for (name, values), i in zip(data["choices"], options, strict=True)}
        assert named == {name: str(option) for name, option in point.options.items()}
    assert marks["Dense twin, test images"][1:3] == [0.024, 0.985]
    assert marks["Found 0-0, test images"][1:3] == [0.012, 0.98]
    assert (data["unit"], data["perMs"]) == ("µs", 1000)


def test_ten_thousand_trials_make_a_small_page():
    text = page(made_up(10_000))
    assert len(text) < 400_000
    assert "10,000 trials" in text


def test_axis_starts_above_a_few_hopeless_trials_and_says_how_many_are_hidden():
    run = made_up()
    hopeless = tuple(trial(1000 + i, accuracy=0.1, latency_ms=0.015) for i in range(3))
    assert frame_of(run, width=800, height=400).hidden == 0
    run = dataclasses.replace(run, trials=run.trials + hopeless)
    frame = frame_of(run, width=800, height=400)
    assert frame.y.low > 0.4
    assert frame.hidden == 3
    assert "3 trials of little accuracy lie below" in page(run)


@pytest.mark.parametrize(
    "changes",
    [
        {"trials": ()},
        {"finalists": ()},
        {"layers": (), "dense_layers": ()},
        {"dense_layers": ()},
        {"machine": {}, "versions": {}, "command": ""},
        {"accuracy": 1.0, "dense_accuracy": 1.0},
        {"accuracy": 0.0, "dense_accuracy": 0.0},
        {"speedup": 0.5, "latency_ms_measured": 0.048},
        {"file_bytes": 200_000},
        {"dense_latency_ms_measured": 1234.5},
        {"trials": made_up(1).trials},
        {"trials": made_up(1).trials * 5},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_unusual_runs_have_a_page_too(changes):
    run = made_up(**changes)
    Reader(page(run))
    ET.fromstring(figure_svg(run))
    assert "nan" not in page(run).lower().replace("nano", "")


def test_sentences_name_directions():
    better = sentences(made_up(accuracy=0.99, latency_ms_measured=0.011))
    assert "0.5 points more accurate" in better[1]
    assert "keeps the target" in better[2]
    assert "3.6% above the measurement" in better[2]
    worse = sentences(made_up(latency_ms_measured=0.015, file_bytes=110_000))
    assert "0.5 points less accurate" in worse[1]
    assert "10% larger" in worse[1]
    assert "misses by 20.0% the target" in worse[2]
    assert "24.0% below the measurement" in worse[2]


def test_command_for_a_faster_network_changes_only_target_and_folder():
    text = Reader(page(made_up())).text
    assert "sparsenas search --seed 0 --target-ms 0.00938" in text


def test_front_is_what_nothing_beats():
    rng = np.random.default_rng(1)
    points = [
        trial(i, accuracy=float(a), latency_ms=float(ms))
        for i, (a, ms) in enumerate(rng.integers(1, 9, (80, 2)))
    ]

    def beats(a, b):
        no_worse = a.accuracy >= b.accuracy and a.latency_ms <= b.latency_ms
        return no_worse and (a.accuracy, a.latency_ms) != (b.accuracy, b.latency_ms)

    expected = {(p.latency_ms, p.accuracy) for p in points if not any(beats(other, p) for other in points)}
    assert [(p.latency_ms, p.accuracy) for p in front(points)] == sorted(expected)


def test_thinning_keeps_front_and_finalists_and_no_more_than_asked():
    run = made_up(3000)
    x, y = Axis(0.008, 0.02, 0, 800), Axis(0.6, 0.9, 400, 0)
    kept = thinned(run.trials, x=x, y=y, most=200)
    archs = {point.arch for point in kept}
    assert len(archs) == len(kept)
    always = {p.arch for p in front(run.trials)} | {"0-0", "1-0"}
    assert always <= archs
    assert len(kept) <= 200 + len(always)
    assert thinned(run.trials, x=x, y=y, most=200) == kept


def test_thinning_draws_an_architecture_once():
    points = made_up(5).trials * 3
    assert len(thinned(points, x=Axis(0, 1, 0, 1), y=Axis(0, 1, 0, 1))) == 5


def test_one_unit_serves_the_whole_report():
    assert unit_of(made_up()) is MICROSECONDS
    assert unit_of(made_up(dense_latency_ms_measured=24.0)) is MILLISECONDS


@pytest.mark.parametrize(("low", "high"), [(0, 22), (0.61, 1.02), (4.1, 4.3), (0, 1e-5), (900, 12_000)])
def test_ticks_are_inside_round_and_about_as_many_as_asked(low, high):
    ticks = Axis(low, high, 0, 1).ticks(6)
    assert 2 <= len(ticks) <= 8
    assert all(low <= tick <= high for tick in ticks)
    np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0])
