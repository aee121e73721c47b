"""All networks of a space in one, with shared weights (Pham et al., 2018, https://arxiv.org/abs/1802.03268).

There is one weight of the largest size for each layer template. A narrower layer uses the first channels
of it, a smaller kernel its centre, a sparser one the largest entries that its pattern allows; an absent
block is passed by. Which, is an argument: one probability vector per choice. With one-hot vectors the
supernet computes what the stand-alone network would, with others a mixture, differentiable in the
probabilities. A convolution is linear in its weights, so that a mixture of kernel sizes and of zeros is one
convolution with a blended mask,

    sum_k p_k (W * m_k) = W * sum_k p_k m_k,  m_k = window_k * (rank of pattern_k >= fraction_k)

and the cost that of the largest network in any case, compiled once.

A space without choices is a single network, and `supernet` of it that network: nothing is masked, and its
zeros are those that training puts into the weights (`sparsenas.sparsity.masking`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from sparsenas.dims import Dim, combine, constant
from sparsenas.nn.layers import Convolution, FullyConnected, activate
from sparsenas.nn.pooling import average_pool, max_pool
from sparsenas.nn.pure import PureModule, Variables, pure
from sparsenas.space import IMAGE, Arch, Space, Template
from sparsenas.sparsity.layout import outputs_first, outputs_last
from sparsenas.sparsity.patterns import DENSE, Sparsity
from sparsenas.sparsity.ranks import ranks, sparse_patterns

Choices = tuple[jax.Array, ...]
"""One vector of probabilities per choice of a space: float32 [options]."""

_Stats = dict[str, tuple[jax.Array, jax.Array]]
"""Mean and variance of layers by name."""


def supernet(space: Space) -> PureModule:
    """Returns the network that holds all of a space.

    Its `init(rng)` gives variables keyed by layer name. Its

        apply(variables, x, choices, *, train, hard=False, dtype=jnp.float32) -> (logits, stats)

    takes x float32 [N, H, W, C] in [0, 1] and returns float32 logits [N, classes]. With `train`,
    normalisation uses the batch, and `stats` are the means and variances of this batch; without,
    `variables.stats` are used and returned. With `hard`, the choices must be one-hot: absent blocks are not
    computed, their stats stay as they are, and there is no gradient in whether they are there. `dtype` is
    what activations and weights are computed in; statistics stay float32.
    """
    net = pure(lambda rng: _Supernet(space, rng))

    def init(rng: np.random.Generator) -> Variables:
        return refresh_ranks(space, net.init(rng))

    return PureModule(init, net.apply)


def one_hot(space: Space, arch: Arch) -> Choices:
    """Returns the choices that mean one architecture."""
    return tuple(options[0] for options in batch_one_hot(space, [arch]))


def batch_one_hot(space: Space, archs: Sequence[Arch]) -> Choices:
    """Returns the choices of several architectures, [len(archs), options] each, for `jax.vmap`."""
    return tuple(
        np.eye(len(choice.options), dtype=np.float32)[[arch[i] for arch in archs]]
        for i, choice in enumerate(space.choices)
    )


def refresh_ranks(space: Space, variables: Variables, *, part: float = 1.0) -> Variables:
    """Sorts the weights of searched sparsity by magnitude anew.

    Training calls this every so many steps: the order changes slowly, and sorting costs more than a step.
    With numpy, as XLA takes long to compile a sort and longer to run it on a CPU.

    Args:
        part: of its zeros that every network has, from 0 to 1, while a supernet is pruned.
    """
    templates = {template.name: template for template in space.templates}

    def rank(name: str) -> np.ndarray:
        if not part:
            return np.ones_like(variables.ranks[name]["rank"])
        # Weights of `rank >= fraction` are kept: larger ranks are as good as lower fractions.
        return _ranks(np.asarray(variables.params[name]["weight"]), templates[name]) / np.float32(part)

    return variables._replace(ranks={name: {"rank": rank(name)} for name in variables.ranks})


def _ranks(weight: np.ndarray, template: Template) -> np.ndarray:
    """Returns the ranks of a layer's weights for each of its patterns: [patterns, *weight.shape]."""
    first = outputs_first(weight, template.op)
    found = [
        ranks(
            first.reshape(len(first), template.c_in.max, -1),
            pattern,
            outputs=_widths(template.c_out),
            inputs=_widths(template.c_in),
            rings=_rings(template),
        )
        for pattern in sparse_patterns(template.sparsity.values.flat)
    ]
    return np.stack([outputs_last(rank.reshape(first.shape), template.op) for rank in found])


def _widths(width: Dim) -> list[int]:
    return np.unique(width.values.astype(int)).tolist()


def _rings(template: Template) -> np.ndarray:
    """Returns for each tap of a window, or pixel of a fully connected layer, its smallest kernel's number."""
    if template.op == "fully_connected":
        return np.zeros(template.height * template.width, int)
    windows = [_window(side, template.kernel.max) for side in _widths(template.kernel)]
    return len(windows) - np.sum(windows, axis=0).astype(int).ravel()


def _window(side: int, largest: int) -> np.ndarray:
    """Returns which taps of the largest window a smaller one has: bool [largest, largest]; none for 0."""
    inside = 2 * np.abs(np.arange(largest) - largest // 2) < side
    return inside[:, None] & inside


class _Supernet(nnx.Module):
    """Layers named as in the space; the wiring between them."""

    def __init__(self, space: Space, rng: np.random.Generator) -> None:
        self.space = space
        for template in space.templates:
            # A space without choices is pruned by its optimizer; masking it by rank as well would be
            # twice.
            patterns = sparse_patterns(template.sparsity.values.flat) if space.choices else ()
            module = _built(template, len(patterns), rng)
            if module is not None:
                setattr(self, template.name, module)

    def __call__(
        self, x: jax.Array, choices: Choices, *, train: bool, hard: bool = False, dtype: Any = jnp.float32
    ) -> jax.Array:
        _check(self.space, choices)
        templates = self.space.templates
        outputs = {IMAGE: x.astype(dtype)}
        for block in _blocks(templates):
            last = templates[block[-1]]
            if last.otherwise is None:
                y, stats = self._run(block, outputs, choices, train)
            else:
                y, stats = self._run_optional(block, outputs, choices, train, hard)
            outputs[block[-1]] = y
            for name, (mean, variance) in stats.items():
                module = getattr(self, name)
                module.mean.set_value(mean)
                module.variance.set_value(variance)
        y = outputs[len(templates) - 1]
        return y.reshape(len(y), -1).astype(jnp.float32)

    def _run_optional(
        self, block: range, outputs: dict[int, jax.Array], choices: Choices, train: bool, hard: bool
    ) -> tuple[jax.Array, _Stats]:
        """Runs a block that may be absent; arguments and result as for `_run`."""
        last = self.space.templates[block[-1]]
        passed_by = outputs[last.otherwise]
        share = _expected(last.present, last.present.values, choices)
        if hard:
            modules = {self.space.templates[i].name: self._module(i) for i in block}
            old = {
                name: (module.mean[...], module.variance[...])
                for name, module in modules.items()
                if isinstance(module, Convolution)
            }
            return lax.cond(
                share > 0, lambda: self._run(block, outputs, choices, train), lambda: (passed_by, old)
            )
        y, stats = self._run(block, outputs, choices, train)
        share = share.astype(y.dtype)
        return share * y + (1 - share) * passed_by, stats

    def _run(
        self, block: range, outputs: dict[int, jax.Array], choices: Choices, train: bool
    ) -> tuple[jax.Array, _Stats]:
        """Returns the output of a block's last layer, and the means and variances of its layers by name.

        Args:
            outputs: of the layers before, by position.
        """
        outputs, stats = dict(outputs), {}
        for i in block:
            template, module = self.space.templates[i], self._module(i)
            x = [outputs[j] for j in template.inputs]
            mask = _channel_mask(template.c_out, choices)
            if module is None:
                outputs[i] = activate(template.activation, _combined(template, x), mask)
                continue
            kept = _kept(template, module, choices)
            if isinstance(module, FullyConnected):
                outputs[i] = module(x[0], kept=kept, mask=mask)
            else:
                outputs[i], stats[template.name] = module(x[0], kept=kept, mask=mask, train=train)
        return outputs[block[-1]], stats

    def _module(self, i: int) -> Convolution | FullyConnected | None:
        found = getattr(self, self.space.templates[i].name, None)
        # A layer without weights may be named like anything that modules have.
        return found if isinstance(found, Convolution | FullyConnected) else None


def _blocks(templates: Sequence[Template]) -> Iterator[range]:
    """Yields the positions of layers that come and go together; of any other layer, it alone."""
    start = 0
    for i, template in enumerate(templates):
        goes_on = i + 1 < len(templates) and templates[i + 1].present is template.present
        if template.present.is_constant or template.otherwise is not None or not goes_on:
            yield range(start, i + 1)
            start = i + 1


def _built(template: Template, patterns: int, rng: np.random.Generator) -> nnx.Module | None:
    c_in, c_out, k = template.c_in.max, template.c_out.max, template.kernel.max
    match template.op:
        case "conv_hwc" | "conv":
            shape = (k, k, c_in, c_out)
        case "conv1x1":
            shape = (c_in, c_out)
        case "depthwise":
            shape = (k, k, c_out)
        case "fully_connected":
            shape = (c_in * template.height * template.width, c_out)
            return FullyConnected(shape, activation=template.activation, patterns=patterns, rng=rng)
        case _:
            return None
    return Convolution(
        template.op,
        shape,
        stride=template.stride,
        pad=template.pad,
        activation=template.activation,
        patterns=patterns,
        rng=rng,
    )


def _combined(template: Template, inputs: Sequence[jax.Array]) -> jax.Array:
    """Computes an operator without weights."""
    x = inputs[0]
    match template.op:
        case "add":
            return x + inputs[1]
        case "multiply":
            return x * inputs[1]
        case "global_average_pool":
            return x.mean((1, 2), keepdims=True, dtype=jnp.float32).astype(x.dtype)
        case "max_pool":
            return max_pool(x, kernel=template.kernel.max, stride=template.stride, pad=template.pad)
        case "average_pool":
            return average_pool(x, kernel=template.kernel.max, stride=template.stride, pad=template.pad)
    raise ValueError(f"Layer {template.name!r} has an unknown operator, {template.op!r}.")


def _check(space: Space, choices: Choices) -> None:
    expected = [(len(choice.options),) for choice in space.choices]
    found = [np.shape(options) for options in choices]
    if found != expected:
        raise ValueError(f"`choices` of space {space.name!r} must have shapes {expected}, found {found}.")


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


def _kept(template: Template, module: nnx.Module, choices: Choices) -> jax.Array | None:
    """Returns the part of the networks that has each weight of a layer; None where all have.

    The result broadcasts to the weight's shape.
    """
    rank = module.rank
    if rank is None and template.kernel.is_constant:
        return None
    sparsity = constant(DENSE) if rank is None else template.sparsity
    patterns = sparse_patterns(sparsity.values.flat)
    terms = []
    for option in dict.fromkeys(sparsity.values.flat):
        share = _tap_share(template.kernel, sparsity, option, choices)
        share = share.reshape(*share.shape, *[1] * (module.weight[...].ndim - 2))
        if option.fraction:
            share = share * jnp.float32(rank[patterns.index(option.pattern)] >= option.fraction)
        terms.append(share)
    return sum(terms)


def _tap_share(kernel: Dim, sparsity: Dim, option: Sparsity, choices: Choices) -> jax.Array:
    """Returns the part of the networks that has each tap and this option of zeros, [k, k]."""
    # One choice may decide both.
    side = combine(lambda side, zeros: side if zeros == option else 0, kernel, sparsity)
    windows = np.stack([_window(int(side), kernel.max) for side in side.values.flat])
    return _expected(side, windows.reshape(*side.values.shape, kernel.max, kernel.max), choices)
