"""Every module imports only from layers below its own, so that it can be read without those above."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sparsenas"
PARTICULARS = ("search_spaces", "latency_models", "experiments")

# Lowest first; modules on one line do not import each other. So a strategy cannot see the supernet, only
# architectures and rewards, and neither export nor the native runtime can see training.
LAYERS = (
    {"errors", "progress", "tables"},
    {"files", "look", "sparsity", "native", "data", "dims", "cross", "chromium"},
    {"space", "checkpoint", "visit", "record"},
    {"builder", "objectives"},
    {"blocks", "networks", "nn", "strategies"},
    {"export"},
    {"supernet", "latency"},
    {"costs", "reward", "train", "trials"},
    {"cluster", "trial_list"},
    {"candidates"},
    {"search", "descent", "believed", "report", "serve", "survey"},
    {"search_ahead"},
    {"bench", "ui"},
    {"backends"},
    {"search_settings"},
    {"run_folder", "finalists", "baselines"},
    {"final", "stages"},
    {"winner"},
    {"pipeline", "single"},
    {"cli"},
    {"__main__", "notebook"},
)
DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}

# A space is made of these words and no others; it must not know who searches it.
WORDS_OF_A_SPACE = {"blocks", "builder", "dims", "space", "sparsity", "errors"}


def imported_names(path: Path) -> Iterator[str]:
    """Yields the full names of all that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; write the full name."
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_units(path: Path) -> Iterator[str]:
    """Yields the modules and packages directly inside `sparsenas` that a file imports from."""
    for name in imported_names(path):
        first, *rest = name.split(".")
        if first == "sparsenas" and rest and not rest[0].startswith("__version"):
            yield rest[0]


def unit_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if unit_of(path) not in ("__init__", *PARTICULARS))


def test_every_module_has_a_layer():
    assert {unit_of(path) for path in modules()} <= DEPTH.keys()


def test_imports_point_down():
    wrong = [
        f"{path.relative_to(ROOT)} imports {other}"
        for path in modules()
        for other in imported_units(path)
        if other != unit_of(path)
        and other != "_native"
        and DEPTH.get(other, len(LAYERS)) >= DEPTH[unit_of(path)]
    ]
    assert not wrong, "\n".join(wrong)


def test_only_one_file_imports_the_extension():
    importers = [path.name for path in modules() if "_native" in imported_units(path)]
    assert importers == ["native.py"]


def test_spaces_import_only_what_describes_a_network():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / "search_spaces").rglob("*.py"))
        for name in imported_names(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and (name.split(".")[0] != "sparsenas" or name.split(".")[1] not in WORDS_OF_A_SPACE)
    ]
    assert not wrong, "\n".join(wrong)


def test_this_test_sees_a_wrong_import(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(
        "import numpy\n"
        "import sparsenas\n"
        "import sparsenas.train\n"
        "from sparsenas import __version__, supernet\n"
        "def late():\n"
        "    from sparsenas.search_spaces.tiny import SPACE\n"
    )
    assert list(imported_units(path)) == ["train", "supernet", "search_spaces"]
