"""Spreads the images of a batch over devices; each has all of the weights."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sparsenas.errors import UserError
from sparsenas.nn.pure import Variables
from sparsenas.supernet import Choices
from sparsenas.train.loop import Passed, Passes


class Spread(NamedTuple):
    """Where arrays lie.

    Attributes:
        whole: what every device has all of.
        images: what has the images of a batch along its first axis.
    """

    whole: NamedSharding
    images: NamedSharding


def spread(devices: int | None, *, batch: int) -> Spread | None:
    """Returns how a batch is spread over devices; None for one device.

    Normalisation still sees the whole batch, so that the result does not depend on how many there are.

    Args:
        devices: how many. Where left out, as many accelerators as there are and share the batch evenly; one
            device where there are none.

    Raises:
        UserError: where there are fewer, or they cannot share the batch evenly.
    """
    found = jax.devices()
    if devices is None:
        accelerators = len(found) if jax.default_backend() != "cpu" else 1
        devices = max(count for count in range(1, accelerators + 1) if batch % count == 0)
    if not 1 <= devices <= len(found):
        raise UserError(f"`devices` must be from 1 to {len(found)}, those that JAX has, found {devices}.")
    if batch % devices:
        raise UserError(f"`batch` must be a multiple of the {devices} devices that share it, found {batch}.")
    if devices == 1:
        return None
    mesh = Mesh(np.array(found[:devices]), ("images",))
    return Spread(
        whole=NamedSharding(mesh, PartitionSpec()), images=NamedSharding(mesh, PartitionSpec("images"))
    )


def shared_out(passes: Passes, images: NamedSharding) -> Passes:
    """Returns the same passes with the images of a batch spread over devices."""

    def spread_passes(
        variables: Variables, x: jax.Array, choices: Choices, loss_of: Callable[[jax.Array], jax.Array]
    ) -> Passed:
        return passes(variables, lax.with_sharding_constraint(x, images), choices, loss_of)

    return spread_passes
