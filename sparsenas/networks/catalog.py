"""The reference networks by name, and the patterns that each is pruned in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sparsenas.networks.alexnet import PUBLISHED_MEAN, alexnet, alexnet_published
from sparsenas.networks.efficientnet import efficientnet_b0, efficientnet_b1, efficientnet_lite0
from sparsenas.networks.mobilenet import (
    mobilenet_v1,
    mobilenet_v1_published,
    mobilenet_v2,
    mobilenet_v2_published,
)
from sparsenas.networks.pruning import EIGHTFOLD, Rule, uniform
from sparsenas.networks.resnet import resnet18, resnet50
from sparsenas.networks.vgg import vgg16
from sparsenas.space import Layer
from sparsenas.sparsity.patterns import Block, KernelPattern


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A way to prune a network.

    Attributes:
        rule: fraction of zeros of a pruned layer to the zeros of each.
        fraction: the only one it is for; None where any will do.
    """

    rule: Callable[[float], Rule]
    fraction: float | None = None


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A network and how it may be pruned.

    Attributes:
        layers: takes `rule`, and where they are given `width`, `side` and `classes`.
        presets: by the name of their pattern.
    """

    layers: Callable[..., tuple[Layer, ...]]
    presets: Mapping[str, Preset]


_UNSTRUCTURED = {"unstructured": Preset(rule=uniform)}
_POINTWISE = _UNSTRUCTURED | {
    f"block{rows}": Preset(rule=partial(uniform, pattern=Block(rows))) for rows in (2, 4)
}
_KERNELS = {"pattern": Preset(rule=partial(uniform, pattern=KernelPattern()), fraction=EIGHTFOLD)}

REFERENCES: dict[str, Reference] = {
    "mobilenet_v1": Reference(
        layers=mobilenet_v1, presets=_POINTWISE | {"published": Preset(rule=mobilenet_v1_published)}
    ),
    "mobilenet_v2": Reference(
        layers=mobilenet_v2, presets=_POINTWISE | {"published": Preset(rule=mobilenet_v2_published)}
    ),
    "efficientnet_b0": Reference(layers=efficientnet_b0, presets=_POINTWISE),
    "efficientnet_b1": Reference(layers=efficientnet_b1, presets=_POINTWISE),
    "efficientnet_lite0": Reference(layers=efficientnet_lite0, presets=_POINTWISE),
    "resnet18": Reference(layers=resnet18, presets=_UNSTRUCTURED | _KERNELS),
    "resnet50": Reference(layers=resnet50, presets=_POINTWISE | _KERNELS),
    "vgg16": Reference(layers=vgg16, presets=_UNSTRUCTURED | _KERNELS),
    "alexnet": Reference(
        layers=alexnet,
        presets=_UNSTRUCTURED
        | _KERNELS
        | {"published": Preset(rule=alexnet_published, fraction=PUBLISHED_MEAN)},
    ),
}
