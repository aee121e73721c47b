"""Turns an NNX module into a pair of pure functions over plain pytrees."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

PyTree = Any


class ArchParam(nnx.Variable):
    """A relaxed architecture choice, trained by its own optimizer."""


class Rank(nnx.Variable):
    """Where each weight stands among its peers by magnitude; follows the weights now and then."""


class Variables(NamedTuple):
    """All arrays of a network, split by who updates them."""

    params: PyTree  # By the weight optimizer.
    arch: PyTree  # By the architecture optimizer.
    stats: PyTree  # By the forward pass: means and variances of batch normalisation.
    ranks: PyTree  # By `supernet.refresh_ranks`.


class PureModule(NamedTuple):
    """A network as two functions.

    Attributes:
        init: `init(rng) -> variables`, numpy arrays.
        apply: `apply(variables, *args, **kwargs) -> (output, stats)`.
    """

    init: Callable[[np.random.Generator], Variables]
    apply: Callable[..., tuple[jax.Array, PyTree]]


def pure(build: Callable[[np.random.Generator], nnx.Module]) -> PureModule:
    """Returns `init` and `apply` of the built module.

    NNX only declares layers. The module is merged *inside* the traced function, so that `apply` may
    run under `jax.jit`, `jax.grad` and `jax.vmap` like any other function of pytrees; merged outside,
    it would write to variables of an outer trace, which NNX rejects. Modules draw their weights with
    numpy, as compiling the drawing takes seconds.
    """
    kinds = (nnx.Param, ArchParam, nnx.BatchStat, Rank)
    graphdef, *_ = nnx.split(build(np.random.default_rng(0)), *kinds)

    def init(rng: np.random.Generator) -> Variables:
        _, *states = nnx.split(build(rng), *kinds)
        return Variables(*map(nnx.to_pure_dict, states))

    def apply(variables: Variables, *args: Any, **kwargs: Any) -> tuple[jax.Array, PyTree]:
        # NNX would write into numpy arrays.
        module = nnx.merge(graphdef, *jax.tree.map(jnp.asarray, variables))
        output = module(*args, **kwargs)
        _, _, _, stats, _ = nnx.split(module, *kinds)
        return output, nnx.to_pure_dict(stats)

    return PureModule(init, apply)
