"""A small space with every operator, kind of choice, pattern of zeros and activation."""

import jax
import numpy as np

from sparsenas.builder import Builder
from sparsenas.sparsity.patterns import DENSE, Block, KernelPattern, NByM, Sparse

MIXED = (DENSE, Sparse(0.5), Sparse(0.6, Block(2)), Sparse(0.75, Block(4)))


def every_space():
    net = Builder("every", image=(13, 12, 3), classes=4)
    width = net.choice("width", (4, 6, 8))

    def more(x):
        x = net.depthwise("more.filter", x, kernel=net.choice("more.kernel", (3, 5)), activation="relu6")
        return net.conv1x1("more.mix", x, width, sparsity=net.choice("more.zeros", MIXED))

    x = net.conv_hwc(
        "stem", net.image, net.choice("stem", (3, 4)), kernel=net.choice("stem.kernel", (3, 5)), stride=1,
        activation="hard_swish",
    )  # fmt: skip
    # One choice decides how large a kernel is and how many zeros it has.
    kind = net.choice("kind", (0, 1, 2))
    x = y = net.conv(
        "conv", x, width, kernel=kind.map(lambda k: (1, 5, 3)[k]), stride=2, activation="swish",
        sparsity=kind.map(lambda k: (DENSE, Sparse(0.8), Sparse(0.5))[k]),
    )  # fmt: skip
    zeros = net.choice(
        "patterned", (DENSE, Sparse(0.6), Sparse(0.7, KernelPattern()), Sparse(0.6, KernelPattern()))
    )
    x = net.conv("patterned", x, width, activation="relu", sparsity=zeros)
    # Channels that are not there would be half of one after these.
    x = net.add("sum", x, y, activation="sigmoid")
    x = net.max_pool("max", x, kernel=3, stride=1, activation="hard_sigmoid")
    x = net.optional(net.choice("depth", (0, 1)) >= 1, x, more)
    s = net.global_average_pool("squeeze", x)
    s = net.fully_connected("squeezed", s, net.choice("squeezed", (2, 3)), activation="relu")
    x = net.multiply("excite", x, net.fully_connected("gate", s, width, activation="hard_sigmoid"))
    x = net.conv1x1("mix", x, width * 2, activation="relu6", sparsity=net.choice("mix.zeros", MIXED))
    x = net.average_pool("mean", x, kernel=3, stride=1)
    x = net.average_pool("halve", x, kernel=2)
    # 3 x 3 pixels of every channel.
    x = net.fully_connected(
        "hidden", x, net.choice("hidden", (6, 8)), activation="hard_swish",
        sparsity=net.choice("hidden.zeros", (*MIXED, Sparse(0.5, NByM()))),
    )  # fmt: skip
    return net.classify(x)


SPACE = every_space()


def moved(variables):
    """Returns variables whose statistics, normalisation and biases are away from their initial values."""
    rng = np.random.default_rng(1)

    def move(tree):
        return jax.tree.map(lambda a: (a + rng.uniform(0.1, 0.5, a.shape)).astype(np.float32), tree)

    params = {
        name: {"weight": layer["weight"]} | move({k: v for k, v in layer.items() if k != "weight"})
        for name, layer in variables.params.items()
    }
    return variables._replace(params=params, stats=move(variables.stats))
