import json
import shutil
from dataclasses import replace

import pytest

from sparsenas.bench.supernet import TauSettings, bench_supernet, rank_correlation
from sparsenas.builder import Builder
from sparsenas.cli.bench_supernet import main
from sparsenas.errors import UserError
from sparsenas.sparsity.patterns import DENSE, Sparse
from sparsenas.train import NetworkSettings, SupernetSettings

SETTINGS = TauSettings(
    architectures=2,
    limit=60,
    supernet=SupernetSettings(steps=4, batch=8),
    network=NetworkSettings(steps=4, batch=8),
)


def small_space():
    net = Builder("small", image=(8, 8, 3), classes=10)
    x = net.conv_hwc("stem", net.image, net.choice("width", (4, 8)), stride=2, activation="relu6")
    zeros = net.choice("zeros", (DENSE, Sparse(0.5)))
    return net.classify(net.conv1x1("mix", x, 8, activation="relu6", sparsity=zeros))


SPACE = small_space()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with networks, and their record."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, rank_correlation(SPACE, "digits", SETTINGS, folder)


def test_every_figure_is_there(tmp_path):
    found = bench_supernet(SPACE, datasets=[], settings=SETTINGS, folder=tmp_path, rounds=1)
    assert found["compilations"] == 1
    assert found["step_ratio"] == pytest.approx(found["step_ms"] / found["largest_step_ms"])
    assert found["vmapped_speedup"] == pytest.approx(found["one_by_one_ms"] / found["together_ms"])
    assert found["tau"] == []
    json.dumps(found)


def test_what_is_trained_is_not_trained_again(trained):
    folder, first = trained
    assert (first.dataset, first.architectures) == ("digits", 2)
    kept = {path: path.stat().st_mtime_ns for path in (folder / "digits").rglob("*") if path.is_file()}
    assert len(kept) == 2 + 2 * 2  # Settings, supernet, two seeds of each network.
    seen = []
    again = rank_correlation(SPACE, "digits", SETTINGS, folder, report=lambda *found: seen.append(found))
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert [(done, total) for done, total, _ in seen] == [(i, 5) for i in range(6)]


def test_networks_of_other_settings_are_not_mixed(trained):
    other = replace(SETTINGS, network=NetworkSettings(steps=5, batch=8))
    with pytest.raises(UserError, match="holds networks that were trained otherwise .* name another"):
        rank_correlation(SPACE, "digits", other, trained[0])


def test_another_supernet_is_compared_with_the_same_networks(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    other = replace(SETTINGS, supernet=SupernetSettings(steps=6, batch=8))
    again = rank_correlation(SPACE, "digits", other, tmp_path)
    for same in ("spread", "tau_flops", "tau_seeds"):
        assert getattr(again, same) == getattr(trained[1], same)
    assert len(list((tmp_path / "digits").glob("supernet-*"))) == 2
    assert len(list((tmp_path / "digits" / "alone").iterdir())) == 2 * 2


def test_a_damaged_result_is_one_line(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    (path, *_) = (tmp_path / "digits" / "alone").iterdir()
    path.write_text("{")
    with pytest.raises(UserError, match="Cannot read .*remove it to train the network again"):
        rank_correlation(SPACE, "digits", SETTINGS, tmp_path)


def test_a_space_has_to_have_as_many_networks(tmp_path):
    with pytest.raises(UserError, match="Space 'small' has at most 4 networks, asked for 5"):
        rank_correlation(SPACE, "digits", replace(SETTINGS, architectures=5), tmp_path)


def test_options_are_checked():
    with pytest.raises(UserError, match="`--architectures` must be at least 2, found 1"):
        main(["--architectures", "1"])
