"""Our page beside LiteRT.js, where Chromium and the runtimes for pages are."""

import pytest

from sparsenas.__main__ import main
from sparsenas.bench.web import OURS, PEER, bench_web
from sparsenas.chromium import find_browser
from sparsenas.cross import repository
from sparsenas.errors import UserError
from sparsenas.export.web import ISAS
from tests.cli.test_main import fails


@pytest.fixture
def browser():
    for isa in ISAS:
        if not (repository() / "build" / "wasm" / "wasm" / "web" / f"sparsenas_{isa}.wasm").exists():
            pytest.skip("the runtimes for pages are not built: make test-wasm")
    try:
        find_browser()
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("peers", [False, True])
def test_every_engine_computes_the_network(peers, browser):
    if peers and not (repository() / "build" / "npm" / "node_modules" / "@litertjs").is_dir():
        pytest.skip("LiteRT.js is not there: sparsenas bench web fetches it")
    told = []
    found = bench_web(
        sparsities=(0.0, 0.9), peers=peers, rounds=2, visit_ms=1, loads=1, width=0.25, side=32, classes=7,
        report=lambda done, total, note: told.append((done, total, note)),
    )  # fmt: skip
    records = found["records"]
    engines = {OURS, PEER} if peers else {OURS}
    assert {(one["sparsity"], one["engine"]) for one in records} == {
        (zeros, engine) for zeros in (0.0, 0.9) for engine in engines
    }
    assert all(one["ms"] > 0 and one["max_abs_difference"] < 1e-3 for one in records)
    assert [one["sparsity"] for one in found["ratios"]] == ([0.0, 0.9] if peers else [])
    assert all(one["ratio"] > 0 for one in found["ratios"])
    assert told[-1] == (2 + 2 * len(engines), 2 + 2 * len(engines), "round 2 of 2")
    assert found["first_result_ms"] > 0
    assert found["page_bytes"] > 100_000


def test_settings_that_mean_nothing_are_refused(capsys):
    assert "`--sparsity` must be 0 or more and below 1, found 1" in fails(
        capsys, "bench", "web", "--sparsity", "1"
    )
    assert "`--rounds` must be at least 1, found 0" in fails(capsys, "bench", "web", "--rounds", "0")
    with pytest.raises(SystemExit):
        main(["bench", "web", "--help"])
    assert "--sparsity" in capsys.readouterr().out
