"""Trains a single network, pruning as it goes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from sparsenas.nn.pure import PureModule, Variables
from sparsenas.space import Space
from sparsenas.sparsity.masking import magnitude_pruning
from sparsenas.sparsity.schedules import cubic
from sparsenas.supernet import supernet
from sparsenas.train.batches import EVALUATION_BATCH, in_batches, to_float
from sparsenas.train.loop import LoopSettings, Report, adamw, run

if TYPE_CHECKING:
    from sparsenas.data import Split

PyTree = Any


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(LoopSettings):
    """How to train a single network.

    Attributes:
        prune_begin: part of the training after which weights become zeros.
        prune_end: part of the training after which there are as many zeros as the space asks.
        prune_every: steps between two changes of the masks.
    """

    prune_begin: float = 0.15
    prune_end: float = 0.6
    prune_every: int = 10


def train_network(
    space: Space,
    split: "Split",
    settings: NetworkSettings,
    *,
    seed: int,
    report: Report | None = None,
) -> Variables:
    """Trains the only network of a space without choices, pruning as it goes.

    Returns:
        Variables of `supernet(space)`; each layer's weight has exactly the zeros that `Layer` promises.

    Raises:
        UserError: when the loss is no longer finite.
    """
    if space.choices:
        raise ValueError(f"`space` must have no choices, found {len(space.choices)}; see `Space.fixed`.")
    net = supernet(space)
    init_rng, data_rng = np.random.default_rng(seed).spawn(2)
    variables = net.init(init_rng)
    begin = round(settings.prune_begin * settings.steps)
    end = max(round(settings.prune_end * settings.steps), begin + 1)
    optimizer = magnitude_pruning(
        adamw(settings),
        sparsity_targets(space, variables.params),
        schedule=cubic(begin=begin, end=end),
        every=settings.prune_every,
    )
    return run(
        net,
        variables,
        optimizer,
        split,
        settings,
        rng=data_rng,
        steps_per_call=20,
        draw=lambda steps: (),
        between=lambda variables: variables,
        report=report,
    )


def sparsity_targets(space: Space, params: PyTree) -> PyTree:
    """Returns the fraction of zeros of each parameter of a space without choices."""
    fractions = {layer.name: layer.sparsity for layer in space.layers(())}
    return {
        name: {key: fractions[name] if key == "weight" else 0.0 for key in layer}
        for name, layer in params.items()
    }


def logits(net: PureModule, variables: Variables, images: np.ndarray) -> np.ndarray:
    """Computes the outputs of a network without choices.

    Args:
        images: uint8 [N, H, W, C].

    Returns:
        float32 [N, classes].
    """
    apply = jax.jit(lambda variables, x: net.apply(variables, to_float(x), (), train=False)[0])
    batches = in_batches(images, EVALUATION_BATCH)
    return np.concatenate([np.asarray(apply(variables, batch)) for batch in batches])[: len(images)]


def accuracy(net: PureModule, variables: Variables, split: "Split") -> float:
    """Returns the part of the images that a network without choices classifies correctly."""
    return float((logits(net, variables, split.images).argmax(-1) == split.labels).mean())
