"""Writes search spaces down, layer by layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparsenas.dims import Dim, constant, tight
from sparsenas.errors import UserError
from sparsenas.space import (
    ACTIVATIONS,
    IMAGE,
    POOLS,
    Choice,
    Space,
    Template,
    misplaced,
    out_side,
    usual_padding,
)
from sparsenas.sparsity.patterns import DENSE, Sparsity


@dataclass(frozen=True)
class Tensor:
    """What a layer of a space under construction gives out: channels x height x width."""

    position: int
    channels: Dim
    height: int
    width: int


class Builder:
    """Writes a space down layer by layer, in the order the layers run.

    Numbers that a choice decides are given as the `Dim` that `choice` returns, plain numbers are constants.

    >>> from sparsenas.sparsity.patterns import Sparse
    >>> net = Builder("one", image=(8, 8, 3), classes=10)
    >>> width = net.choice("width", (8, 16))
    >>> x = net.conv_hwc("stem", net.image, width, stride=2, activation="relu6")
    >>> x = net.conv1x1("mix", x, width * 2, sparsity=net.choice("zeros", (DENSE, Sparse(0.9))))
    >>> space = net.classify(x)
    >>> [(layer.op, layer.c_out, layer.sparsity) for layer in space.layers((1, 1))][:2]
    [('conv_hwc', 16, 0.0), ('conv1x1', 32, 0.9)]
    """

    def __init__(self, name: str, *, image: tuple[int, int, int], classes: int) -> None:
        height, width, channels = image
        self.image = Tensor(IMAGE, constant(channels), height, width)
        self._name, self._image, self._classes = name, image, classes
        self._choices: list[Choice] = []
        self._templates: list[Template] = []
        self._present = constant(True)

    def choice(self, name: str, options: Sequence) -> Dim:
        """Adds a choice and returns its value. Ordered options should ascend."""
        options = tuple(options)
        if not options:
            raise UserError(f"Choice {name!r} of space {self._name!r} has no options; give at least one.")
        if any(choice.name == name for choice in self._choices):
            raise UserError(f"Space {self._name!r} has two choices named {name!r}; rename one.")
        self._choices.append(Choice(name, options))
        values = np.empty(len(options), object)
        values[:] = options
        return Dim((len(self._choices) - 1,), tight(values))

    def conv_hwc(
        self,
        name: str,
        x: Tensor,
        c_out: "Dim | int",
        *,
        kernel: "Dim | int" = 3,
        stride: int = 1,
        activation: str = "none",
    ) -> Tensor:
        """Adds the first convolution, which reads the image as height x width x channels."""
        return self._add(name, "conv_hwc", (x,), c_out, kernel=kernel, stride=stride, activation=activation)

    def conv1x1(
        self,
        name: str,
        x: Tensor,
        c_out: "Dim | int",
        *,
        activation: str = "none",
        sparsity: "Dim | Sparsity" = DENSE,
    ) -> Tensor:
        """Adds a pointwise convolution, the layer that sparsity is for."""
        return self._add(name, "conv1x1", (x,), c_out, activation=activation, sparsity=_dim(sparsity))

    def depthwise(
        self, name: str, x: Tensor, *, kernel: "Dim | int" = 3, stride: int = 1, activation: str = "none"
    ) -> Tensor:
        """Adds a convolution of every channel by itself."""
        return self._add(
            name, "depthwise", (x,), x.channels, kernel=kernel, stride=stride, activation=activation
        )

    def add(self, name: str, x: Tensor, y: Tensor, *, activation: str = "none") -> Tensor:
        """Adds two tensors of one shape."""
        if (x.height, x.width) != (y.height, y.width) or not _same(x.channels, y.channels):
            raise UserError(
                f"Layer {name!r} of space {self._name!r} adds tensors of different shapes: "
                f"{_shape(x)} and {_shape(y)}."
            )
        return self._add(name, "add", (x, y), x.channels, activation=activation)

    def conv(
        self,
        name: str,
        x: Tensor,
        c_out: "Dim | int",
        *,
        kernel: "Dim | int" = 3,
        stride: int = 1,
        activation: str = "none",
        sparsity: "Dim | Sparsity" = DENSE,
    ) -> Tensor:
        """Adds a convolution of more than one pixel between layers; the first one is `conv_hwc`."""
        return self._add(
            name, "conv", (x,), c_out,
            kernel=kernel, stride=stride, activation=activation, sparsity=_dim(sparsity),
        )  # fmt: skip

    def fully_connected(
        self,
        name: str,
        x: Tensor,
        c_out: "Dim | int",
        *,
        activation: str = "none",
        sparsity: "Dim | Sparsity" = DENSE,
    ) -> Tensor:
        """Adds a layer whose every output reads all pixels of all channels."""
        return self._add(name, "fully_connected", (x,), c_out, activation=activation, sparsity=_dim(sparsity))

    def max_pool(
        self, name: str, x: Tensor, *, kernel: int = 2, stride: int | None = None, activation: str = "none"
    ) -> Tensor:
        """Adds the maximum over windows; `stride` is `kernel` where left out."""
        return self._pool(name, "max_pool", x, kernel, stride, activation)

    def average_pool(
        self, name: str, x: Tensor, *, kernel: int = 2, stride: int | None = None, activation: str = "none"
    ) -> Tensor:
        """Adds the mean over windows, of the pixels inside the image; `stride` is `kernel` where left out."""
        return self._pool(name, "average_pool", x, kernel, stride, activation)

    def global_average_pool(self, name: str, x: Tensor, *, activation: str = "none") -> Tensor:
        """Adds the mean of every channel, one pixel."""
        return self._add(name, "global_average_pool", (x,), x.channels, activation=activation)

    def multiply(self, name: str, x: Tensor, y: Tensor, *, activation: str = "none") -> Tensor:
        """Multiplies two tensors of one shape, or `x` by one number per channel: `y` of one pixel."""
        if (y.height, y.width) not in ((x.height, x.width), (1, 1)) or not _same(x.channels, y.channels):
            raise UserError(
                f"Layer {name!r} of space {self._name!r} multiplies tensors of different shapes: "
                f"{_shape(x)} and {_shape(y)}; the second may also have one pixel."
            )
        return self._add(name, "multiply", (x, y), x.channels, activation=activation)

    def optional(self, present: Dim, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        """Adds a block that is left out where `present` is false; `x` then passes through unchanged."""
        if not self._present.is_constant:
            raise UserError(f"Space {self._name!r} has an optional block inside an optional block.")
        self._present = present
        y = block(x)
        self._present = constant(True)
        if (x.height, x.width) != (y.height, y.width) or not _same(x.channels, y.channels):
            raise UserError(
                f"An optional block of space {self._name!r} must keep its input's shape, "
                f"found {_shape(x)} in and {_shape(y)} out."
            )
        self._templates[y.position] = replace(self._templates[y.position], otherwise=x.position)
        return y

    def classify(self, x: Tensor, *, references: Mapping[str, Mapping[str, Any]] | None = None) -> Space:
        """Adds global average pooling, where pixels are left, and the classifier; returns the finished space.

        Args:
            references: architectures by name, each as the options of some choices by their names; the other
                choices have the option that `Space.largest` has.
        """
        if (x.height, x.width) != (1, 1):
            x = self.global_average_pool("pool", x)
        self._add("classifier", "fully_connected", (x,), self._classes)
        space = Space(
            name=self._name,
            image=self._image,
            classes=self._classes,
            choices=tuple(self._choices),
            templates=tuple(self._templates),
        )
        named = {name: space.pick(options) for name, options in (references or {}).items()}
        return replace(space, references=named)

    def _add(
        self, name: str, op: str, inputs: tuple[Tensor, ...], c_out: "Dim | int", **settings: Any
    ) -> Tensor:
        if any(template.name == name for template in self._templates):
            raise UserError(f"Space {self._name!r} has two layers named {name!r}; rename one.")
        activation = settings.get("activation", "none")
        if activation not in ACTIVATIONS:
            raise UserError(
                f"Layer {name!r} of space {self._name!r}: no activation named {activation!r}; "
                f"there are: {', '.join(ACTIVATIONS)}."
            )
        x, c_out, kernel = inputs[0], _dim(c_out), _dim(settings.pop("kernel", 1))
        for sparsity in settings.get("sparsity", _dim(DENSE)).values.flat:
            for side in kernel.values.flat:
                problem = misplaced(sparsity.pattern, op, int(side))
                if problem:
                    raise UserError(f"Layer {name!r} of space {self._name!r} {problem}")
        if kernel.values.min() < 1 or (op not in POOLS and (kernel.values % 2 == 0).any()):
            raise UserError(
                f"Layer {name!r} of space {self._name!r} must have an odd kernel of at least 1, "
                f"found {kernel.values.reshape(-1).tolist()}."
            )
        if c_out.values.min() < 1:
            raise UserError(
                f"Layer {name!r} of space {self._name!r} must have at least 1 output channel, "
                f"found {c_out.values.min()}."
            )
        template = Template(
            name=name,
            op=op,
            inputs=tuple(tensor.position for tensor in inputs),
            c_in=x.channels,
            c_out=c_out,
            height=x.height,
            width=x.width,
            kernel=kernel,
            present=self._present,
            **settings,
        )
        self._templates.append(template)
        height, width = (
            out_side(op, side, kernel.max, template.stride, usual_padding(kernel.max))
            for side in (x.height, x.width)
        )
        return Tensor(len(self._templates) - 1, c_out, height, width)

    def _pool(
        self, name: str, op: str, x: Tensor, kernel: int, stride: int | None, activation: str
    ) -> Tensor:
        stride = kernel if stride is None else stride
        if kernel % 2 == 0 and (stride != kernel or kernel > min(x.height, x.width)):
            raise UserError(
                f"Layer {name!r} of space {self._name!r}: windows of an even kernel, here {kernel}, lie side "
                f"by side (stride {kernel}) inside the image, {x.height} x {x.width}; found stride {stride}."
            )
        return self._add(name, op, (x,), x.channels, kernel=kernel, stride=stride, activation=activation)


def _dim(value: Any) -> Dim:
    return value if isinstance(value, Dim) else constant(value)


def _same(a: Dim, b: Dim) -> bool:
    return a.choices == b.choices and np.array_equal(a.values, b.values)


def _shape(x: Tensor) -> str:
    channels = x.channels.values.reshape(-1).tolist()
    return f"{'/'.join(map(str, channels))} x {x.height} x {x.width}"
