"""`summary.json` survives a round trip, and a damaged one is named."""

import dataclasses
import json

import pytest

from sparsenas.errors import UserError
from sparsenas.report.summary import Summary, read_summary, write_summary

SUMMARY = Summary(
    dataset="möwen.zip",
    space="tiny",
    strategy="regularized_evolution",
    device="local",
    seed=0,
    trials=192,
    search_seconds=74.25,
    arch="0-2-1",
    accuracy=0.9814,
    dense_accuracy=0.9833,
    latency_ms_predicted=0.0114,
    latency_ms_measured=0.0111,
    dense_latency_ms_measured=0.0206,
    speedup=0.0206 / 0.0111,
    target_latency_ms=0.0118,
    parity_max_abs_error=4.8e-6,
    file_bytes=52096,
    dense_file_bytes=148480,
)


def test_reading_gives_what_was_written(tmp_path):
    write_summary(SUMMARY, tmp_path / "summary.json")
    assert read_summary(tmp_path / "summary.json") == SUMMARY


def test_fields_are_exactly_those_that_others_rely_on(tmp_path):
    write_summary(SUMMARY, tmp_path / "summary.json")
    fields = json.loads((tmp_path / "summary.json").read_text())
    assert " ".join(fields) == (
        "dataset space strategy device seed trials search_seconds arch accuracy dense_accuracy "
        "latency_ms_predicted latency_ms_measured dense_latency_ms_measured speedup target_latency_ms "
        "parity_max_abs_error file_bytes dense_file_bytes"
    )


def test_nothing_but_the_file_is_left(tmp_path):
    write_summary(SUMMARY, tmp_path / "summary.json")
    write_summary(SUMMARY, tmp_path / "summary.json")
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_whole_numbers_are_read_where_a_number_belongs(tmp_path):
    fields = dataclasses.asdict(SUMMARY) | {"accuracy": 1}
    (tmp_path / "summary.json").write_text(json.dumps(fields))
    accuracy = read_summary(tmp_path / "summary.json").accuracy
    assert (type(accuracy), accuracy) == (float, 1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "Expected JSON"),
        ("[]", "found list"),
        ("{}", "'dataset' is missing"),
        (json.dumps(dataclasses.asdict(SUMMARY) | {"new": 1}), "'new'.*unknown"),
        (json.dumps(dataclasses.asdict(SUMMARY) | {"seed": "0"}), "'seed'.*whole number"),
        (json.dumps(dataclasses.asdict(SUMMARY) | {"trials": True}), "'trials'.*whole number"),
        (json.dumps(dataclasses.asdict(SUMMARY) | {"speedup": float("nan")}), "'speedup'.*a number"),
    ],
)
def test_damaged_summary_is_one_error(tmp_path, text, expected):
    path = tmp_path / "summary.json"
    path.write_text(text)
    with pytest.raises(UserError, match=expected) as info:
        read_summary(path)
    assert str(path) in str(info.value)
    assert "\n" not in str(info.value)


def test_missing_summary_says_how_to_go_on(tmp_path):
    with pytest.raises(UserError, match="--resume"):
        read_summary(tmp_path / "summary.json")
