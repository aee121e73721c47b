"""Search spaces: choices, and the layers that an architecture means.

A space is a list of choices and a list of layer templates. Every number of a template that a choice
decides is a `Dim`: an array of values over the options of the choices it depends on. All that the rest
of the project knows about an architecture comes from these templates: `Space.layers` picks one value
from each, the supernet turns them into masks, a latency model tabulates them.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sparsenas.dims import Dim, constant
from sparsenas.errors import UserError
from sparsenas.sparsity.patterns import DENSE, Pattern, Sparsity
from sparsenas.tables import html_table

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
        return usual_padding(self.kernel) if self.pad is None else self.pad

    @property
    def out_height(self) -> int:
        return out_side(self.op, self.height, self.kernel, self.stride, self.padding)

    @property
    def out_width(self) -> int:
        return out_side(self.op, self.width, self.kernel, self.stride, self.padding)

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
            self.padding,
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


def usual_padding(kernel: int) -> int:
    return kernel // 2 if kernel % 2 else 0


def out_side(op: str, side: int, kernel: int, stride: int, padding: int) -> int:
    """Returns the pixels out along one side."""
    if op in ("global_average_pool", "fully_connected"):
        return 1
    return (side + 2 * padding - kernel) // stride + 1


@dataclass(frozen=True)
class Choice:
    """A question that an architecture answers with one of the options."""

    name: str
    options: tuple


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """A layer with its choices still open.

    Attributes:
        kernel: the larger windows lie around the smaller ones; all have the same number of pixels out.
        pad: as a layer has it.
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
    kernel: Dim = field(default_factory=lambda: constant(1))
    stride: int = 1
    pad: int | None = None
    activation: str = "none"
    sparsity: Dim = field(default_factory=lambda: constant(DENSE))
    present: Dim = field(default_factory=lambda: constant(True))
    otherwise: int | None = None

    @property
    def choices(self) -> tuple[int, ...]:
        """Positions of all choices that this layer depends on, ascending."""
        dims = (self.c_in, self.c_out, self.kernel, self.sparsity, self.present)
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
            kernel=self.kernel.at(arch),
            stride=self.stride,
            pad=self.pad,
            activation=self.activation,
            pattern=sparsity.pattern,
            sparsity=sparsity.fraction,
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Space:
    """A set of networks, made with `Builder`.

    Attributes:
        image: height, width and channels of the input.
        classes: outputs of the last layer.
        references: architectures of published networks by name, such as "1.0".
    """

    name: str
    image: tuple[int, int, int]
    classes: int
    choices: tuple[Choice, ...]
    templates: tuple[Template, ...]
    references: Mapping[str, Arch] = field(default_factory=dict)

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.image))
        return (
            f"<space {self.name}: {len(self.choices)} choices, {self.size:.3g} architectures, "
            f"images {size}, {self.classes} classes>"
        )

    def _repr_html_(self) -> str:
        rows = [(choice.name, ", ".join(str(plain(o)) for o in choice.options)) for choice in self.choices]
        return html_table(repr(self), ("choice", "options"), rows)

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

    def pick(self, options: Mapping[str, Any]) -> Arch:
        """Returns the architecture with these options by the names of their choices.

        Choices that are not named have the option that `largest` has. Raises `UserError` for a choice or
        an option that the space does not have.
        """
        names = [choice.name for choice in self.choices]
        arch = list(self.largest)
        for name, option in options.items():
            if name not in names:
                raise UserError(
                    f"Space {self.name!r} has no choice {name!r}; there are: {', '.join(names) or 'none'}."
                )
            known = self.choices[names.index(name)].options
            if option not in known:
                raise UserError(
                    f"Choice {name!r} of space {self.name!r} has no option {plain(option)}; there are: "
                    f"{', '.join(str(plain(one)) for one in known)}."
                )
            arch[names.index(name)] = known.index(option)
        return self.canonical(arch)

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
            choice.name: plain(choice.options[arch[i]]) for i, choice in enumerate(self.choices) if i in used
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
                kernel=constant(layer.kernel),
                stride=layer.stride,
                pad=layer.pad,
                activation=layer.activation,
                sparsity=constant(DENSE if dense else sparsity[layer.name]),
            )
            for layer in self.layers(arch)
        )
        return replace(self, choices=(), templates=templates, references={})

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


def plain(option: Any) -> Any:
    """Returns an option as JSON can hold it."""
    if hasattr(option, "fraction"):
        return option.pattern.name if option.fraction == 0 else f"{option.pattern.name} {option.fraction:g}"
    return option
