"""StableHLO, as `jax.export` serialises it: any JAX runs it, and it needs nothing of this project.

run = jax.export.deserialize(bytearray(open("model.stablehlo", "rb").read())).call
logits = run(images)                               # float32 [N, H, W, C] -> float32 [N, D], any N
"""

import jax
import jax.numpy as jnp
from jax import export

from sparsenas.export.forward import forward
from sparsenas.export.network import Network

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def to_stablehlo(network: Network) -> bytes:
    """Returns a network for any number of images, N, on every platform that JAX has."""
    (batch,) = export.symbolic_shape("N")
    images = jax.ShapeDtypeStruct((batch, *network.image), jnp.float32)
    exported = export.export(jax.jit(forward(network)), platforms=PLATFORMS)(images)
    return bytes(exported.serialize())
