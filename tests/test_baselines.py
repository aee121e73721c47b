import numpy as np

from sparsenas.baselines import Baseline, choose_baselines, read_baselines, scaled, uniform, write_baselines
from sparsenas.cli.lookup import find_space
from sparsenas.cli.search import compared
from sparsenas.cli.show import console

SPACE = find_space("tiny")
RNG = np.random.default_rng(0)


def zeros(arch):
    """The sparsities of the layers that may choose one."""
    return {layer.sparsity for layer in SPACE.layers(arch) if layer.op == "conv1x1"}


def test_uniform_networks_have_one_sparsity_and_every_width_and_depth():
    found = uniform(SPACE, RNG)
    assert list(found) == [f"unstructured {level}" for level in (0.7, 0.8, 0.9, 0.95)]
    for name, archs in found.items():
        # 3 widths and 2 depths of the first stage, 3 and 3 of the second.
        assert len(archs) == len(set(archs)) == 54
        level = float(name.split()[1])
        assert all(np.allclose(list(zeros(arch)), level, atol=0.01) for arch in archs)


def test_scaled_networks_are_as_wide_and_as_deep_everywhere():
    found = scaled(SPACE)
    assert found.keys() == uniform(SPACE, RNG).keys()
    names = [choice.name for choice in SPACE.choices]
    chosen = [names.index(f"stage{i}.{what}") for what in ("width", "depth") for i in (1, 2)]
    for archs in found.values():
        # Widths share their place; of one or two blocks and one to three, halfway is two and two.
        places = {tuple(arch[i] for i in chosen) for arch in archs}
        assert places == {(w, w, *depths) for w in range(3) for depths in ((0, 0), (1, 1), (1, 2))}
        assert len(archs) == 9
        assert set(archs) <= {one for level in uniform(SPACE, RNG).values() for one in level}


def test_spaces_without_sparsity_have_none():
    dense = SPACE.fixed(SPACE.largest, dense=True)
    assert uniform(dense, RNG) == scaled(dense) == {}


def test_the_best_score_within_each_budget_is_chosen():
    def latency(archs):
        return np.array([sum(layer.macs for layer in SPACE.layers(arch)) for arch in archs]) / 1e6

    def score(archs):
        # The narrowest are said to be the best, which the slowest are not.
        return np.array([-arch[0] for arch in archs], float)

    slow = float(latency([uniform(SPACE, RNG)["unstructured 0.9"][-1]])[0])
    found = choose_baselines(SPACE, latency, score, {"": 0.5 * slow, ", more": slow}, RNG)
    assert {name for name in found if "0.9" in name and "0.95" not in name} == {
        f"{how} unstructured 0.9{budget}" for how in ("uniform", "scaled") for budget in ("", ", more")
    }
    for name, arch in found.items():
        assert latency([arch])[0] <= (slow if "more" in name else 0.5 * slow)
    assert choose_baselines(SPACE, latency, score, {"": 0.0}, RNG) == {}


def test_the_comparison_survives_its_file_and_is_shown(tmp_path, capsys):
    def baseline(name, accuracy, ms):
        return Baseline(
            name=name,
            arch="0-1",
            accuracy=accuracy,
            validation_accuracy=accuracy,
            latency_ms_predicted=ms,
            latency_ms_measured=ms,
        )

    winner, other = baseline("searched", 0.7, 0.1), baseline("uniform 0.9", 0.68, 0.13)
    write_baselines(winner, [other], 0.11, tmp_path / "baselines.json")
    assert read_baselines(tmp_path / "baselines.json") == (winner, [other])
    console().print(compared(winner, [other]))
    shown = capsys.readouterr().out
    assert "+2.00" in shown
    assert "1.30x" in shown
