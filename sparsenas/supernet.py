"""All networks of a space in one, with shared weights (Pham et al., 2018, https://arxiv.org/abs/1802.03268).

There is one weight of the largest size for each layer template. A narrower layer uses the first channels
of it, a sparser one the largest entries, an absent block is passed by. Which, is an argument: one
probability vector per choice. With one-hot vectors the supernet computes what the stand-alone network
would, with others a mixture, differentiable in the probabilities; the cost is that of the largest network
in either case, and it is compiled once.

A space without choices is a single network, and `supernet` of it that network: nothing is masked, and its
zeros are those that training puts into the weights (`sparsenas.sparsity.masking`).
"""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sparsenas.dims import Dim
from sparsenas.errors import UserError
from sparsenas.nn.layers import ACTIVATIONS, Convolution, FullyConnected
from sparsenas.nn.pure import PureModule, Variables, pure
from sparsenas.space import IMAGE, Arch, Space, Template

OPS = ("conv_hwc", "conv1x1", "depthwise", "add", "global_average_pool", "fully_connected")
PATTERNS = ("dense", "unstructured")

Choices = tuple[jax.Array, ...]
"""One vector of probabilities per choice of a space: float32 [options]."""


def supernet(space: Space) -> PureModule:
    """Returns the network that holds all of a space.

    Its `init(rng)` gives variables keyed by layer name; its
    `apply(variables, x, choices, *, train) -> (logits, stats)` takes x float32 [N, H, W, C] in [0, 1] and
    returns logits [N, classes]. With `train`, normalisation uses the batch, and `stats` are the
    means and variances of this batch; without, `variables.stats` are used and returned.
    """
    _check(space)
    net = pure(lambda rng: _Supernet(space, rng))

    def init(rng: np.random.Generator) -> Variables:
        return refresh_ranks(space, net.init(rng))

    return PureModule(init, net.apply)


def _check(space: Space) -> None:
    """Raises `UserError` for what the native kernels run but nothing trains yet."""
    for template in space.templates:
        patterns = {sparsity.pattern.name for sparsity in template.sparsity.values.flat}
        for what, found, trained in (
            ("operators", {template.op}, OPS),
            ("activations", {template.activation}, ACTIVATIONS),
            ("patterns", patterns, PATTERNS),
        ):
            if not found <= set(trained):
                raise UserError(
                    f"Layer {template.name!r} of space {space.name!r} cannot be trained: {what} that can are "
                    f"{', '.join(trained)}, found {', '.join(sorted(found - set(trained)))}."
                )


def one_hot(space: Space, arch: Arch) -> Choices:
    """Returns the choices that mean one architecture."""
    return tuple(options[0] for options in batch_one_hot(space, [arch]))


def batch_one_hot(space: Space, archs: Sequence[Arch]) -> Choices:
    """Returns the choices of several architectures, [len(archs), options] each, for `jax.vmap`."""
    return tuple(
        np.eye(len(choice.options), dtype=np.float32)[[arch[i] for arch in archs]]
        for i, choice in enumerate(space.choices)
    )


def refresh_ranks(space: Space, variables: Variables) -> Variables:
    """Sorts the weights of searched sparsity by magnitude anew.

    Training calls this every so many steps: the order changes slowly, and sorting costs more than a step.
    With numpy, as XLA takes long to compile a sort and longer to run it on a CPU.
    """
    templates = {template.name: template for template in space.templates}
    ranks = {
        name: {"rank": _ranks(np.asarray(variables.params[name]["weight"]), templates[name])}
        for name in variables.ranks
    }
    return variables._replace(ranks=ranks)


def _ranks(weight: np.ndarray, template: Template) -> np.ndarray:
    """Returns for each weight the part of its peers, (0, 1), that is smaller in magnitude.

    Peers are the weights between the same two width options in and out: `rank >= s` then keeps the
    same fraction in every narrower layer, to the last weight but for rounding.
    """
    rank = np.empty_like(weight)
    channels_in = [slice(None)] if template.op == "depthwise" else _shells(template.c_in)
    for c in channels_in:
        for d in _shells(template.c_out):
            peers = np.abs(weight[..., c, d])
            order = np.argsort(peers, axis=None, kind="stable")
            position = np.empty(peers.size, np.float32)
            position[order] = (np.arange(peers.size) + 0.5) / peers.size
            rank[..., c, d] = position.reshape(peers.shape)
    return rank


def _shells(width: Dim) -> list[slice]:
    edges = [0, *np.unique(width.values).tolist()]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


class _Supernet(nnx.Module):
    """Layers named as in the space; the wiring between them."""

    def __init__(self, space: Space, rng: np.random.Generator) -> None:
        self.space = space
        for template in space.templates:
            # A space without choices is pruned by its optimizer; masking it by rank as well would be
            # twice.
            ranked = bool(space.choices) and any(s.fraction for s in template.sparsity.values.flat)
            module = _module(template, ranked, rng)
            if module is not None:
                setattr(self, template.name, module)

    def __call__(self, x: jax.Array, choices: Choices, *, train: bool) -> tuple[jax.Array, Any]:
        outputs = {IMAGE: x}
        for i, template in enumerate(self.space.templates):
            x = self._run(template, [outputs[j] for j in template.inputs], choices, train)
            if template.otherwise is not None:
                share = _expected(template.present, template.present.values, choices)
                x = share * x + (1 - share) * outputs[template.otherwise]
            outputs[i] = x
        return x.reshape(len(x), -1)

    def _run(self, template: Template, inputs: list[jax.Array], choices: Choices, train: bool) -> jax.Array:
        match template.op:
            case "add":
                return ACTIVATIONS[template.activation](inputs[0] + inputs[1])
            case "global_average_pool":
                return ACTIVATIONS[template.activation](inputs[0].mean((1, 2), keepdims=True))
        module = getattr(self, template.name)
        mask, mixture = _channel_mask(template.c_out, choices), _mixture(template.sparsity, choices)
        if template.op == "fully_connected":
            return module(inputs[0], mixture=mixture, mask=mask)
        return module(inputs[0], mixture=mixture, mask=mask, train=train)


def _module(template: Template, ranked: bool, rng: np.random.Generator) -> nnx.Module | None:
    c_in, c_out, k = template.c_in.max, template.c_out.max, template.kernel.max
    match template.op:
        case "conv_hwc":
            shape = (k, k, c_in, c_out)
        case "conv1x1":
            shape = (c_in, c_out)
        case "depthwise":
            shape = (k, k, c_out)
        case "fully_connected":
            return FullyConnected((c_in, c_out), activation=template.activation, ranked=ranked, rng=rng)
        case _:
            return None
    return Convolution(
        template.op,
        shape,
        stride=template.stride,
        activation=template.activation,
        ranked=ranked,
        rng=rng,
    )


def _expected(dim: Dim, table: np.ndarray, choices: Choices) -> jax.Array:
    """Averages a table over the choices of a dim.

    Args:
        table: one axis per choice of the dim, ahead of any others.
    """
    mean = jnp.asarray(table, jnp.float32)
    for choice in dim.choices:
        mean = jnp.tensordot(choices[choice], mean, 1)
    return mean


def _channel_mask(width: Dim, choices: Choices) -> jax.Array | None:
    """Returns the part of the networks that has each channel, [width.max]; None where all have."""
    if width.is_constant:
        return None
    return _expected(width, np.arange(width.max) < width.values[..., None], choices)


def _mixture(sparsity: Dim, choices: Choices) -> list[tuple[float, jax.Array]]:
    """Returns each fraction of zeros that a layer may have, with its share."""
    fractions = np.array([s.fraction for s in sparsity.values.flat]).reshape(sparsity.values.shape)
    return [
        (float(fraction), _expected(sparsity, fractions == fraction, choices))
        for fraction in np.unique(fractions)
    ]
