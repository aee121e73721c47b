"""Trains a single network, pruning as it goes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from sparsenas.errors import UserError
from sparsenas.nn.pure import PureModule, Variables
from sparsenas.space import Space
from sparsenas.sparsity.masks import Target
from sparsenas.sparsity.patterns import DENSE, Sparse
from sparsenas.supernet import supernet
from sparsenas.train.batches import EVALUATION_BATCH, in_batches, to_float
from sparsenas.train.keeping import Keeper
from sparsenas.train.loop import Report, run
from sparsenas.train.losses import Loss, distillation
from sparsenas.train.pruning import NetworkSettings, pruning_optimizer
from sparsenas.train.statistics import settled

if TYPE_CHECKING:
    from sparsenas.data import Split

PyTree = Any

_STEPS_PER_CALL = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Teacher:
    """A trained network that another one learns from.

    Attributes:
        space: without choices.
        variables: of `supernet(space)`.
        weight: of its word against the labels'.
        temperature: the higher, the more of what it says of wrong classes counts.
    """

    space: Space
    variables: Variables
    weight: float = 0.5
    temperature: float = 4.0

    def loss(self, student: Space) -> Loss:
        """Returns the loss of a student; raises `UserError` where the two do not fit."""
        for what, ours, theirs in (
            ("classes", self.space.classes, student.classes),
            ("an image of", self.space.image, student.image),
        ):
            if ours != theirs:
                raise UserError(
                    f"The teacher ({self.space.name}) has {what} {ours}, the network that is to learn from "
                    f"it {theirs}; train the teacher on the same data at the same size."
                )
        return distillation(
            supernet(self.space), self.variables, weight=self.weight, temperature=self.temperature
        )


def train_network(
    space: Space,
    split: "Split",
    settings: NetworkSettings,
    *,
    seed: int,
    report: Report | None = None,
    start: Variables | None = None,
    teacher: Teacher | None = None,
    keeper: Keeper | None = None,
) -> Variables:
    """Trains the only network of a space without choices, pruning as it goes.

    Args:
        start: trained variables to begin with; random ones if left out.
        teacher: whose answers it learns beside the labels.
        keeper: keeps the state on disk and goes on from what is there, to the last bit.

    Returns:
        Variables of `supernet(space)`; each layer's weight has exactly the zeros that `Layer` promises, and
        statistics are those of the final weights.

    Raises:
        UserError: when the loss is no longer finite, or where teacher or kept state do not fit.
    """
    if space.choices:
        raise ValueError(f"`space` must have no choices, found {len(space.choices)}; see `Space.fixed`.")
    net = supernet(space)
    init_rng, data_rng = np.random.default_rng(seed).spawn(2)
    variables = net.init(init_rng) if start is None else start
    targets = sparsity_targets(space, variables.params)
    trained = run(
        net,
        variables,
        pruning_optimizer(settings, targets, key=jax.random.key(seed)),
        split,
        settings,
        rng=data_rng,
        steps_per_call=_STEPS_PER_CALL,
        draw=lambda steps: (),
        between=lambda variables, done: variables,
        report=report,
        loss=None if teacher is None else teacher.loss(space),
        keeper=keeper,
    )
    return settled(net, trained, split.images, batch=settings.batch)


def sparsity_targets(space: Space, params: PyTree) -> PyTree:
    """Returns the `Target` of each parameter of a space without choices."""
    layers = {layer.name: layer for layer in space.layers(())}

    def target(name: str, key: str) -> Target:
        layer = layers[name]
        if key != "weight" or not layer.sparsity:
            return Target(DENSE, layer.op)
        return Target(Sparse(layer.sparsity, layer.pattern), layer.op)

    return {name: {key: target(name, key) for key in layer} for name, layer in params.items()}


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
