"""The layers of a model file, as a latency model takes them."""

from dataclasses import replace

from sparsenas.native import Model, PlannedLayer
from sparsenas.space import Layer
from sparsenas.sparsity.patterns import DENSE, PATTERNS, NByM


def layers_of(model: Model) -> tuple[Layer, ...]:
    """Returns the layers of a model file that was loaded."""
    return tuple(_layer(planned) for planned in model.layers)


def _layer(planned: PlannedLayer) -> Layer:
    pattern = PATTERNS[planned.pattern] if planned.zeros else DENSE.pattern
    if isinstance(pattern, NByM):  # Where inputs are no multiple of m, a little more is held.
        zeros = 1 - pattern.n / pattern.m
    else:
        zeros = planned.zeros if pattern != DENSE.pattern else 0.0
    layer = Layer(
        name=planned.name,
        op=planned.op,
        inputs=planned.inputs,
        c_in=planned.c_in,
        c_out=planned.c_out,
        height=planned.height,
        width=planned.width,
        kernel=planned.kernel,
        stride=planned.stride,
        activation=planned.activation,
        pattern=pattern,
        sparsity=zeros,
    )
    wanted = planned.out_height, planned.out_width
    padded = (replace(layer, pad=pad) for pad in (None, *range(planned.kernel)))
    return next((one for one in padded if (one.out_height, one.out_width) == wanted), layer)
