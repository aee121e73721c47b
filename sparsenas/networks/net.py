"""Writes a network without choices down, layer by layer in the order they run."""

from dataclasses import replace

from sparsenas.errors import UserError
from sparsenas.networks.pruning import Rule
from sparsenas.space import IMAGE, Layer


class Net:
    """A network under construction; tensors are positions of the layers that give them, `IMAGE` the input.

    >>> from sparsenas.networks.pruning import uniform
    >>> net = Net(side=32, rule=uniform(0.9))
    >>> x = net.add("stem", "conv_hwc", IMAGE, 16, kernel=3, stride=2)
    >>> x = net.add("mix", "conv1x1", x, 32, pruned=True)
    >>> [(layer.name, layer.c_in, layer.c_out, layer.height, layer.sparsity) for layer in net.layers]
    [('stem', 3, 16, 32, 0.0), ('mix', 16, 32, 16, 0.9)]
    """

    def __init__(self, *, side: int, rule: Rule) -> None:
        if side < 1:
            raise UserError(f"`side` of the image must be at least 1, found {side}.")
        self._image = (side, side, 3)
        self._rule = rule
        self._layers: list[Layer] = []

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(self._layers)

    def shape(self, x: int) -> tuple[int, int, int]:
        """Returns height, width and channels of a tensor."""
        if x == IMAGE:
            return self._image
        layer = self._layers[x]
        return layer.out_height, layer.out_width, layer.c_out

    def add(
        self,
        name: str,
        op: str,
        x: int | tuple[int, int],
        c_out: int | None = None,
        *,
        kernel: int = 1,
        stride: int = 1,
        pad: int | None = None,
        activation: str = "none",
        pruned: bool = False,
    ) -> int:
        """Adds a layer and returns the tensor it gives.

        Args:
            x: what it reads, two tensors for an add or a multiply.
            c_out: as many as go in where left out.
            pruned: whether the rule says how sparse it is; otherwise it is dense.
        """
        inputs = x if isinstance(x, tuple) else (x,)
        height, width, c_in = self.shape(inputs[0])
        layer = Layer(
            name=name, op=op, inputs=inputs, c_in=c_in, c_out=c_in if c_out is None else c_out,
            height=height, width=width, kernel=kernel, stride=stride, pad=pad,
            activation=activation,
        )  # fmt: skip
        if pruned:
            sparsity = self._rule(layer)
            layer = replace(layer, pattern=sparsity.pattern, sparsity=sparsity.fraction)
        self._layers.append(layer)
        return len(self._layers) - 1

    def classify(self, x: int, classes: int) -> tuple[Layer, ...]:
        """Adds the mean of every channel and a classifier, and returns the finished network."""
        x = self.add("pool", "global_average_pool", x)
        self.add("classifier", "fully_connected", x, classes)
        return self.layers
