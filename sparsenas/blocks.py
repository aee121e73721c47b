"""Blocks that search spaces are made of, written with `Builder`."""

from sparsenas.builder import Builder, Tensor
from sparsenas.dims import Dim


def inverted_residual(
    net: Builder,
    name: str,
    x: Tensor,
    c_out: Dim | int,
    *,
    expansion: int,
    stride: int = 1,
    expand_sparsity: Dim,
    project_sparsity: Dim,
) -> Tensor:
    """Expands, filters every channel and projects (Sandler et al., 2018, https://arxiv.org/abs/1801.04381).

    The input is added where the block keeps its shape.
    """
    y = net.conv1x1(f"{name}.expand", x, x.channels * expansion, activation="relu6", sparsity=expand_sparsity)
    y = net.depthwise(f"{name}.depthwise", y, stride=stride, activation="relu6")
    y = net.conv1x1(f"{name}.project", y, c_out, sparsity=project_sparsity)
    return net.add(f"{name}.add", x, y) if stride == 1 and c_out is x.channels else y
