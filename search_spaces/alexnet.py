"""AlexNet in one column (Krizhevsky, 2014, https://arxiv.org/abs/1404.5997).

Widths of the convolutions and hidden layers, the second one's kernel, whether there is a fifth, and the zeros
of all but the first and the last layer. Below 63 pixels a side the first convolution is 5x5 with a stride of
1, otherwise 11x11 with a stride of 4; for the three pools there must be 15.
"""

from sparsenas.blocks import EIGHTFOLD, connected_levels, kernel_levels, unstructured_levels
from sparsenas.builder import Builder, Tensor
from sparsenas.dims import Dim, scaled
from sparsenas.space import Space
from sparsenas.sparsity.patterns import KernelPattern, Sparse

MULTIPLIERS = (0.25, 0.5, 0.75, 1.0)
HIDDEN = 4096
LEAST_SIDE = 63
# Zeros at 57.5 % top-1 (Park et al., 2017, https://arxiv.org/abs/1608.01409).
PUBLISHED = {
    "conv2": 0.856, "conv3": 0.931, "conv4": 0.918, "conv5": 0.885, "hidden1": 0.903, "hidden2": 0.844,
}  # fmt: skip


def make(side: int) -> Space:
    """Returns the space for images of side x side pixels."""
    net = Builder("alexnet", image=(side, side, 3), classes=1000)
    kernel, stride = (11, 4) if side >= LEAST_SIDE else (5, 1)
    first = width(net, "conv1", 64)
    x = net.conv_hwc("conv1", net.image, first, kernel=kernel, stride=stride, pad=2, activation="relu")
    x = pool(net, "pool1", x)
    x = conv(net, "conv2", x, width(net, "conv2", 192), kernel=net.choice("conv2.kernel", (3, 5)))
    x = pool(net, "pool2", x)
    x = conv(net, "conv3", x, width(net, "conv3", 384))
    # The fifth may be left out, so that it keeps the width of the fourth.
    last = width(net, "conv4", 256)
    x = conv(net, "conv4", x, last)
    x = net.optional(net.choice("depth", (4, 5)) >= 5, x, lambda x: conv(net, "conv5", x, last))
    x = pool(net, "pool5", x)
    for name in ("hidden1", "hidden2"):
        sparsity = net.choice(f"{name}.sparsity", connected_levels(PUBLISHED[name]))
        x = net.fully_connected(name, x, width(net, name, HIDDEN), activation="relu", sparsity=sparsity)
    eightfold = {name: Sparse(EIGHTFOLD, KernelPattern()) for name in ("conv3", "conv4", "conv5")}
    eightfold |= {name: Sparse(EIGHTFOLD) for name in ("conv2", "hidden1", "hidden2")}
    published = {name: Sparse(fraction) for name, fraction in PUBLISHED.items()}
    return net.classify(
        x,
        references={
            "alexnet": {},
            "alexnet-published": {f"{name}.sparsity": zeros for name, zeros in published.items()},
            "alexnet-pattern": {f"{name}.sparsity": zeros for name, zeros in eightfold.items()},
        },
    )


def width(net: Builder, name: str, channels: int) -> Dim:
    return net.choice(f"{name}.width", [scaled(channels, m) for m in MULTIPLIERS])


def pool(net: Builder, name: str, x: Tensor) -> Tensor:
    return net.max_pool(name, x, kernel=3, stride=2, pad=0)


def conv(net: Builder, name: str, x: Tensor, c_out: Dim, *, kernel: Dim | int = 3) -> Tensor:
    # Kernel patterns are for 3x3 only.
    levels = unstructured_levels if isinstance(kernel, Dim) else kernel_levels
    sparsity = net.choice(f"{name}.sparsity", levels(PUBLISHED[name]))
    return net.conv(name, x, c_out, kernel=kernel, activation="relu", sparsity=sparsity)


SPACE = make(224)
