"""Networks that tests of the native runtime share."""

from pathlib import Path

from sparsenas import native
from sparsenas.export.network import random_network
from sparsenas.space import IMAGE, Layer
from sparsenas.sparsity.patterns import Dense, Unstructured

GOLDEN = Path(__file__).parent / "golden"
ISAS = native.isas()


def layer(op, *, c_in, height=1, width=1, c_out=None, inputs=(IMAGE,), sparsity=0.0, **settings):
    return Layer(
        name=settings.pop("name", op),
        op=op,
        inputs=inputs,
        c_in=c_in,
        c_out=c_out or c_in,
        height=height,
        width=width,
        kernel=settings.pop("kernel", 3 if op in ("conv_hwc", "depthwise", "conv") else 1),
        pattern=settings.pop("pattern", Unstructured() if sparsity else Dense()),
        sparsity=sparsity,
        **settings,
    )


class Chain:
    """Appends layers, each of which reads the one before unless told otherwise."""

    def __init__(self):
        self.layers = []

    def __call__(self, op, *, inputs=None, **settings):
        if inputs is None:
            inputs = (len(self.layers) - 1,) if self.layers else (IMAGE,)
        before = self.layers[inputs[0]] if inputs[0] != IMAGE else None
        if before is not None:
            settings |= {
                "c_in": before.c_out, "height": before.out_height, "width": before.out_width
            }  # fmt: skip
        name = f"{op}{len(self.layers)}"
        self.layers.append(layer(op, inputs=inputs, name=name, **settings))
        return len(self.layers) - 1


def whole_network(height, width, *, sparsity, stride):
    """Every operator, a residual connection, and both activations."""
    net = Chain()
    net("conv_hwc", c_in=3, height=height, width=width, c_out=10, stride=stride, activation="relu6")
    start = net("conv1x1", c_out=16, sparsity=sparsity)
    net("conv1x1", c_out=40, sparsity=sparsity, activation="relu")
    net("depthwise", activation="relu6")
    end = net("conv1x1", c_out=16, sparsity=sparsity)
    net("add", inputs=(start, end), activation="relu")
    net("depthwise", stride=stride)
    net("conv1x1", c_out=33, sparsity=sparsity, activation="relu6")
    net("global_average_pool")
    net("fully_connected", c_out=17, sparsity=sparsity)
    return random_network(net.layers, seed=height * width)
