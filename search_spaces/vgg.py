"""VGG (Simonyan and Zisserman, 2015, https://arxiv.org/abs/1409.1556): stages of 3x3 convolutions and a pool.

Width and depth of five stages, width of the two hidden layers, the zeros of all but the first and the last
layer. Of a side of 32 the five pools leave a pixel; below, the first ones are left out.
"""

from functools import partial

from sparsenas.blocks import EIGHTFOLD, connected_levels, halvings, kernel_levels
from sparsenas.builder import Builder, Tensor
from sparsenas.dims import Dim, scaled
from sparsenas.space import Space
from sparsenas.sparsity.patterns import KernelPattern, Sparse

MULTIPLIERS = (0.25, 0.5, 0.75, 1.0)
WIDTHS = (64, 128, 256, 512, 512)
HIDDEN = 4096
# Convolutions of each stage.
DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4),
}  # fmt: skip


def make(side: int) -> Space:
    """Returns the space for images of side x side pixels."""
    net = Builder("vgg", image=(side, side, 3), classes=1000)
    strides = halvings(side, len(WIDTHS), least=1)
    x = net.image
    for i, (channels, most, stride) in enumerate(zip(WIDTHS, DEPTHS["vgg19"], strides, strict=True), 1):
        width = net.choice(f"stage{i}.width", [scaled(channels, m) for m in MULTIPLIERS])
        depth = net.choice(f"stage{i}.depth", range(1, most + 1))
        if i == 1:
            x = net.conv_hwc("stage1.conv1", x, width, activation="relu")
        else:
            x = conv(net, f"stage{i}.conv1", x, width)
        for j in range(2, most + 1):
            x = net.optional(depth >= j, x, partial(conv, net, f"stage{i}.conv{j}", width=width))
        if stride == 2:
            x = net.max_pool(f"stage{i}.pool", x)
    for name in ("hidden1", "hidden2"):
        width = net.choice(f"{name}.width", [scaled(HIDDEN, m) for m in MULTIPLIERS])
        sparsity = net.choice(f"{name}.sparsity", connected_levels())
        x = net.fully_connected(name, x, width, activation="relu", sparsity=sparsity)
    return net.classify(x, references=references())


def conv(net: Builder, name: str, x: Tensor, width: Dim) -> Tensor:
    sparsity = net.choice(f"{name}.sparsity", kernel_levels())
    return net.conv(name, x, width, activation="relu", sparsity=sparsity)


def references() -> dict[str, dict[str, object]]:
    """Returns the dense networks, and one with an eighth of its weights (Ma et al., 2020,
    https://arxiv.org/abs/1909.05073)."""
    found: dict[str, dict[str, object]] = {
        name: {f"stage{i}.depth": depth for i, depth in enumerate(depths, 1)}
        for name, depths in DEPTHS.items()
    }
    pruned: dict[str, object] = {
        f"stage{i}.conv{j}.sparsity": Sparse(EIGHTFOLD, KernelPattern())
        for i, most in enumerate(DEPTHS["vgg19"], 1)
        for j in range(1, most + 1)
        if (i, j) != (1, 1)
    }
    pruned |= {f"hidden{i}.sparsity": Sparse(EIGHTFOLD) for i in (1, 2)}
    return found | {"vgg16-pattern": found["vgg16"] | pruned}


SPACE = make(224)
