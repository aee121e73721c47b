"""How all pages and pictures look: one set of colours, light and dark, and the layout of every page."""

from pathlib import Path

_HERE = Path(__file__).parent

COLORS_CSS = (_HERE / "colors.css").read_text(encoding="utf-8")
PAGE_CSS = COLORS_CSS + (_HERE / "page.css").read_text(encoding="utf-8")
"""The colours, and the page: its width, headings and cards."""
