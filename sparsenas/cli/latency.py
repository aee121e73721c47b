"""sparsenas latency: what a table predicts."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from sparsenas.cli.lookup import find_space
from sparsenas.cli.parse import parse
from sparsenas.cli.show import console, table
from sparsenas.latency.devices import LOCAL, load_device
from sparsenas.latency.layer_text import describe


@dataclass(frozen=True, kw_only=True)
class Options:
    """Predicts how long an architecture takes on a device, layer by layer.

    Attributes:
        arch: option indices joined by '-', as `sparsenas search` prints them, or `largest` or `smallest`.
        space: the space that the architecture is from.
        device: `local`, a table that comes with the package, or a table's file.
    """

    arch: Annotated[str, tyro.conf.Positional] = "largest"
    space: str = "tiny"
    device: str = LOCAL


def main(args: list[str]) -> None:
    options = parse(Options, args, command="latency")
    space = find_space(options.space)
    model = load_device(options.device)
    named = {"largest": space.largest, "smallest": space.smallest}
    arch = named[options.arch] if options.arch in named else space.parse(options.arch)
    layers = space.layers(arch)
    predicted = model.predict(layers)
    rows = [
        (layer.name, describe(layer), kernel, f"{us:.2f}", f"{us / predicted / 10:.1f}%")
        for layer, us, kernel in model.breakdown(layers)
    ]
    terminal = console()
    terminal.print(
        table(f"{space.text(arch)} on {model.device}", ("layer", "what", "kernel", "us", "share"), rows)
    )
    dense = model.predict([layer.dense() for layer in layers])
    terminal.print(
        f"Predicted {predicted:.4f} ms, dense {dense:.4f} ms ({dense / predicted:.2f}x); "
        f"{model.network.fixed_us:.2f} us of it belong to no layer. Predictions were "
        f"{model.network.error:.1%} off on networks left out of the fit.",
    )
