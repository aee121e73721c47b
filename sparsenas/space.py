"""Search spaces: choices, and the layers that an architecture means.

A space is a list of choices and a list of layer templates. Every number of a template that a choice
decides is a `Dim`: an array of values over the options of the choices it depends on. All that the rest
of the project knows about an architecture comes from these templates: `Space.layers` picks one value
from each, the supernet turns them into masks, a latency model tabulates them.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sparsenas.errors import UserError
from sparsenas.sparsity.patterns import DENSE, Pattern, Sparsity

Arch = tuple[int, ...]
"""One option index per choice of a space."""

IMAGE = -1
"""The position that stands for the network's input."""

OPS = (
    "conv_hwc", "conv1x1", "depthwise", "add", "global_average_pool", "fully_connected", "conv", "max_pool",
    "average_pool", "multiply",
)  # fmt: skip
POOLS = ("max_pool", "average_pool")
# The patterns beside dense that layers of an operator may have, by name.
SPARSE_PATTERNS = {
    "conv1x1": ("unstructured", "block2", "block4"),
    "fully_connected": ("unstructured", "block2", "block4", "2:4"),
    "conv": ("unstructured", "pattern"),
}
ACTIVATIONS = ("none", "relu", "relu6", "hard_swish", "swish", "sigmoid", "hard_sigmoid")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One operator of a concrete network.

    Attributes:
        name: unique within the network.
        op: one of `OPS`.
        inputs: positions of the layers it reads, `IMAGE` for the network's input.
        c_in, c_out: channels in and out.
        height, width: pixels of the input; of the first one where a multiply reads a vector beside it.
            A fully connected layer reads all of its input, channel by channel and row by row.
        kernel: side of the window.
        pad: pixels of padding on every side: zeros to a convolution, nothing to a mean or maximum. Where
            left out it is kernel // 2, and none where a pool's kernel is even.
        pattern, sparsity: where the zeros of the weights may be, and their fraction.
    """

    name: str
    op: str
    inputs: tuple[int, ...]
    c_in: int
    c_out: int
    height: int
    width: int
    kernel: int = 1
    stride: int = 1
    pad: int | None = None
    activation: str = "none"
    pattern: Pattern = DENSE.pattern
    sparsity: float = 0.0

    @property
    def padding(self) -> int:
        """Pixels of padding on every side of the input."""
        return _usual_padding(self.kernel) if self.pad is None else self.pad

    @property
    def out_height(self) -> int:
        return _out_side(self.op, self.height, self.kernel, self.stride, self.padding)

    @property
    def out_width(self) -> int:
        return _out_side(self.op, self.width, self.kernel, self.stride, self.padding)

    @property
    def weight_shape(self) -> tuple[int, ...] | None:
        """Shape of the weights as the native kernels take them; None for an operator without weights."""
        match self.op:
            case "conv_hwc":
                return (self.c_out, self.kernel, self.kernel, self.c_in)
            case "conv1x1":
                return (self.c_out, self.c_in)
            case "fully_connected":
                return (self.c_out, self.c_in * self.height * self.width)
            case "depthwise":
                return (self.c_out, self.kernel, self.kernel)
            case "conv":
                return (self.c_out, self.c_in, self.kernel, self.kernel)
            case _:
                return None

    @property
    def nonzeros(self) -> int:
        """Weights that are not pruned, biases aside; each pattern says how it rounds."""
        if self.weight_shape is None:
            return 0
        if not self.sparsity:
            return math.prod(self.weight_shape)
        return self.pattern.nonzeros(self.weight_shape, self.sparsity)

    @property
    def parameters(self) -> int:
        """Weights that are not pruned, and biases."""
        return 0 if self.weight_shape is None else self.nonzeros + self.c_out

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image, zeros left out."""
        return self.nonzeros * self.out_height * self.out_width

    @property
    def key(self) -> tuple:
        """All that a latency depends on: everything but the name and the place in the network."""
        return (
            self.op,
            self.c_in,
            self.c_out,
            self.height,
            self.width,
            self.kernel,
            self.stride,
            self.activation,
            self.pattern.name,
            self.sparsity,
        )

    def dense(self) -> "Layer":
        """Returns the same layer without zeros."""
        return replace(self, pattern=DENSE.pattern, sparsity=0.0)


def misplaced(pattern: Pattern, op: str, kernel: int) -> str:
    """Returns why layers of an operator cannot have a pattern, the end of a sentence; "" where they can."""
    if pattern.name == DENSE.pattern.name:
        return ""
    allowed = SPARSE_PATTERNS.get(op, ())
    if pattern.name not in allowed:
        return f"({op}) cannot be {pattern.name}, only {' or '.join(('dense', *allowed))}."
    if pattern.name == "pattern" and kernel != 3:
        return f"({op}) has kernel {kernel}, but kernel patterns are for kernel 3."
    return ""


def _usual_padding(kernel: int) -> int:
    return kernel // 2 if kernel % 2 else 0


def _out_side(op: str, side: int, kernel: int, stride: int, padding: int) -> int:
    """Returns the pixels out along one side."""
    if op in ("global_average_pool", "fully_connected"):
        return 1
    return (side + 2 * padding - kernel) // stride + 1


@dataclass(frozen=True)
class Choice:
    """A question that an architecture answers with one of the options."""

    name: str
    options: tuple


@dataclass(frozen=True, eq=False)
class Dim:
    """A value that depends on some choices of a space.

    Attributes:
        choices: positions of the choices, ascending.
        values: one axis per choice, one entry per option.
    """

    choices: tuple[int, ...]
    values: np.ndarray

    def at(self, arch: Arch) -> Any:
        """Returns the value that an architecture picks."""
        value = self.values[tuple(arch[i] for i in self.choices)]
        return value.item() if isinstance(value, np.generic) else value

    @property
    def max(self) -> int:
        return int(self.values.max())

    @property
    def is_constant(self) -> bool:
        return not self.choices

    def map(self, fn: Callable[[Any], Any]) -> "Dim":
        """Applies `fn` to every value."""
        return combine(fn, self)

    def __mul__(self, factor: "int | float | Dim") -> "Dim":
        return combine(lambda a, b: a * b, self, factor)

    def __ge__(self, bound: int) -> "Dim":
        return self.map(lambda value: value >= bound)


def constant(value: Any) -> Dim:
    """Returns a `Dim` that no choice decides."""
    values = np.empty((), object)
    values[()] = value
    return Dim((), _tight(values))


def combine(fn: Callable[..., Any], *dims: Any) -> Dim:
    """Applies `fn` to every joint value of several dims; anything else counts as a constant."""
    dims = tuple(dim if isinstance(dim, Dim) else constant(dim) for dim in dims)
    choices = tuple(sorted({choice for dim in dims for choice in dim.choices}))
    sizes = {c: n for dim in dims for c, n in zip(dim.choices, dim.values.shape, strict=True)}
    values = np.empty([sizes[c] for c in choices], object)
    for index in np.ndindex(values.shape):
        option = dict(zip(choices, index, strict=True))
        values[index] = fn(*(dim.at(_Picks(option)) for dim in dims))
    return Dim(choices, _tight(values))


class _Picks:
    """Looks like an architecture, but answers only the choices that are asked for."""

    def __init__(self, picks: dict[int, int]) -> None:
        self._picks = picks

    def __getitem__(self, choice: int) -> int:
        return self._picks[choice]


def _tight(values: np.ndarray) -> np.ndarray:
    """Gives numbers a number's type; other values stay objects."""
    kinds = {type(value) for value in values.flat}
    if kinds <= {bool, np.bool_}:
        return values.astype(bool)
    if kinds <= {int, np.int64}:
        return values.astype(np.int64)
    if kinds <= {int, float, np.int64, np.float64}:
        return values.astype(np.float64)
    return values


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """A layer with its choices still open.

    Attributes:
        sparsity: values are `Sparsity` options.
        present: whether the layer exists at all.
        otherwise: position of the template whose output stands in where this one is absent; None where
            nothing outside its block reads it.
    """

    name: str
    op: str
    inputs: tuple[int, ...]
    c_in: Dim
    c_out: Dim
    height: int
    width: int
    kernel: int = 1
    stride: int = 1
    activation: str = "none"
    sparsity: Dim = field(default_factory=lambda: constant(DENSE))
    present: Dim = field(default_factory=lambda: constant(True))
    otherwise: int | None = None

    @property
    def choices(self) -> tuple[int, ...]:
        """Positions of all choices that this layer depends on, ascending."""
        dims = (self.c_in, self.c_out, self.sparsity, self.present)
        return tuple(sorted({choice for dim in dims for choice in dim.choices}))

    def layer(self, arch: Arch, inputs: tuple[int, ...]) -> Layer:
        """Returns the layer that an architecture means, where it is present."""
        sparsity: Sparsity = self.sparsity.at(arch)
        return Layer(
            name=self.name,
            op=self.op,
            inputs=inputs,
            c_in=self.c_in.at(arch),
            c_out=self.c_out.at(arch),
            height=self.height,
            width=self.width,
            kernel=self.kernel,
            stride=self.stride,
            activation=self.activation,
            pattern=sparsity.pattern,
            sparsity=sparsity.fraction,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """A set of networks, made with `Builder`.

    Attributes:
        image: height, width and channels of the input.
        classes: outputs of the last layer.
        references: architectures with a name, such as "largest".
    """

    name: str
    image: tuple[int, int, int]
    classes: int
    choices: tuple[Choice, ...]
    templates: tuple[Template, ...]

    @property
    def size(self) -> int:
        """How many combinations of options there are."""
        return math.prod(len(choice.options) for choice in self.choices)

    def check(self, arch: Sequence[int]) -> Arch:
        """Returns `arch` as an `Arch`, or raises `UserError` where it is not one of this space."""
        arch = tuple(int(option) for option in arch)
        if len(arch) != len(self.choices):
            raise UserError(
                f"An architecture of space {self.name!r} has {len(self.choices)} option indices, "
                f"found {len(arch)}."
            )
        for choice, option in zip(self.choices, arch, strict=True):
            if not 0 <= option < len(choice.options):
                raise UserError(
                    f"Choice {choice.name!r} of space {self.name!r} has options 0 to "
                    f"{len(choice.options) - 1}, found {option}."
                )
        return arch

    def sample(self, rng: np.random.Generator) -> Arch:
        """Draws every choice uniformly."""
        return self.canonical(tuple(int(rng.integers(len(choice.options))) for choice in self.choices))

    def mutate(self, arch: Arch, rng: np.random.Generator) -> Arch:
        """Changes exactly one choice that matters to the network."""
        open_choices = [i for i in self.used_choices(arch) if len(self.choices[i].options) > 1]
        if not open_choices:
            return arch
        i = open_choices[int(rng.integers(len(open_choices)))]
        step = 1 + int(rng.integers(len(self.choices[i].options) - 1))
        option = (arch[i] + step) % len(self.choices[i].options)
        return self.canonical((*arch[:i], option, *arch[i + 1 :]))

    def used_choices(self, arch: Arch) -> list[int]:
        """Returns the choices that the architecture's layers depend on, ascending."""
        used: set[int] = set()
        for template in self.templates:
            used.update(template.present.choices)
            if template.present.at(arch):
                used.update(template.choices)
        return sorted(used)

    def canonical(self, arch: Arch) -> Arch:
        """Sets the choices of absent layers to their first option, so that equal networks are equal."""
        used = set(self.used_choices(arch))
        return tuple(option if i in used else 0 for i, option in enumerate(arch))

    def encode(self, arch: Arch) -> np.ndarray:
        """Returns the one-hot options of all choices, joined: float32 [sum of options]."""
        return np.concatenate(
            [np.eye(len(c.options), dtype=np.float32)[o] for c, o in zip(self.choices, arch, strict=True)]
            or [np.zeros(0, np.float32)]
        )

    def decode(self, code: np.ndarray) -> Arch:
        """Returns the architecture of the largest entry of every choice; inverse of `encode`."""
        arch, start = [], 0
        for choice in self.choices:
            end = start + len(choice.options)
            arch.append(int(np.argmax(code[start:end])))
            start = end
        return tuple(arch)

    def text(self, arch: Arch) -> str:
        """Returns a short string such as `0-2-1`; `parse` reads it."""
        return "-".join(map(str, arch))

    def parse(self, text: str) -> Arch:
        """Reads what `text` wrote; raises `UserError` for anything else."""
        try:
            return self.check([int(option) for option in text.split("-")] if text else [])
        except ValueError:
            raise UserError(
                f"An architecture is written as option indices joined by '-', such as "
                f"{self.text(self.smallest)!r}; found {text!r}."
            ) from None

    def describe(self, arch: Arch) -> dict[str, Any]:
        """Returns the chosen option of every choice that matters, by name."""
        used = set(self.used_choices(arch))
        return {
            choice.name: _plain(choice.options[arch[i]]) for i, choice in enumerate(self.choices) if i in used
        }

    def layers(self, arch: Arch) -> tuple[Layer, ...]:
        """Lists the layers that an architecture means, in the order they run."""
        arch = self.check(arch)
        position: dict[int, int] = {IMAGE: IMAGE}
        layers: list[Layer] = []
        for i, template in enumerate(self.templates):
            if template.present.at(arch):
                position[i] = len(layers)
                layers.append(template.layer(arch, tuple(position[j] for j in template.inputs)))
            elif template.otherwise is not None:
                position[i] = position[template.otherwise]
        return tuple(layers)

    def fixed(self, arch: Arch, *, dense: bool = False) -> "Space":
        """Returns the space whose only network is this architecture, or its dense twin."""
        sparsity = {template.name: template.sparsity.at(arch) for template in self.templates}
        templates = tuple(
            Template(
                name=layer.name,
                op=layer.op,
                inputs=layer.inputs,
                c_in=constant(layer.c_in),
                c_out=constant(layer.c_out),
                height=layer.height,
                width=layer.width,
                kernel=layer.kernel,
                stride=layer.stride,
                activation=layer.activation,
                sparsity=constant(DENSE if dense else sparsity[layer.name]),
            )
            for layer in self.layers(arch)
        )
        return replace(self, choices=(), templates=templates)

    @property
    def largest(self) -> Arch:
        """The architecture with the largest option of every choice, and no zeros it can avoid."""
        return self.canonical(
            tuple(
                int(np.argmin([o.fraction for o in c.options]))
                if _is_sparsity(c)
                else int(np.argmax(c.options))
                for c in self.choices
            )
        )

    @property
    def smallest(self) -> Arch:
        """The architecture with the smallest option of every choice, and the most zeros."""
        return self.canonical(
            tuple(
                int(np.argmax([o.fraction for o in c.options]))
                if _is_sparsity(c)
                else int(np.argmin(c.options))
                for c in self.choices
            )
        )

    def with_classes(self, classes: int) -> "Space":
        """Returns the same space for a data set with another number of classes."""
        *body, head = self.templates
        return replace(self, classes=classes, templates=(*body, replace(head, c_out=constant(classes))))

    def fingerprint(self) -> str:
        """Returns a short hash that changes when any network of the space does."""
        choices = [(choice.name, choice.options) for choice in self.choices]
        templates = [
            [(d.choices, d.values.tolist()) if isinstance(d, Dim) else d for d in vars(template).values()]
            for template in self.templates
        ]
        text = repr((self.image, self.classes, choices, templates))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def layer_variants(self) -> tuple[Layer, ...]:
        """Lists every distinct layer (by key) of any architecture or its dense twin."""
        variants: dict[tuple, Layer] = {}
        for template in self.templates:
            for arch in self.joint_options(template.choices):
                if template.present.at(arch):
                    layer = template.layer(arch, template.inputs)
                    for variant in (layer, layer.dense()):
                        variants.setdefault(variant.key, variant)
        return tuple(variants.values())

    def joint_options(self, choices: Sequence[int]) -> Iterator[Arch]:
        """Yields architectures that run through all options of some choices; the others stay 0."""
        for index in np.ndindex(*(len(self.choices[c].options) for c in choices)):
            arch = [0] * len(self.choices)
            for choice, option in zip(choices, index, strict=True):
                arch[choice] = option
            yield tuple(arch)


def _is_sparsity(choice: Choice) -> bool:
    return all(hasattr(option, "fraction") for option in choice.options)


def _plain(option: Any) -> Any:
    """Returns an option as JSON can hold it."""
    if hasattr(option, "fraction"):
        return option.pattern.name if option.fraction == 0 else f"{option.pattern.name} {option.fraction:g}"
    return option


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
        return Dim((len(self._choices) - 1,), _tight(values))

    def conv_hwc(
        self,
        name: str,
        x: Tensor,
        c_out: "Dim | int",
        *,
        kernel: int = 3,
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
        self, name: str, x: Tensor, *, kernel: int = 3, stride: int = 1, activation: str = "none"
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
        kernel: int = 3,
        stride: int = 1,
        activation: str = "none",
        sparsity: "Dim | Sparsity" = DENSE,
    ) -> Tensor:
        """Adds a convolution of more than one pixel between layers; the first one is `conv_hwc`."""
        return self._add(
            name, "conv", (x,), c_out,
            kernel=kernel, stride=stride, activation=activation, sparsity=_dim(sparsity),
        )  # fmt: skip

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

    def classify(self, x: Tensor) -> Space:
        """Adds global average pooling and the classifier, and returns the finished space."""
        x = self.global_average_pool("pool", x)
        self._add("classifier", "fully_connected", (x,), self._classes)
        return Space(
            name=self._name,
            image=self._image,
            classes=self._classes,
            choices=tuple(self._choices),
            templates=tuple(self._templates),
        )

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
        for sparsity in settings.get("sparsity", _dim(DENSE)).values.flat:
            problem = misplaced(sparsity.pattern, op, settings.get("kernel", 1))
            if problem:
                raise UserError(f"Layer {name!r} of space {self._name!r} {problem}")
        x, c_out = inputs[0], _dim(c_out)
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
            present=self._present,
            **settings,
        )
        self._templates.append(template)
        height, width = (
            _out_side(op, side, template.kernel, template.stride, _usual_padding(template.kernel))
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
