"""A search space as SVG: its stages and layers in the order they run, with the choices of each.

Where a choice is drawn says its name: `stage1.width` belongs to the layers that are called `stage1.…`,
`stage1.block2.kernel` to those called `stage1.block2.…`. One that is called like none of them stands with the
first layer that depends on it.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from sparsenas.look import COLORS_CSS
from sparsenas.report.charts import TIMES
from sparsenas.space import POOLS, Arch, Space, Template, plain

CSS = Path(__file__).with_name("space.css").read_text(encoding="utf-8")

_WIDTH, _MARGIN, _SIDE = 980, 24, 190
_CARD, _GAP, _COLUMNS = 240, 12, 3
_LINE, _CHIP, _PAD = 20, 17, 10
# Pixels of a usual letter, and of a wide one.
_LETTER, _WIDE = 6.7, 7.8

_PATTERNS = {
    "dense": ("dense", "dense"), "unstructured": ("unstructured", "unstructured"),
    "block2": ("block2", "2x1"), "block4": ("block4", "4x1"), "2:4": ("two-four", "2:4"),
    "pattern": ("pattern", "kernel patterns"),
}  # fmt: skip
_WIDENING = ("conv", "conv_hwc", "conv1x1", "fully_connected")
# Operators whose windows are worth a word.
_WINDOWS = ("conv", "conv_hwc", "conv1x1", "depthwise", *POOLS)


@dataclass(frozen=True)
class _Option:
    text: str
    kind: str
    chosen: bool


@dataclass(frozen=True)
class _Row:
    """A line of a card: what it is about, and options to choose from."""

    label: str
    options: tuple[_Option, ...] = ()


@dataclass(frozen=True)
class _Card:
    """Layers that belong together, one that may be missing dashed."""

    name: str
    rows: tuple[_Row, ...]
    optional: bool
    absent: bool


@dataclass(frozen=True)
class _Band:
    """A stage: cards beside each other."""

    name: str
    pixels: str
    rows: tuple[_Row, ...]
    cards: tuple[_Card, ...]


def space_svg(space: Space, arch: Arch | None = None) -> str:
    """Draws a space; the options of an architecture are marked, and what it leaves out is pale."""
    height, width, channels = space.image
    size = f"{height} {TIMES} {width} {TIMES} {channels}"
    title = escape(f"{space.name}: {len(space.choices)} choices, images of {size}")
    parts = [f'<text class="title" x="{_MARGIN}" y="34">{title}</text>', _key(space)]
    top = 82.0
    for band in _bands(space, arch):
        drawn, top = _draw_band(band, top)
        parts.append(drawn)
    total = top + _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {total:.0f}" width="{_WIDTH}" '
        f'height="{total:.0f}" role="img"><title>{title}</title><style>{COLORS_CSS}{CSS}</style>'
        f'<rect width="{_WIDTH}" height="{total:.0f}" rx="10" fill="var(--surface)"/>{"".join(parts)}</svg>\n'
    )


def _bands(space: Space, arch: Arch | None) -> Iterator[_Band]:
    places = _places(space)
    of_choice = _choices_by_place(space, places)
    for stage, members in itertools.groupby(range(len(places)), lambda i: places[i][0]):
        cards: dict[str, list[Template]] = {}
        for i in members:
            cards.setdefault(places[i][1], []).append(space.templates[i])
        drawn = [_card(space, arch, stage, name, layers, of_choice) for name, layers in cards.items()]
        rows = [_choice_row(space, arch, c, stage) for c in of_choice.pop((stage, ""), ())]
        last = space.templates[i].layer(space.smallest, ())
        pixels = f"{last.out_height} {TIMES} {last.out_width}"
        yield _Band(stage, pixels, tuple(rows), tuple(_joined(drawn)))


def _places(space: Space) -> list[tuple[str, str]]:
    """Returns the stage and the card that each layer is drawn in, as the parts of its name say."""
    names = [template.name.split(".") for template in space.templates]
    stages = {parts[0] for parts in names if len(parts) > 1}
    return [
        (parts[0] if parts[0] in stages else "", parts[1] if len(parts) > 1 else parts[0]) for parts in names
    ]


def _choices_by_place(space: Space, places: Sequence[tuple[str, str]]) -> dict[tuple[str, ...], list[int]]:
    """Returns the choices of each stage (stage, ""), card (stage, card) and layer (its name,)."""
    layers = {template.name for template in space.templates}
    known = set(places)
    stages = {stage for stage, _ in places if stage}
    found: dict[tuple[str, ...], list[int]] = {}
    for i, choice in enumerate(space.choices):
        owner = next((t.name for t in space.templates if i in t.choices), "")
        parts = choice.name.split(".")
        place: tuple[str, ...] = (owner,)
        for end in range(len(parts) - 1, 0, -1):
            prefix = ".".join(parts[:end])
            if prefix in layers:
                place = (prefix,)
            elif end == 2 and (parts[0], parts[1]) in known:
                place = (parts[0], parts[1])
            elif end == 1 and prefix in stages:
                place = (prefix, "")
            else:
                continue
            break
        found.setdefault(place, []).append(i)
    return found


def _card(
    space: Space,
    arch: Arch | None,
    stage: str,
    name: str,
    templates: Sequence[Template],
    of_choice: dict[tuple[str, ...], list[int]],
) -> _Card:
    rows = [_choice_row(space, arch, c, f"{stage}.{name}") for c in of_choice.get((stage, name), ())]
    for template in templates:
        own = [_choice_row(space, arch, c, template.name) for c in of_choice.get((template.name,), ())]
        zeros = [row for row in own if row.label == "sparsity"]
        title = _title(template)
        # Zeros need no name: they have colours.
        rows.append(_Row(title, zeros[0].options if zeros else ()))
        rows += [row for row in own if row.label != "sparsity"]
    return _Card(
        name=name,
        rows=tuple(_merged(row for row in rows if row != _Row(""))),
        optional=all(not template.present.is_constant for template in templates),
        absent=arch is not None and not any(template.present.at(arch) for template in templates),
    )


def _merged(rows: Iterable[_Row]) -> Iterator[_Row]:
    """Writes layers without choices beside each other as far as there is room."""
    most = (_CARD - 2 * _PAD) / _WIDE
    line = ""
    for row in rows:
        longer = f"{line} · {row.label}" if line else row.label
        if not row.options and len(longer) <= most:
            line = longer
            continue
        if line:
            yield _Row(line)
        line = ""
        if row.options:
            yield row
        else:
            line = row.label
    if line:
        yield _Row(line)


def _title(template: Template) -> str:
    """Returns a layer's name without those of its stage and card, and what is no choice."""
    words = [".".join(template.name.split(".")[2:])]
    if template.op in _WINDOWS and template.kernel.is_constant:
        words.append(f"{template.kernel.max}{TIMES}{template.kernel.max}")
    if template.op in _WIDENING and template.c_out.is_constant:
        words.append(f"to {template.c_out.max}")
    if template.stride > 1:
        words.append(f"/{template.stride}")
    return " ".join(filter(None, words))


def _choice_row(space: Space, arch: Arch | None, choice: int, prefix: str) -> _Row:
    used = arch is not None and choice in space.used_choices(arch)
    options = [
        replace(_option(option), chosen=used and arch[choice] == i)
        for i, option in enumerate(space.choices[choice].options)
    ]
    return _Row(space.choices[choice].name.removeprefix(f"{prefix}."), tuple(options))


def _option(option: object) -> _Option:
    if not hasattr(option, "fraction"):
        return _Option(str(plain(option)), "", False)
    kind, _ = _PATTERNS[option.pattern.name]
    return _Option(f"{option.fraction * 100:.0f}" if option.fraction else "0", kind, False)


def _joined(cards: Iterable[_Card]) -> Iterator[_Card]:
    """Makes one card of neighbours that differ in their names alone."""
    run: list[_Card] = []
    for card in cards:
        if run and replace(card, name="") != replace(run[0], name=""):
            yield _as_one(run)
            run = []
        run.append(card)
    if run:
        yield _as_one(run)


def _as_one(run: Sequence[_Card]) -> _Card:
    if len(run) == 1:
        return run[0]
    return replace(run[0], name=f"{run[0].name} to {run[-1].name}, each")


def _draw_band(band: _Band, top: float) -> tuple[str, float]:
    """Returns what a stage looks like, and where it ends."""
    parts = [
        f'<path class="band" d="M{_MARGIN} {top}H{_WIDTH - _MARGIN}"/>',
        f'<text x="{_MARGIN + _SIDE - 16}" y="{top + 24}" text-anchor="end">to {band.pixels}</text>',
    ]
    if band.name:
        parts.append(f'<text class="name" x="{_MARGIN}" y="{top + 24}">{escape(band.name)}</text>')
    drawn, left_end = _draw_rows(band.rows, _MARGIN, top + 32, _SIDE - 16)
    parts.append(drawn)
    y = top + _PAD
    for start in range(0, len(band.cards), _COLUMNS):
        ends = []
        for column, card in enumerate(band.cards[start : start + _COLUMNS]):
            x = _MARGIN + _SIDE + column * (_CARD + _GAP)
            drawn, end = _draw_card(card, x, y)
            parts.append(drawn)
            ends.append(end)
        y = max(ends) + _GAP
    return "".join(parts), max(left_end + 8, y)


def _draw_card(card: _Card, x: float, top: float) -> tuple[str, float]:
    rows, end = _draw_rows(card.rows, x + _PAD, top + 28, _CARD - 2 * _PAD)
    end += 6
    return (
        f'<g class="{"absent" if card.absent else "present"}">'
        f'<rect class="card{" optional" if card.optional else ""}" x="{x}" y="{top}" width="{_CARD}" '
        f'height="{end - top:.0f}" rx="7"/>'
        f'<text class="name" x="{x + _PAD}" y="{top + 20}">{escape(card.name)}</text>{rows}</g>'
    ), end


def _draw_rows(rows: Sequence[_Row], x: float, top: float, width: float) -> tuple[str, float]:
    """Draws options beside what they are of, or below it where there is no room."""
    parts, y = [], top
    for row in rows:
        needed = sum(_chip_width(option) + 3 for option in row.options)
        start = x + (len(row.label) * _WIDE + 6 if row.label else 0)
        if row.label:
            parts.append(f'<text x="{x}" y="{y + 13}">{escape(row.label)}</text>')
        if row.options and start + needed > x + width:
            y, start = y + _LINE, x
        at = start
        for option in row.options:
            if at + _chip_width(option) > x + width:
                y, at = y + _LINE, start
            parts.append(_chip(option, at, y))
            at += _chip_width(option) + 3
        y += _LINE
    return "".join(parts), y


def _chip_width(option: _Option) -> float:
    return 8 + _LETTER * len(option.text)


def _chip(option: _Option, x: float, y: float) -> str:
    width = _chip_width(option)
    classes = " ".join(("option", *([option.kind] if option.kind else []), *(["chosen"] * option.chosen)))
    return (
        f'<g class="{classes}"><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_CHIP}" rx="4"/>'
        f'<text class="chip" x="{x + width / 2:.1f}" y="{y + 12.5}">{escape(option.text)}</text></g>'
    )


def _key(space: Space) -> str:
    """Draws what the colours mean, of the patterns that there are to choose."""
    options = [option for choice in space.choices for option in choice.options]
    found = {option.pattern.name for option in options if hasattr(option, "fraction")}
    if not found:
        return ""
    parts, x = [f'<text x="{_MARGIN}" y="60">% zeros:</text>'], _MARGIN + 62.0
    for name, (kind, text) in _PATTERNS.items():
        if name in found:
            parts.append(_chip(_Option(text, kind, False), x, 47))
            x += _chip_width(_Option(text, kind, False)) + 6
    return "".join(parts)
