"""What the tests of the primitives share: formulas in double precision, and how close to them is right."""

import jax
import jax.numpy as jnp
import numpy as np

# Sums of up to some hundred products in single precision, relative to the largest entry.
TOLERANCE = 1e-5


def assert_close(found, expected, tolerance=TOLERANCE):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=tolerance * max(np.abs(b).max(), 1e-30))


def in_double(fn, *args):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(fn)(*(jnp.asarray(arg, jnp.float64) for arg in args)))


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def value_and_gradients(fn):
    """Returns a function of `fn`'s arguments and the gradient of its output: its value and gradients."""

    def run(*args):
        *args, g = args
        y, pull = jax.vjp(fn, *args)
        return y, pull(g)

    return run


def gradients_of_gradients(fn):
    """Returns the gradients of a sum over curved functions of the gradients, through a curved loss."""

    def penalty(*args):
        found = jax.grad(lambda *args: jnp.sin(fn(*args)).sum(), tuple(range(len(args))))(*args)
        return sum((g**3).sum() for g in found)

    return lambda *args: jax.grad(penalty, tuple(range(len(args))))(*args)


def one_after_the_other(fn, mapped, args):
    """Returns what `vmap` over the arguments that `mapped` names must give."""
    count = next(len(arg) for arg, m in zip(args, mapped, strict=True) if m)
    rows = [fn(*(arg[i] if m else arg for arg, m in zip(args, mapped, strict=True))) for i in range(count)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
