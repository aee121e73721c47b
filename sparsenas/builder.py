"""Writes search spaces down, layer by layer."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparsenas.dims import MOST_JOINT, Dim, constant, tight
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
from sparsenas.sparsity.patterns import DENSE, NByM, Sparsity


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
        """Starts a space for images of height x width x channels."""
        if len(image) != 3 or not all(isinstance(n, int) and n > 0 for n in (*image, classes)):
            raise UserError(
                f"Space {name!r} needs an image of height, width and channels, and classes, whole numbers "
                f"from 1 up; found image {image} and {classes} classes."
            )
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
        if any(option in options[:i] for i, option in enumerate(options)):
            raise UserError(
                f"Choice {name!r} of space {self._name!r} has an option twice: "
                f"{', '.join(map(str, options))}; leave one out."
            )
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
        pad: int | None = None,
        activation: str = "none",
    ) -> Tensor:
        """Adds the first convolution, which reads the image as height x width x channels.

        Args:
            pad: pixels of zeros on every side; kernel // 2 where left out.
        """
        return self._add(
            name, "conv_hwc", (x,), c_out, kernel=kernel, stride=stride, pad=pad, activation=activation
        )

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
        return self._add(name, "conv1x1", (x,), c_out, activation=activation, sparsity=sparsity)

    def depthwise(
        self, name: str, x: Tensor, *, kernel: "Dim | int" = 3, stride: int = 1, activation: str = "none"
    ) -> Tensor:
        """Adds a convolution of every channel by itself."""
        return self._add(
            name, "depthwise", (x,), x.channels, kernel=kernel, stride=stride, activation=activation
        )

    def add(self, name: str, x: Tensor, y: Tensor, *, activation: str = "none") -> Tensor:
        """Adds two tensors of one shape."""
        if (x.height, x.width) != (y.height, y.width) or not x.channels.equals(y.channels):
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
        """Adds a convolution of more than one pixel between layers; the first one is `conv_hwc`.

        Its padding is kernel // 2, the only one that the sparse kernels have.
        """
        return self._add(
            name, "conv", (x,), c_out,
            kernel=kernel, stride=stride, activation=activation, sparsity=sparsity,
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
        return self._add(name, "fully_connected", (x,), c_out, activation=activation, sparsity=sparsity)

    def max_pool(
        self,
        name: str,
        x: Tensor,
        *,
        kernel: int = 2,
        stride: int | None = None,
        pad: int | None = None,
        activation: str = "none",
    ) -> Tensor:
        """Adds the maximum over windows; `stride` is `kernel` where left out, `pad` as `Layer` says."""
        return self._pool(name, "max_pool", x, kernel, stride, pad, activation)

    def average_pool(
        self,
        name: str,
        x: Tensor,
        *,
        kernel: int = 2,
        stride: int | None = None,
        pad: int | None = None,
        activation: str = "none",
    ) -> Tensor:
        """Adds the mean over windows, of the pixels inside the image; stride and pad as for `max_pool`."""
        return self._pool(name, "average_pool", x, kernel, stride, pad, activation)

    def global_average_pool(self, name: str, x: Tensor, *, activation: str = "none") -> Tensor:
        """Adds the mean of every channel, one pixel."""
        return self._add(name, "global_average_pool", (x,), x.channels, activation=activation)

    def multiply(self, name: str, x: Tensor, y: Tensor, *, activation: str = "none") -> Tensor:
        """Multiplies two tensors of one shape, or `x` by one number per channel: `y` of one pixel."""
        if (y.height, y.width) not in ((x.height, x.width), (1, 1)) or not x.channels.equals(y.channels):
            raise UserError(
                f"Layer {name!r} of space {self._name!r} multiplies tensors of different shapes: "
                f"{_shape(x)} and {_shape(y)}; the second may also have one pixel."
            )
        return self._add(name, "multiply", (x, y), x.channels, activation=activation)

    def optional(self, present: Dim, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        """Adds a block that is left out where `present` is false; `x` then passes through unchanged."""
        if not self._present.is_constant:
            raise UserError(f"Space {self._name!r} has an optional block inside an optional block.")
        if not isinstance(present, Dim) or present.values.dtype != bool:
            raise UserError(
                f"An optional block of space {self._name!r} is there where something is true, such as "
                f"`depth >= 2`; found {present.values.tolist() if isinstance(present, Dim) else present!r}."
            )
        self._present = present
        y = block(x)
        self._present = constant(True)
        if (x.height, x.width) != (y.height, y.width) or not x.channels.equals(y.channels):
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
        self,
        name: str,
        op: str,
        inputs: tuple[Tensor, ...],
        c_out: "Dim | int",
        *,
        kernel: "Dim | int" = 1,
        stride: int = 1,
        pad: int | None = None,
        activation: str = "none",
        sparsity: "Dim | Sparsity" = DENSE,
    ) -> Tensor:
        if any(template.name == name for template in self._templates):
            raise UserError(f"Space {self._name!r} has two layers named {name!r}; rename one.")
        x, c_out, kernel, sparsity = inputs[0], _dim(c_out), _dim(kernel), _dim(sparsity)
        self._check(name, op, c_out, kernel, stride, pad, activation, sparsity)
        self._check_groups(name, x, sparsity)
        if c_out.values.dtype.kind == "f":
            c_out = c_out.map(int)
        sides = tuple(
            out_side(op, side, kernel.max, stride, usual_padding(kernel.max) if pad is None else pad)
            for side in (x.height, x.width)
        )
        # With the usual pad there is always a pixel out, but the edge of a window may only ever see zeros.
        if min(sides) < 1 or (pad is None and kernel.max > 2 * min(x.height, x.width)):
            raise self._wrong(
                name,
                f"has windows of {kernel.max} x {kernel.max} on an image of {x.height} x {x.width}, which is "
                "too small for them",
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
            stride=stride,
            pad=pad,
            activation=activation,
            sparsity=sparsity,
            present=self._present,
        )
        joint = math.prod(len(self._choices[c].options) for c in template.choices)
        if joint > MOST_JOINT:
            raise self._wrong(
                name,
                f"depends on {len(template.choices)} choices, {joint:,} combinations that are tabulated; "
                f"at most {MOST_JOINT:,}, let layers share some",
            )
        self._templates.append(template)
        return Tensor(len(self._templates) - 1, c_out, *sides)

    def _check(
        self,
        name: str,
        op: str,
        c_out: Dim,
        kernel: Dim,
        stride: int,
        pad: int | None,
        activation: str,
        sparsity: Dim,
    ) -> None:
        """Raises `UserError` for what no layer of the operator can have, whatever it reads."""
        if activation not in ACTIVATIONS:
            there_are = f"there are: {', '.join(ACTIVATIONS)}"
            raise self._wrong(name, f"has no activation named {activation!r}; {there_are}")
        if problem := _not_whole(c_out):
            raise self._wrong(name, f"must have at least 1 output channel, a whole number, found {problem}")
        even = op not in POOLS and kernel.values.dtype.kind == "i" and (kernel.values % 2 == 0).any()
        if even or _not_whole(kernel):
            found = _not_whole(kernel) or kernel.values.reshape(-1).tolist()
            raise self._wrong(name, f"must have an odd kernel of at least 1, found {found}")
        if stride < 1 or (pad is not None and (pad < 0 or not kernel.is_constant)):
            raise self._wrong(
                name,
                f"must have a stride of at least 1, and a pad from 0 up for one kernel only; found stride "
                f"{stride}, pad {pad}, kernel {kernel.values.reshape(-1).tolist()}",
            )
        for zeros in sparsity.values.reshape(-1).tolist():
            if not isinstance(zeros, Sparsity):
                raise self._wrong(name, f"must have a sparsity of DENSE or Sparse(...), found {zeros!r}")
            for side in kernel.values.flat:
                if problem := misplaced(zeros.pattern, op, int(side)):
                    raise UserError(f"Layer {name!r} of space {self._name!r} {problem}")

    def _check_groups(self, name: str, x: Tensor, sparsity: Dim) -> None:
        """Raises `UserError` where a narrower layer would cut a group of inputs that share their zeros."""
        widths = np.unique(x.channels.values.astype(int))
        for pattern in {zeros.pattern for zeros in sparsity.values.flat if isinstance(zeros.pattern, NByM)}:
            inputs = widths[:-1] * x.height * x.width
            if (inputs % pattern.m).any():
                raise self._wrong(
                    name,
                    f"has zeros in {pattern.name}, groups of {pattern.m} inputs, but the narrower of "
                    f"{_shape(x)} inputs cut a group; take widths of whole groups, or other zeros",
                )

    def _wrong(self, name: str, problem: str) -> UserError:
        return UserError(f"Layer {name!r} of space {self._name!r} {problem}.")

    def _pool(
        self,
        name: str,
        op: str,
        x: Tensor,
        kernel: int,
        stride: int | None,
        pad: int | None,
        activation: str,
    ) -> Tensor:
        stride = kernel if stride is None else stride
        if kernel % 2 == 0 and (stride != kernel or pad or kernel > min(x.height, x.width)):
            raise UserError(
                f"Layer {name!r} of space {self._name!r}: windows of an even kernel, here {kernel}, lie side "
                f"by side (stride {kernel}) inside the image, {x.height} x {x.width}; found stride {stride}."
            )
        return self._add(
            name, op, (x,), x.channels, kernel=kernel, stride=stride, pad=pad, activation=activation
        )


def _dim(value: Any) -> Dim:
    return value if isinstance(value, Dim) else constant(value)


def _not_whole(dim: Dim) -> str:
    """Returns a value that is no whole number from 1 up, "" where there is none."""
    for value in dim.values.reshape(-1).tolist():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 1 or value % 1:
            return repr(value)
    return ""


def _shape(x: Tensor) -> str:
    channels = x.channels.values.reshape(-1).tolist()
    return f"{'/'.join(map(str, channels))} x {x.height} x {x.width}"
