"""sparsenas latency: what a table predicts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from sparsenas import files, native
from sparsenas.cli.lookup import find_arch, find_space
from sparsenas.cli.parse import parse
from sparsenas.cli.show import console, table
from sparsenas.errors import UserError
from sparsenas.latency.layer_text import describe, parse_layer
from sparsenas.latency.library import LOCAL
from sparsenas.latency.model import Explanation, LatencyModel
from sparsenas.latency.planned import layers_of
from sparsenas.report.sparsity import sparsity_svg
from sparsenas.space import Layer


@dataclass(frozen=True, kw_only=True)
class Options:
    """Predicts how long a network or a layer takes on a device, and says what that rests on.

    Attributes:
        network: an architecture (option indices joined by '-', as `sparsenas search` prints them, `largest`,
            `smallest` or a reference such as `1.0`), a .snas file, or the folder of a run, whose winner is
            meant.
        space: the space that an architecture is from: a name, or a Python file that defines SPACE.
        side: pixels of the image's side; the space's usual one if left out.
        device: `local`, a table that comes with the package, or a table's file.
        layer: a layer instead of a network, such as "conv1x1 64x128@28 sparsity=0.9 block=4".
        compare: devices beside each other instead, joined by ','.
        threads: how many share a layer.
        json: print JSON.
        plot: draw the layer's latency over its sparsity into this .svg file.
    """

    network: Annotated[str | None, tyro.conf.Positional] = None
    space: str = "tiny"
    side: int | None = None
    device: str = LOCAL
    layer: str | None = None
    compare: str | None = None
    threads: int = 1
    json: bool = False
    plot: Path | None = None


def main(args: list[str]) -> None:
    options = parse(Options, args, command="latency")
    _check(options)
    names = options.compare.split(",") if options.compare else [options.device]
    models = [LatencyModel.load(name.strip(), threads=options.threads) for name in names]
    if options.layer is not None:
        layer = parse_layer(options.layer)
        explained = [model.explain(layer) for model in models]
        _show_layer(options, models, explained)
        if options.plot:
            files.write(options.plot, sparsity_svg(models[0], layer))
            if not options.json:
                console().print(f"Wrote {options.plot}")
        return
    what, layers = _network(options)
    if options.compare or options.json:
        _show_networks(options, models, what, layers)
    else:
        _show_network(models[0], what, layers)


def _check(options: Options) -> None:
    if options.layer is not None and options.network is not None:
        raise UserError(f"Expected a network or --layer, found both: {options.network!r}, {options.layer!r}.")
    if options.plot and (options.layer is None or options.compare or options.plot.suffix != ".svg"):
        raise UserError("`--plot` draws one --layer on one --device into a file whose name ends in .svg.")


def _network(options: Options) -> tuple[str, Sequence[Layer]]:
    """Returns what is meant, for people, and its layers."""
    given = options.network or "largest"
    path = Path(given)
    if path.is_dir():
        path = path / "best" / "model.snas"
        if not path.is_file():
            raise UserError(f"Expected a finished run in {given!r}, found no {path}.")
    if path.is_file() or path.suffix == ".snas":
        return str(path), layers_of(native.Model.open(path))
    space = find_space(options.space, options.side)
    arch = find_arch(space, given)
    return f"{space.name} {space.text(arch)}", space.layers(arch)


def _show_network(model: LatencyModel, what: str, layers: Sequence[Layer]) -> None:
    predicted = model.predict(layers)
    rows = [
        (layer.name, describe(layer), kernel, f"{us:.2f}", f"{us / predicted / 10:.1f}%")
        for layer, us, kernel in model.breakdown(layers)
    ]
    terminal = console()
    terminal.print(
        table(f"{what} on {_device(model)}", ("layer", "what", "kernel", "us", "share"), rows), markup=False
    )
    dense = model.predict([layer.dense() for layer in layers])
    terminal.print(
        f"Predicted {predicted:.4f} ms, nine times of ten {predicted.low_ms:.4f} to "
        f"{predicted.high_ms:.4f}; dense {dense:.4f} ms ({dense / predicted:.2f}x); "
        f"{model.fixed_us(layers):.2f} us of it belong to no layer. {_error(model)}",
        markup=False,
    )
    for note in predicted.notes:
        terminal.print(f"Extrapolated: {note}", markup=False)


def _show_networks(
    options: Options, models: Sequence[LatencyModel], what: str, layers: Sequence[Layer]
) -> None:
    predictions = [(model, model.predict(layers)) for model in models]
    if options.json:
        _print_json(
            network=what,
            predictions=[
                _header(model)
                | {
                    "ms": float(ms),
                    "low_ms": ms.low_ms,
                    "high_ms": ms.high_ms,
                    "extrapolated": list(ms.notes),
                }
                | {"fixed_us": model.fixed_us(layers)}
                | {
                    "layers": [
                        {"name": layer.name, "layer": describe(layer), "us": us, "kernel": kernel}
                        for layer, us, kernel in model.breakdown(layers)
                    ]
                }
                for model, ms in predictions
            ],
        )
        return
    first = predictions[0][1]
    rows = []
    for model, ms in predictions:
        interval = f"{ms.low_ms:.4f}-{ms.high_ms:.4f}"
        rows.append((_device(model), f"{ms:.4f}", interval, f"{ms / first:.2f}x", "; ".join(ms.notes)))
    columns = ("device", "ms", "nine times of ten", "to the first", "extrapolated")
    console().print(table(what, columns, rows), markup=False)


def _show_layer(options: Options, models: Sequence[LatencyModel], explained: Sequence[Explanation]) -> None:
    layer = describe(explained[0].layer)
    if options.json:
        _print_json(
            layer=layer,
            predictions=[_header(m) | _as_json(one) for m, one in zip(models, explained, strict=True)],
        )
        return
    rows = []
    for model, one in zip(models, explained, strict=True):
        took = one.latency
        basis = "measured" if took.measured else "; ".join(took.outside) or "interpolated"
        rows.append(
            (_device(model), f"{took.us:.3f}", f"{took.low_us:.3f}-{took.high_us:.3f}", took.kernel, basis)
        )
    terminal = console()
    terminal.print(
        table(f"{layer} alone", ("device", "us", "nine times of ten", "kernel", "basis"), rows), markup=False
    )
    if len(models) > 1:
        return
    nearest = [
        (describe(m.layer), f"{m.us:.3f}", m.kernel, f"{distance:.2f}")
        for m, distance in explained[0].nearest
    ]
    terminal.print(
        table("Nearest measurements", ("layer", "us", "kernel", "distance"), nearest), markup=False
    )
    terminal.print(f"Layers like it were {explained[0].error:.1%} off when left out of the fit.")


def _as_json(one: Explanation) -> dict[str, Any]:
    took = one.latency
    return {
        "us": took.us,
        "low_us": took.low_us,
        "high_us": took.high_us,
        "kernel": took.kernel,
        "measured": took.measured,
        "extrapolated": list(took.outside),
        "error": one.error,
        "nearest": [
            {"layer": describe(m.layer), "us": m.us, "distance": round(distance, 3)}
            for m, distance in one.nearest
        ],
    }


def _print_json(**result: Any) -> None:
    print(json.dumps(result, indent=1))


def _header(model: LatencyModel) -> dict[str, Any]:
    return {"device": model.device, "kind": model.table.kind, "threads": model.threads}


def _device(model: LatencyModel) -> str:
    """Returns the device's name, and that it was not measured where it was not."""
    return model.device if model.table.kind == "measured" else f"{model.device} ({model.table.kind})"


def _error(model: LatencyModel) -> str:
    error = model.table.error
    if "mape" in error:
        return f"Predictions were {error['mape']:.1%} off on {error['networks']} networks never learned from."
    if model.correction.networks:
        return f"Nine of ten networks left out of the fit were less than {model.correction.error:.1%} off."
    return "No whole network was measured on this device: it is the sum of its layers."
