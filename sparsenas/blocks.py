"""Blocks that search spaces are made of, written with `Builder`, and the options that they share."""

from collections.abc import Sequence
from functools import partial

from sparsenas.builder import Builder, Tensor
from sparsenas.dims import Dim
from sparsenas.sparsity.patterns import (
    DENSE,
    Block,
    KernelPattern,
    NByM,
    Sparse,
    Sparsity,
    Unstructured,
)

# Four entries of 28 % of the kernels are an eighth of the weights (Ma et al., 2020,
# https://arxiv.org/abs/1909.05073).
EIGHTFOLD = KernelPattern().fraction(kernels=0.28)

_ANYWHERE, _BLOCKS = Unstructured(), (Unstructured(), Block(2), Block(4))


def pointwise_levels(high: float = 0.9) -> tuple[Sparsity, ...]:
    """Returns the zeros that a 1x1 convolution may have.

    Blocks only where they pay most: below they cost accuracy for little, above there are few to choose.

    Args:
        high: the second highest fraction of zeros.
    """
    blocked = [Sparse(fraction, pattern) for fraction in (0.8, high) for pattern in _BLOCKS]
    return ordered(DENSE, Sparse(0.7), *blocked, Sparse(0.95))


def unstructured_levels(*published: float) -> tuple[Sparsity, ...]:
    """Returns the zeros of convolutions that have no kernel patterns; `published` are further fractions."""
    return ordered(DENSE, *map(Sparse, (0.7, 0.8, EIGHTFOLD, 0.95, *published)))


def kernel_levels(*published: float) -> tuple[Sparsity, ...]:
    """Returns the zeros of 3x3 convolutions: unstructured ones and patterns, of all kernels or of some."""
    fractions = (KernelPattern().fraction(kernels=1), EIGHTFOLD, 0.95)
    patterned = [Sparse(fraction, KernelPattern()) for fraction in fractions]
    return ordered(*unstructured_levels(*published), *patterned)


def connected_levels(*published: float) -> tuple[Sparsity, ...]:
    """Returns the zeros of fully connected layers: two of four, and unstructured ones."""
    fractions = (0.8, EIGHTFOLD, 0.95, *published)
    return ordered(DENSE, Sparse(0.5, NByM(2, 4)), *map(Sparse, fractions))


def ordered(*levels: Sparsity) -> tuple[Sparsity, ...]:
    """Returns options of a sparsity choice from no zeros to most; those of one fraction stay in order."""
    return tuple(sorted(levels, key=lambda level: level.fraction))


def halvings(side: int, count: int, *, least: int = 4) -> tuple[int, ...]:
    """Returns the strides of `count` layers, each of which halves the image where it is large enough.

    The first ones are 1 until at least `least` pixels a side are left behind the last.

    >>> halvings(224, 5), halvings(32, 5)
    ((2, 2, 2, 2, 2), (1, 1, 2, 2, 2))
    """
    kept = max((n for n in range(count + 1) if side >= least * 2**n), default=0)
    return (1,) * (count - kept) + (2,) * kept


def choice(net: Builder, name: str, options: Sequence[int]) -> Dim | int:
    """Adds a choice where there is something to choose, and returns the value."""
    return net.choice(name, options) if len(options) > 1 else options[0]


def inverted_residual(
    net: Builder,
    name: str,
    x: Tensor,
    c_out: Dim | int,
    *,
    expansion: Dim | int,
    kernel: Dim | int = 3,
    stride: int = 1,
    activation: str = "relu6",
    squeeze: bool = False,
    expand_sparsity: Dim | Sparsity = DENSE,
    project_sparsity: Dim | Sparsity = DENSE,
) -> Tensor:
    """Expands, filters every channel and projects (Sandler et al., 2018, https://arxiv.org/abs/1801.04381).

    The input is added where the block keeps its shape. An expansion of 1 is no layer.

    Args:
        squeeze: whether channels are scaled before they are projected, as in EfficientNet.
    """
    y = x
    if isinstance(expansion, Dim) or expansion > 1:
        channels = x.channels * expansion
        y = net.conv1x1(f"{name}.expand", x, channels, activation=activation, sparsity=expand_sparsity)
    y = net.depthwise(f"{name}.depthwise", y, kernel=kernel, stride=stride, activation=activation)
    if squeeze:
        y = squeeze_and_excite(net, name, y, x.channels.map(lambda c: max(1, c // 4)), activation=activation)
    y = net.conv1x1(f"{name}.project", y, c_out, sparsity=project_sparsity)
    return net.add(f"{name}.add", x, y) if stride == 1 and x.channels.equals(y.channels) else y


def squeeze_and_excite(net: Builder, name: str, x: Tensor, squeezed: Dim, *, activation: str) -> Tensor:
    """Scales every channel by what the means of all say (Hu et al., 2018, https://arxiv.org/abs/1709.01507)."""
    s = net.global_average_pool(f"{name}.pool", x)
    s = net.fully_connected(f"{name}.squeeze", s, squeezed, activation=activation)
    s = net.fully_connected(f"{name}.excite", s, x.channels, activation="sigmoid")
    return net.multiply(f"{name}.scale", x, s)


def mobile_stage(
    net: Builder,
    name: str,
    x: Tensor,
    *,
    widths: Sequence[int],
    depths: Sequence[int],
    expansions: Sequence[int],
    stride: int = 1,
    activation: str = "relu6",
    squeeze: bool = False,
) -> Tensor:
    """Adds inverted residuals of one width, of which only the first has the stride.

    Each has its own kernel, expansion and zeros; residuals join all widths but the first block's input, so
    that the stage has one.

    Args:
        depths: how many there may be, ascending.
    """
    width = choice(net, f"{name}.width", widths)
    depth = choice(net, f"{name}.depth", depths)

    def block(x: Tensor, i: int, stride: int = 1) -> Tensor:
        at = f"{name}.block{i}"
        kernel = net.choice(f"{at}.kernel", (3, 5, 7))
        expansion = choice(net, f"{at}.expansion", expansions)
        expand = net.choice(f"{at}.expand.sparsity", pointwise_levels()) if max(expansions) > 1 else DENSE
        project = net.choice(f"{at}.project.sparsity", pointwise_levels())
        return inverted_residual(
            net, at, x, width, expansion=expansion, kernel=kernel, stride=stride, activation=activation,
            squeeze=squeeze, expand_sparsity=expand, project_sparsity=project,
        )  # fmt: skip

    for i in range(1, max(depths) + 1):
        if i <= min(depths):
            x = block(x, i, stride if i == 1 else 1)
        else:
            x = net.optional(depth >= i, x, partial(block, i=i))
    return x


def residual_stem(net: Builder, width: Dim | int, strides: Sequence[int]) -> Tensor:
    """Adds the first layers of a ResNet: 7x7 and a pool, or 3x3 and none where the image is not halved."""
    first, second = strides
    kernel = 7 if first == 2 else 3
    x = net.conv_hwc("stem", net.image, width, kernel=kernel, stride=first, activation="relu")
    return net.max_pool("stem.pool", x, kernel=3, stride=2) if second == 2 else x


def shortcut(
    net: Builder, name: str, x: Tensor, c_out: Dim, *, stride: int, sparsity: Dim | Sparsity
) -> Tensor:
    """Returns a block's input in the shape of its output (He et al., 2016, https://arxiv.org/abs/1512.03385)."""
    if stride == 1:
        return net.conv1x1(name, x, c_out, sparsity=sparsity)
    # Only `conv` takes a stride.
    return net.conv(name, x, c_out, kernel=1, stride=stride, sparsity=sparsity)
