"""The side of trainer.py that trains with this package, in the loop that all training runs in."""

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from sparsenas.bench.peers.trainer import Ask, timed
from sparsenas.builder import Builder
from sparsenas.data import Split
from sparsenas.nn import batch_norm, convolution, depthwise, pointwise
from sparsenas.space import Space
from sparsenas.supernet import supernet
from sparsenas.train import NetworkSettings, train_network

# Passes in one call of the device, which allocates its memory afresh.
_PASSES = 10
_IMAGES = 1024


def serve(network: dict[str, Any], ask: Ask) -> None:
    """Trains, and answers the messages that come in between."""
    space = space_of(network["layers"], network["classes"])
    batch = network["batch"]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (max(_IMAGES, batch), *space.image), np.uint8)
    split = Split(images, rng.integers(0, space.classes, len(images), np.int32))
    message = ask({"version": version("sparsenas")})
    message = _serve_others(message, space, split, batch, ask)
    done, started = 0, time.perf_counter()

    def report(steps_done: int, steps: int, metrics: dict[str, float]) -> None:
        nonlocal done, started
        steps = steps_done - done
        ms = 1e3 * (time.perf_counter() - started) / steps
        _serve_others(ask({"ms": ms}), space, split, batch, ask)
        done, started = steps_done, time.perf_counter()

    # More steps than anybody waits for.
    train_network(space, split, NetworkSettings(steps=10**6, batch=batch), seed=0, report=report)


def space_of(layers: Sequence[Mapping[str, Any]], classes: int) -> Space:
    """Returns the space whose only network has these layers, and ends with pooling and a classifier.

    Raises:
        ValueError: for an operator that is not one of inverted residuals.
    """
    first = layers[0]
    net = Builder("measured", image=(first["height"], first["width"], first["c_in"]), classes=classes)
    outputs = [net.image]  # That of layer i at i + 1.
    for i, layer in enumerate(layers[:-2]):
        name, (x, *others) = f"layer{i}", [outputs[j + 1] for j in layer["inputs"]]
        activation = {"activation": layer["activation"]}
        window = {"kernel": layer["kernel"], "stride": layer["stride"]}
        match layer["op"]:
            case "conv_hwc":
                outputs.append(net.conv_hwc(name, x, layer["c_out"], **activation, **window))
            case "conv1x1":
                outputs.append(net.conv1x1(name, x, layer["c_out"], **activation))
            case "depthwise":
                outputs.append(net.depthwise(name, x, **activation, **window))
            case "add":
                outputs.append(net.add(name, x, *others, **activation))
            case op:
                raise ValueError(f"Expected layers of inverted residuals, found {op!r}.")
    return net.classify(outputs[-1])


def _serve_others(message: dict, space: Space, split: Split, batch: int, ask: Ask) -> dict:
    """Answers until a message asks for steps, and returns that."""
    while "step" not in message:
        if "primitive" in message:
            answer = _primitive(message)
        else:
            answer = {"ms": _pass(space, split, batch, back="gradient" in message)}
        message = ask(answer)
    return message


def _pass(space: Space, split: Split, batch: int, *, back: bool) -> float:
    """Returns the milliseconds of the pass to the loss, and back where asked for."""
    net = supernet(space)
    variables = jax.device_put(net.init(np.random.default_rng(0)))
    x = jnp.asarray(split.images[:batch], jnp.float32) / 255
    targets = optax.smooth_labels(jax.nn.one_hot(split.labels[:batch], space.classes), 0.1)

    def loss(params: Any) -> tuple[jax.Array, Any]:
        outputs, stats = net.apply(variables._replace(params=params), x, (), train=True)
        return optax.softmax_cross_entropy(outputs, targets).mean(), stats

    compute = jax.grad(loss, has_aux=True) if back else loss

    @jax.jit
    def passes(params: Any) -> jax.Array:
        def again(_: int, zero: jax.Array) -> jax.Array:
            # Each pass waits for the one before.
            found = compute(jax.tree.map(lambda a: a + zero, params))
            return 0 * sum(leaf.ravel()[0] for leaf in jax.tree.leaves(found))

        return lax.fori_loop(0, _PASSES, again, jnp.float32(0))

    return timed(lambda: passes(variables.params).block_until_ready()) / _PASSES


def _primitive(message: dict[str, Any]) -> dict[str, float]:
    """Returns the milliseconds of one of ours and of XLA's own way."""
    (n, h, w, c), d, stride = message["shape"], message["out"], message["stride"]
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((n, h, w, c), np.float32))
    kernel = jnp.asarray(rng.standard_normal((3, 3, c, d), np.float32))
    zero = jnp.zeros(c)
    ours, theirs, weight = {
        "depthwise": (
            lambda x, k: depthwise.depthwise(x, k, stride=stride),
            lambda x, k: depthwise.library(x, k, stride),
            kernel[:, :, 0],
        ),
        "pointwise": (pointwise.pointwise, pointwise.library, kernel[0, 0]),
        "convolution": (
            lambda x, k: convolution.convolution(x, k, stride=stride),
            lambda x, k: convolution.library(x, k, stride),
            kernel,
        ),
        "batch_norm": (
            lambda x, scale: batch_norm.batch_norm(x, scale, zero, activation="relu6")[0],
            lambda x, scale: batch_norm.library(x, scale, zero, "relu6")[0],
            jnp.ones(c),
        ),
    }[message["primitive"]]
    # The first layer's input is an image, which needs no gradient.
    by = (1,) if message["primitive"] == "convolution" else (0, 1)
    found = _times(ours, x, weight, by)
    return found | {f"xla_{name}": ms for name, ms in _times(theirs, x, weight, by).items()}


def _times(
    compute: Callable[[jax.Array, jax.Array], jax.Array], x: jax.Array, weight: jax.Array, by: tuple[int, ...]
) -> dict[str, float]:
    @jax.jit
    def gradient(x: jax.Array, weight: jax.Array, g: jax.Array) -> list[jax.Array]:
        gradients = jax.vjp(compute, x, weight)[1](g)
        return [gradients[i] for i in by]

    forward = jax.jit(compute)
    g = jnp.ones_like(forward(x, weight))
    return {
        "forward": timed(lambda: jax.block_until_ready(forward(x, weight))),
        "gradient": timed(lambda: jax.block_until_ready(gradient(x, weight, g))),
    }
