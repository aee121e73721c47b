"""A layer's configuration as one line of text: what tables, the command line and the service speak."""

import math
import re
from dataclasses import replace
from functools import lru_cache

from sparsenas.errors import UserError
from sparsenas.space import ACTIVATIONS, OPS, Layer, misplaced
from sparsenas.sparsity.patterns import DENSE, PATTERNS

EXAMPLE = "conv1x1 64x128@28 sparsity=0.9 block=4"

# More than any network has; the product of all fits a float.
_MOST = {"channels": 65536, "pixels": 8192, "kernel": 64, "stride": 64, "pad": 64}
_CHANNELS_KEPT = ("depthwise", "add", "multiply", "global_average_pool", "max_pool", "average_pool")
_SHAPE = re.compile(r"(\d{1,9})x(\d{1,9})@(\d{1,9})(?:x(\d{1,9}))?")
_BLOCKS = {"2": "block2", "4": "block4"}


def bare(layer: Layer) -> Layer:
    """Returns a layer without its name and its place in a network: all that its latency depends on."""
    if not layer.name and not layer.inputs and layer.pad is None:
        return layer
    return replace(layer, name="", inputs=(), pad=None if _usually_padded(layer) else layer.padding)


def describe(layer: Layer) -> str:
    """Returns a layer's configuration; `parse_layer` reads it.

    >>> describe(Layer(name="x", op="conv1x1", inputs=(0,), c_in=8, c_out=16, height=4, width=4))
    'conv1x1 8x16@4x4'
    """
    text = f"{layer.op} {layer.c_in}x{layer.c_out}@{layer.height}x{layer.width}"
    if layer.kernel > 1:
        text += f" kernel={layer.kernel}"
    if layer.stride > 1:
        text += f" stride={layer.stride}"
    if not _usually_padded(layer):
        text += f" pad={layer.padding}"
    if layer.activation != "none":
        text += f" {layer.activation}"
    if layer.sparsity:
        text += f" {layer.pattern.name}={layer.sparsity!r}"
    return text


@lru_cache(maxsize=65536)
def parse_layer(text: str) -> Layer:
    """Reads `OP CxD@HxW [kernel=K] [stride=S] [pad=P] [ACTIVATION] [PATTERN=ZEROS]`.

    A square image is one number, and a pattern may be given as `sparsity=ZEROS` with `block=2`, `block=4`
    or `pattern=NAME` beside it; without these, zeros are unstructured.

    Raises:
        UserError: what was expected, in one line.

    >>> describe(parse_layer("conv1x1 64x128@28 sparsity=0.9 block=4"))
    'conv1x1 64x128@28x28 block4=0.9'
    """
    words = text.split()
    shape = _SHAPE.fullmatch(words[1]) if len(words) > 1 else None
    if shape is None:
        raise UserError(
            f"A layer is written like {EXAMPLE!r}: operator, channels in x out @ input pixels; "
            f"found {_short(text)}."
        )
    if words[0] not in OPS:
        raise UserError(f"No operator named {_short(words[0])}. There are: {', '.join(OPS)}.")
    settings = _settings(words[2:])
    c_in, c_out, height, width = (int(number or shape[3]) for number in shape.groups())
    pattern, sparsity = _zeros(settings)
    layer = Layer(
        name="",
        op=words[0],
        inputs=(),
        c_in=c_in,
        c_out=c_out,
        height=height,
        width=width,
        kernel=_whole(settings, "kernel", 1),
        stride=_whole(settings, "stride", 1),
        pad=_whole(settings, "pad", 0) if "pad" in settings else None,
        activation=settings.get("activation", "none"),
        pattern=PATTERNS[pattern],
        sparsity=sparsity,
    )
    check_layer(layer)
    return bare(layer)


def check_layer(layer: Layer) -> None:
    """Raises `UserError` for a layer that no network can have."""
    what = f"Layer {_short(describe(layer))}"
    sizes = {
        "channels": (layer.c_in, layer.c_out),
        "pixels": (layer.height, layer.width),
        "kernel": (layer.kernel,),
        "stride": (layer.stride,),
    }
    for name, numbers in sizes.items():
        if not all(1 <= number <= _MOST[name] for number in numbers):
            raise UserError(
                f"{what}: expected {name} of 1 to {_MOST[name]}, found {'x'.join(map(str, numbers))}."
            )
    if not 0 <= layer.padding < max(layer.kernel, 2):
        raise UserError(f"{what}: expected padding below the kernel, found {layer.padding}.")
    if layer.op in _CHANNELS_KEPT and layer.c_in != layer.c_out:
        raise UserError(f"{what}: {layer.op} keeps its channels, found {layer.c_in} and {layer.c_out}.")
    if layer.op == "conv1x1" and (layer.kernel, layer.stride, layer.padding) != (1, 1, 0):
        raise UserError(f"{what}: a conv1x1 has kernel and stride 1; write conv for others.")
    if min(layer.out_height, layer.out_width) < 1:
        raise UserError(f"{what}: the kernel is larger than the image.")
    if problem := misplaced(layer.pattern, layer.op, layer.kernel):
        raise UserError(f"{what} {problem}")
    if not 0 <= layer.sparsity < 1 or (layer.sparsity == 0) != (layer.pattern == DENSE.pattern):
        raise UserError(f"{what}: expected zeros from 0 to below 1, found {layer.sparsity:g}.")
    if layer.sparsity:
        try:
            layer.pattern.check(layer.sparsity)
        except ValueError as error:
            raise UserError(f"{what}: {error}") from None


def _usually_padded(layer: Layer) -> bool:
    return layer.pad is None or layer.pad == replace(layer, pad=None).padding


def _settings(words: list[str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and word in ACTIVATIONS:
            name, value = "activation", word
        elif not equals or name not in ("kernel", "stride", "pad", "sparsity", "block", "pattern", *PATTERNS):
            raise UserError(
                f"A layer's settings are kernel=, stride=, pad=, sparsity=, block=, pattern= or one of "
                f"{', '.join(ACTIVATIONS)}; found {_short(word)}."
            )
        elif name == "pattern" and value not in PATTERNS and _number(value) is None:
            raise UserError(f"No pattern named {_short(value)}. There are: {', '.join(PATTERNS)}.")
        if name in settings:
            raise UserError(f"A layer's setting may be given once, found {_short(name)} twice.")
        settings[name] = value
    return settings


def _zeros(settings: dict[str, str]) -> tuple[str, float]:
    """Returns the pattern's name and the fraction of zeros of either way to write them."""
    given = [name for name in PATTERNS if name in settings]
    # `pattern=0.9` is zeros of kernel patterns, `pattern=block2` names one.
    named = settings["pattern"] if settings.get("pattern") in PATTERNS else None
    if named:
        given.remove("pattern")
    if len(given) + ("sparsity" in settings) > 1 or (given and (named or "block" in settings)):
        raise UserError("A layer's zeros may be given once: sparsity=ZEROS, or PATTERN=ZEROS.")
    if "block" in settings:
        if named or settings["block"] not in _BLOCKS:
            raise UserError(
                f"A block is block=2 or block=4 and no other pattern, found {settings['block']!r}."
            )
        named = _BLOCKS[settings["block"]]
    zeros = settings[given[0]] if given else settings.get("sparsity", "0")
    fraction = _number(zeros)
    if fraction is None:
        raise UserError(f"Zeros are a fraction such as 0.9, found {_short(zeros)}.")
    if fraction == 0:
        return DENSE.pattern.name, 0.0
    return (given[0] if given else named or "unstructured"), fraction


def _whole(settings: dict[str, str], name: str, default: int) -> int:
    text = settings.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) > _MOST[name]:
        raise UserError(f"A layer's {name} is a whole number up to {_MOST[name]}, found {_short(text)}.")
    return int(text)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
