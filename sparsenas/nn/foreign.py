"""Native primitives inside JAX computations on a CPU (`native/primitives`, through `jax.ffi`).

They run on XLA's own threads, as many as it may use, and compute the same on any number of them. Stacked
by `jax.vmap`, arguments that are not stacked stay as they are.
"""

import functools
import warnings
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from sparsenas import native

# The widest kernels that they have room for.
MOST_TAPS = 15


def serve(*arrays: jax.Array) -> bool:
    """Whether the native primitives compute with these arrays: single precision on a CPU."""
    return jax.default_backend() == "cpu" and all(array.dtype == jnp.float32 for array in arrays) and _ready()


def call(
    name: str, shapes: Sequence[tuple[int, ...]], *arrays: jax.Array, **settings: int | float
) -> list[jax.Array]:
    """Calls a primitive.

    Args:
        shapes: of the results.
        settings: of the primitive.
    """
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    run = jax.ffi.ffi_call(f"sparsenas_{name}", results, vmap_method="expand_dims")
    # Types as the primitives declare them.
    types = {bool: bool, int: np.int64, float: np.float32}
    attributes = {key: types[type(value)](value) for key, value in settings.items()}
    return run(*arrays, **attributes)


@functools.cache
def _ready() -> bool:
    """Registers the primitives. Without them, training goes on with XLA's own operations."""
    try:
        capsules = native.primitives()
        for name, capsule in capsules.items():
            jax.ffi.register_ffi_target(f"sparsenas_{name}", capsule, platform="cpu")
    except Exception as error:
        problem = f"this version of jax does not take them ({error})"
    else:
        if capsules:
            return True
        problem = "the package was built without jaxlib"
    warnings.warn(
        f"Training is slower without native primitives: {problem}; install the package again: pip install .",
        stacklevel=2,
    )
    return False
