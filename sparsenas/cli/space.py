"""sparsenas space: what a search space holds."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table

from sparsenas import files, survey
from sparsenas.cli.lookup import find_arch, find_space
from sparsenas.cli.parse import parse
from sparsenas.cli.show import console, table
from sparsenas.errors import UserError
from sparsenas.latency.layer_text import describe
from sparsenas.latency.library import LOCAL
from sparsenas.latency.model import LatencyModel
from sparsenas.report.space import space_svg
from sparsenas.space import Arch, Space, plain


@dataclass(frozen=True, kw_only=True)
class Options:
    """Shows the choices of a search space, how far apart its networks are, and draws it.

    The smallest and largest figures are exact: no other architecture of the space has less or more. Latencies
    are predicted from a table; without --device from this machine's own, where there is one.

    Attributes:
        space: a name, or a Python file that defines SPACE or make(side).
        side: pixels of the image's side; the space's usual one if left out.
        device: `local`, a table that comes with the package, or a table's file.
        arch: also list the layers of an architecture: option indices joined by '-', `largest` or `smallest`.
        reference: also list the layers of a reference network, such as `1.0`.
        json: also write all that is printed to this file.
        svg: draw stages and layers with their choices into this file, those of the architecture marked.
    """

    space: Annotated[str, tyro.conf.Positional]
    side: int | None = None
    device: str | None = None
    arch: str | None = None
    reference: str | None = None
    json: Path | None = None
    svg: Path | None = None


def main(args: list[str]) -> None:
    options = parse(Options, args, command="space")
    _check(options)
    space = find_space(options.space, options.side)
    arch = _arch(space, options)
    found = _survey(space, options.device, arch)
    terminal = console()
    for part in _texts(space, found):
        terminal.print(part, markup=False)
    if options.json:
        files.write(options.json, json.dumps(found, indent=1, default=str) + "\n")
        terminal.print(f"Wrote {options.json}", markup=False)
    if options.svg:
        files.write(options.svg, space_svg(space, arch))
        terminal.print(f"Wrote {options.svg}", markup=False)


def _check(options: Options) -> None:
    if options.arch is not None and options.reference is not None:
        raise UserError(
            f"Expected --arch or --reference, found both: {options.arch!r}, {options.reference!r}."
        )
    if options.svg is not None and options.svg.suffix != ".svg":
        raise UserError(f"`--svg` draws into a file whose name ends in .svg, found {str(options.svg)!r}.")


def _arch(space: Space, options: Options) -> Arch | None:
    if options.reference is not None:
        if options.reference not in space.references:
            raise UserError(
                f"Space {space.name!r} has no reference {options.reference!r}; there are: "
                f"{', '.join(space.references) or 'none'}."
            )
        return space.references[options.reference]
    return None if options.arch is None else find_arch(space, options.arch)


def _survey(space: Space, device: str | None, arch: Arch | None) -> dict[str, Any]:
    """Returns all that is to say, as JSON has it.

    Where no device is named, this machine's table may be missing or not reach the space: then latencies are
    left out, and "note" says why.
    """
    found: dict[str, Any] = {
        "space": space.name,
        "image": list(space.image),
        "classes": space.classes,
        "choices": [
            {"name": choice.name, "options": [plain(option) for option in choice.options]}
            for choice in space.choices
        ],
        "combinations": space.size,
        "architectures": survey.architectures(space),
    }
    ranges = {"macs": survey.macs(space), "parameters": survey.parameters(space)}
    model = None
    try:
        model = LatencyModel.load(LOCAL if device is None else device)
        ranges["latency_ms"] = survey.range_of(space, model.tabulate(space))
        variants = space.layer_variants()
        found["device"] = {
            "name": model.device,
            "kind": model.table.kind,
            "layers": len(variants),
            "extrapolated": len(model.uncovered(variants)),
        }
    except UserError as error:
        if device is not None:
            raise
        found["note"], model = str(error), None
    found["ranges"] = {name: _as_json(space, found_range) for name, found_range in ranges.items()}
    found["references"] = {
        name: _network(space, reference, model) for name, reference in space.references.items()
    }
    if arch is not None:
        found["network"] = _network(space, arch, model) | {"layers": _layers(space, arch, model)}
    return found


def _as_json(space: Space, found: survey.Range) -> dict[str, Any]:
    return {
        "least": found.least,
        "least_arch": space.text(found.least_arch),
        "most": found.most,
        "most_arch": space.text(found.most_arch),
    }


def _network(space: Space, arch: Arch, model: LatencyModel | None) -> dict[str, Any]:
    layers = space.layers(arch)
    macs, parameters = survey.totals(layers)
    found = {"arch": space.text(arch), "macs": macs, "parameters": parameters}
    return found if model is None else found | {"latency_ms": float(model.predict(layers))}


def _layers(space: Space, arch: Arch, model: LatencyModel | None) -> list[dict[str, Any]]:
    layers = space.layers(arch)
    us: Sequence[float | None] = [None] * len(layers)
    if model is not None:
        us = [share for _, share, _ in model.breakdown(layers)]
    return [
        {
            "name": layer.name,
            "layer": describe(layer),
            "out": [layer.c_out, layer.out_height, layer.out_width],
            "macs": layer.macs,
            "parameters": layer.parameters,
        }
        | ({} if one is None else {"us": one})
        for layer, one in zip(layers, us, strict=True)
    ]


def _texts(space: Space, found: Mapping[str, Any]) -> list[Any]:
    """Returns lines and tables for people."""
    height, width, channels = space.image
    parts: list[Any] = [
        f"{space.name}: images of {height} x {width} x {channels}, {space.classes} classes; "
        f"{len(space.choices)} choices, {_count(found['architectures'])} different networks in "
        f"{_count(space.size)} combinations.",
        _choice_table(space),
        table("Smallest and largest", ("", "least", "most"), _range_rows(found)),
        *_extremes(found),
    ]
    with_ms = "latency_ms" in found["ranges"]
    if with_ms:
        device = found["device"]
        parts.append(
            f"Latencies are predicted from the {device['kind']} table of {device['name']}; "
            f"{device['extrapolated']} of {device['layers']} kinds of layers lie outside of what it has."
        )
    else:
        parts.append(f"No latencies: {found['note']}")
    if found["references"]:
        columns = ("network", "MACs", "parameters", *(["latency"] if with_ms else []))
        rows = [(name, *_figures(one)) for name, one in found["references"].items()]
        parts.append(table("References", columns, rows))
    if "network" in found:
        network = found["network"]
        columns = ("layer", "what", "out", "MACs", "parameters", *(["us"] if with_ms else []))
        rows = [_layer_row(one) for one in network["layers"]]
        parts.append(table(f"Layers of {network['arch']}", columns, rows))
        parts.append(f"Together {', '.join(_named_figures(network))}.")
    return parts


def _choice_table(space: Space) -> Table:
    """Returns a row for choices with the same options whose names differ in their numbers alone."""
    groups: dict[tuple[str, tuple], list[str]] = {}
    for choice in space.choices:
        groups.setdefault((re.sub(r"\d+", "*", choice.name), choice.options), []).append(choice.name)
    rows = [
        (names[0] if len(names) == 1 else pattern, str(len(names)), _options(options))
        for (pattern, options), names in groups.items()
    ]
    drawn = table("Choices", ("choice", "how many", "options"), rows)
    drawn.columns[-1].justify = "left"
    return drawn


def _options(options: Sequence[Any]) -> str:
    """Returns options for people, fractions of zeros by their pattern.

    >>> from sparsenas.sparsity.patterns import DENSE, Block, Sparse
    >>> _options((8, 16)), _options((DENSE, Sparse(0.8), Sparse(0.8, Block(2)), Sparse(0.9)))
    ('8, 16', 'dense, unstructured 0.8 0.9, block2 0.8')
    """
    if not all(hasattr(option, "fraction") for option in options):
        return ", ".join(str(plain(option)) for option in options)
    patterns: dict[str, list[str]] = {}
    for option in options:
        patterns.setdefault(option.pattern.name, [])
        if option.fraction:
            patterns[option.pattern.name].append(f"{option.fraction:.3g}")
    return ", ".join(" ".join([name, *fractions]) for name, fractions in patterns.items())


_LABELS = {"macs": "MACs", "parameters": "parameters", "latency_ms": "latency"}


def _range_rows(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (_LABELS[name], _figure(name, one["least"]), _figure(name, one["most"]))
        for name, one in found["ranges"].items()
    ]


def _extremes(found: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, one in found["ranges"].items():
        for end in ("least", "most"):
            lines.append(f"{end} {_LABELS[name]}: {one[f'{end}_arch']}")
    return lines


def _figures(network: Mapping[str, Any]) -> list[str]:
    return [_figure(name, network[name]) for name in _LABELS if name in network]


def _named_figures(network: Mapping[str, Any]) -> list[str]:
    return [f"{_figure(name, network[name])} {label}" for name, label in _LABELS.items() if name in network]


def _layer_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    out = "x".join(map(str, one["out"]))
    row = (one["name"], one["layer"], out, _figure("macs", one["macs"]), f"{one['parameters']:,}")
    return (*row, f"{one['us']:.2f}") if "us" in one else row


def _figure(name: str, value: float) -> str:
    if name == "latency_ms":
        return f"{value:.4f} ms"
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.4g} {unit}"
    return f"{value:.0f}"


def _count(number: int) -> str:
    """Returns a count for people, of any size.

    >>> _count(12345), _count(3 * 10**400)
    ('12,345', '3.0e+400')
    """
    if number < 10**9:
        return f"{number:,}"
    digits = str(number)
    return f"{digits[0]}.{digits[1]}e+{len(digits) - 1}"
