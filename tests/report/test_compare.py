"""Several runs on one page."""

from dataclasses import replace

import pytest

from sparsenas.__main__ import main
from sparsenas.report.compare import comparison, write_comparison
from sparsenas.report.summary import read_summary, write_summary
from tests.cli.test_main import fails
from tests.report.test_page import EVIL, made_up


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    summary = made_up().summary
    for name, changes in (("slow", {"latency_ms_measured": 0.02}), ("better", {"accuracy": 0.99})):
        (tmp_path / name).mkdir()
        write_summary(replace(summary, **changes), tmp_path / name / "summary.json")
    return tmp_path


def test_the_page_says_which_is_best(runs):
    named = [(name, read_summary(runs / name / "summary.json")) for name in ("slow", "better")]
    text = comparison(named)
    assert "The most accurate is better with 99.0%" in text
    assert "it is the fastest" in text
    # Marked are the better accuracy and latency; what is equal is not.
    assert text.count("class=best") == 2
    assert "compare with care" not in text
    other = replace(named[0][1], device="phone")
    assert "compare with care" in comparison([("phone", other), named[1]])


def test_names_are_no_markup(runs):
    summary = read_summary(runs / "slow" / "summary.json")
    text = comparison([(EVIL, replace(summary, space=EVIL, dataset=EVIL)), ("b", summary)])
    assert "<script" not in text
    assert "alert(1)" in text
    write_comparison([("a", summary), ("b", summary)], runs / "page.html")
    assert (runs / "page.html").read_text().startswith("<!doctype html>")


def test_the_command_writes_the_page_and_prints_a_table(runs, capsys):
    assert main(["report", "slow", "better", "--compare"]) == 0
    said = capsys.readouterr().out
    assert "Wrote compare.html" in said
    assert "slow" in said
    assert "better" in (runs / "compare.html").read_text()
    assert main(["report", "slow", "better"]) == 0
    assert said != capsys.readouterr().out


def test_what_cannot_be_compared_is_one_line(runs, capsys):
    assert "several runs side by side, found 1" in fails(capsys, "report", "slow", "--compare")
    assert "found slow more than once" in fails(capsys, "report", "slow", "slow", "--compare")
    assert "found no such file" in fails(capsys, "report", "slow", "none", "--compare")
