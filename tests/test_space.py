import numpy as np
import pytest

from sparsenas.builder import Builder
from sparsenas.cli.lookup import find_space, known_spaces
from sparsenas.dims import combine
from sparsenas.errors import UserError
from sparsenas.latency.layer_text import check_layer
from sparsenas.sparsity.patterns import DENSE, Block, KernelPattern, NByM, Sparse

SIDES = (32, 224)


@pytest.fixture(scope="module", params=[(name, side) for name in known_spaces() for side in SIDES], ids=str)
def space(request):
    return find_space(*request.param)


@pytest.fixture(scope="module")
def drawn(space):
    """Architectures and their layers: the extremes, the references and 300 random ones."""
    rng = np.random.default_rng(0)
    archs = [space.largest, space.smallest, *space.references.values()]
    archs += [space.sample(rng) for _ in range(300)]
    return [(arch, space.layers(arch)) for arch in archs]


def test_layers_fit_each_other(space, drawn):
    for _, layers in drawn:
        outputs = []
        for i, layer in enumerate(layers):
            for k, j in enumerate(layer.inputs):
                assert j < i
                before = space.image if j < 0 else outputs[j]
                per_channel = layer.op == "multiply" and k == 1
                assert before == (layer.height, layer.width, layer.c_in) or (
                    per_channel and before == (1, 1, layer.c_in)
                )
            outputs.append((layer.out_height, layer.out_width, layer.c_out))
        assert outputs[-1] == (1, 1, space.classes)


def test_latency_keys_are_among_those_tabulated_and_may_be_asked_for(space, drawn):
    variants = {layer.key for layer in space.layer_variants()}
    found = {layer.key: layer for _, layers in drawn for layer in layers}
    assert found.keys() <= variants
    for layer in found.values():
        check_layer(layer)
        assert layer.dense().key in variants


def test_options_ascend(space):
    for choice in space.choices:
        ranks = [getattr(option, "fraction", option) for option in choice.options]
        assert ranks == sorted(ranks), choice
        assert len(set(choice.options)) == len(choice.options)


def test_mutate_changes_exactly_one_choice_that_matters(space, drawn):
    rng = np.random.default_rng(1)
    for arch, layers in drawn[:60]:
        mutant = space.mutate(arch, rng)
        assert space.layers(mutant) != layers
        # A changed depth may open or close other choices; closed ones are at their first option.
        both = set(space.used_choices(arch)) & set(space.used_choices(mutant))
        assert sum(arch[i] != mutant[i] for i in both) == 1


def test_encodings_are_inverses(space, drawn):
    for arch, _ in drawn:
        assert space.decode(space.encode(arch)) == arch
        assert space.parse(space.text(arch)) == arch
        assert space.encode(arch).sum() == len(space.choices)


def test_canonical_keeps_the_network_and_names_it_once(space):
    rng = np.random.default_rng(2)
    seen = {}
    for _ in range(60):
        raw = tuple(int(rng.integers(len(c.options))) for c in space.choices)
        arch = space.canonical(raw)
        layers = space.layers(raw)
        assert space.layers(arch) == layers
        assert seen.setdefault(layers, arch) == arch


def test_fixed_space_has_that_network_only(space, drawn):
    for arch, layers in drawn[:8]:
        fixed = space.fixed(arch)
        assert fixed.size == 1
        assert fixed.layers(()) == layers
        twin = space.fixed(arch, dense=True).layers(())
        assert twin == tuple(layer.dense() for layer in layers)


def test_fingerprint_sees_every_change():
    def build(classes=10, levels=(DENSE, Sparse(0.9)), width=8):
        net = Builder("one", image=(8, 8, 3), classes=classes)
        x = net.conv_hwc("stem", net.image, width)
        return net.classify(net.conv1x1("mix", x, 16, sparsity=net.choice("zeros", levels)))

    same = {build().fingerprint(), build().fingerprint()}
    different = {
        build(classes=5).fingerprint(),
        build(levels=(DENSE, Sparse(0.8))).fingerprint(),
        build(width=16).fingerprint(),
    }
    assert len(same) == 1
    assert len(same | different) == 4


def test_counts_of_a_layer_follow_the_formula():
    net = Builder("one", image=(9, 7, 3), classes=4)
    x = net.conv_hwc("stem", net.image, 8, stride=2)
    space = net.classify(net.conv1x1("mix", x, 16, sparsity=net.choice("zeros", (Sparse(0.75),))))
    stem, mix, pool, classifier = space.layers((0,))
    assert (stem.out_height, stem.out_width) == (5, 4)
    assert stem.macs == 5 * 4 * 8 * 27
    assert (mix.nonzeros, mix.macs, mix.parameters) == (32, 32 * 20, 32 + 16)
    assert (pool.macs, pool.parameters) == (0, 0)
    assert classifier.macs == 16 * 4


def test_shapes_and_counts_of_convolutions_pools_and_gates():
    net = Builder("one", image=(9, 7, 3), classes=4)
    x = net.conv_hwc("stem", net.image, 8)
    pattern = KernelPattern()
    x = net.conv("wide", x, 12, stride=2, activation="swish", sparsity=Sparse(0.8, pattern))
    x = net.average_pool("smooth", x, kernel=3, stride=1)
    gate = net.conv1x1("gate", net.global_average_pool("squeeze", x), 12, activation="hard_sigmoid")
    x = net.max_pool("halve", net.multiply("scale", x, gate))
    space = net.classify(net.conv1x1("mix", x, 10, sparsity=Sparse(0.5, Block(4))))
    layers = {layer.name: layer for layer in space.layers(())}
    sides = {name: (layer.out_height, layer.out_width) for name, layer in layers.items()}
    assert sides == {
        "stem": (9, 7), "wide": (5, 4), "smooth": (5, 4), "squeeze": (1, 1), "gate": (1, 1),
        "scale": (5, 4), "halve": (2, 2), "mix": (2, 2), "pool": (1, 1), "classifier": (1, 1),
    }  # fmt: skip
    assert layers["scale"].inputs == (2, 4)
    assert layers["wide"].weight_shape == (12, 8, 3, 3)
    # 43 kernels of 4 come closest to a fifth of 864 weights.
    assert (layers["wide"].nonzeros, layers["wide"].macs) == (172, 172 * 20)
    assert layers["halve"].macs == layers["scale"].nonzeros == 0
    # Of 24 full blocks 12, of 12 lower ones 6.
    assert layers["mix"].nonzeros == 12 * 4 + 6 * 2
    assert space.fixed(()).layers(()) == space.layers(())


def test_combine_lines_up_shared_choices():
    net = Builder("one", image=(8, 8, 3), classes=10)
    a, b = net.choice("a", (1, 2)), net.choice("b", (10, 20, 30))
    both = combine(lambda x, y, z: x + y * z, b, a, a)
    assert both.choices == (0, 1)
    assert both.values.tolist() == [[10 + 1, 20 + 1, 30 + 1], [10 + 4, 20 + 4, 30 + 4]]


@pytest.mark.parametrize(
    ("text", "says"),
    [("0-1", "has 14 option indices, found 2"), ("a-b", "found 'a-b'"), ("-".join(["9"] * 14), "found 9")],
)
def test_parse_says_what_is_wrong(text, says):
    with pytest.raises(UserError, match=says):
        find_space("tiny").parse(text)


def test_builder_says_what_is_wrong():
    net = Builder("one", image=(8, 8, 3), classes=10)
    x = net.conv_hwc("stem", net.image, 8)
    width = net.choice("width", (8, 16))
    with pytest.raises(UserError, match="two choices named 'width'"):
        net.choice("width", (1,))
    with pytest.raises(UserError, match="'empty'.*no options"):
        net.choice("empty", ())
    with pytest.raises(UserError, match="'twice' .* has an option twice: 8, 16, 8; leave one out"):
        net.choice("twice", (8, 16, 8))
    with pytest.raises(UserError, match="two layers named 'stem'"):
        net.conv1x1("stem", x, 8)
    with pytest.raises(UserError, match="no activation named 'gelu'"):
        net.conv1x1("mix", x, 8, activation="gelu")
    for channels in (0, 12.5, "8", True):
        with pytest.raises(UserError, match=f"1 output channel, a whole number, found {channels!r}"):
            net.conv1x1("none", x, channels)
    with pytest.raises(UserError, match=r"odd kernel of at least 1, found \[4\]"):
        net.depthwise("even", x, kernel=4)
    with pytest.raises(UserError, match="stride of at least 1.* found stride 0"):
        net.depthwise("stuck", x, stride=0)
    with pytest.raises(UserError, match="windows of 17 x 17 on an image of 8 x 8, which is too small"):
        net.depthwise("blind", x, kernel=17)
    with pytest.raises(UserError, match="windows of 9 x 9 on an image of 8 x 8, which is too small"):
        net.max_pool("wide", x, kernel=9, stride=1, pad=0)
    with pytest.raises(UserError, match="DENSE or Sparse.*, found 0.9"):
        net.conv1x1("fraction", x, 8, sparsity=0.9)
    y = net.conv1x1("wide", x, width)
    with pytest.raises(UserError, match="different shapes: 8 x 8 x 8 and 8/16 x 8 x 8"):
        net.add("sum", x, y)
    with pytest.raises(
        UserError, match=r"multiplies tensors of different shapes: .* may also have one pixel"
    ):
        net.multiply("product", x, net.max_pool("half_size", x))
    with pytest.raises(
        UserError, match=r"even kernel, here 2, lie side by side \(stride 2\).* found stride 1"
    ):
        net.max_pool("overlap", x, kernel=2, stride=1)
    with pytest.raises(
        UserError, match=r"'blocks'.* \(conv\) cannot be block4, only dense or unstructured or"
    ):
        net.conv("blocks", x, 8, sparsity=Sparse(0.9, Block(4)))
    with pytest.raises(UserError, match=r"'groups'.* \(conv1x1\) cannot be 2:4"):
        net.conv1x1("groups", x, 8, sparsity=Sparse(0.5, NByM(2, 4)))
    halves = net.fully_connected("hidden", x, 16, sparsity=Sparse(0.5, NByM(2, 4)))
    narrow = net.fully_connected("narrow", halves, net.choice("few", (6, 8, 9)))
    with pytest.raises(UserError, match="'cut' .* zeros in 2:4, .* narrower of 6/8/9 x 1 x 1 inputs cut a"):
        net.fully_connected("cut", narrow, 8, sparsity=net.choice("cut", (DENSE, Sparse(0.5, NByM(2, 4)))))
    whole = net.fully_connected("whole", halves, net.choice("many", (4, 8, 9)))
    net.fully_connected("uncut", whole, 8, sparsity=Sparse(0.5, NByM(2, 4)))
    with pytest.raises(UserError, match="has kernel 5, but kernel patterns are for kernel 3"):
        net.conv("large", x, 8, kernel=5, sparsity=net.choice("zeros", (DENSE, Sparse(0.9, KernelPattern()))))
    with pytest.raises(UserError, match="where something is true, such as `depth >= 2`"):
        net.optional(net.choice("depth", (1, 2)), x, lambda x: net.depthwise("more", x))
    with pytest.raises(UserError, match=r"found image \(8, 0, 3\) and 10 classes"):
        Builder("none", image=(8, 0, 3), classes=10)
    with pytest.raises(UserError, match="must keep its input's shape"):
        net.optional(net.choice("on", (False, True)), x, lambda x: net.depthwise("half", x, stride=2))


def test_what_is_too_much_to_tabulate_is_refused():
    net = Builder("many", image=(8, 8, 3), classes=10)
    many = [net.choice(f"choice{i}", range(1, 17)) for i in range(5)]
    some = combine(lambda *values: sum(values), *many[:4])
    with pytest.raises(UserError, match="depends on 5 choices, 1,048,576 combinations .* at most 65,536"):
        combine(max, some, many[4])
    x = net.conv_hwc("stem", net.image, some)
    with pytest.raises(UserError, match="Layer 'mix' .* depends on 5 choices, 1,048,576 combinations"):
        net.conv1x1("mix", x, many[4])


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_sparse_refuses_fractions_that_mean_nothing(fraction):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        Sparse(fraction)
