"""What the documents tell people to type works.

Fenced blocks of Python and of the shell are run, page by page in one folder, or say why not. Indented lists
of commands are for choosing from: they are parsed as the command line does.
"""

import ast
import importlib
import os
import re
import subprocess
import sys

import pytest
from PIL import Image

from sparsenas.__main__ import COMMANDS, main
from sparsenas.cli.bench import BENCHMARKS
from sparsenas.cli.lookup import find_space, known_spaces
from sparsenas.cli.parse import parse
from tests.documents import ROOT, blocks, documents

SHORT_SEARCH = [
    "--trials", "8", "--finalists", "1", "--supernet.steps", "20", "--network.steps", "20", "--workers", "0",
]  # fmt: skip
# What makes a command short enough for a test, and lets it share this machine with others.
SHORT = {
    "train": ["--network.steps", "3"],
    "measure": ["--rounds", "2", "--networks", "4", "--busy"],
}
RUN = [name for name in documents() if name.startswith("docs/") and name != "docs/quickstart.md"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder of somebody who has read README and the quick start."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        Image.new("RGB", (40, 30), "white").save("image.png")
        # Both search the same space: what is compiled for one serves the other.
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        (folder / "example.py").write_text(readme_example())
        said = {"README.md": output([sys.executable, "example.py"], environment)}
        search = next(blocks_of("docs/quickstart.md", "search").commands())
        said["search"] = output([sys.executable, "-m", "sparsenas", *search, *SHORT_SEARCH], environment)
        yield said


def output(command, environment):
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def readme_example():
    short = (
        'SearchSettings(space="tiny", dataset="digits", trials=8, finalists=1, '
        "supernet=SupernetSettings(steps=20), network=NetworkSettings(steps=20))"
    )
    (block,) = [block.text for block in blocks("README.md") if block.language == "python"]
    code = "from sparsenas.train import NetworkSettings, SupernetSettings\n" + block
    assert code.count('SearchSettings(space="tiny", dataset="digits")') == 1
    assert code.count("workers=2") == 1
    # In one process, which starts sooner; runs on Ray have tests of their own.
    code = code.replace("workers=2", "workers=0")
    return code.replace('SearchSettings(space="tiny", dataset="digits")', short)


def blocks_of(document, command):
    """Returns the first block of a document that is run and has this command."""
    return next(
        block
        for block in blocks(document)
        if not block.not_run and any(words[0] == command for words in block.commands())
    )


def test_readme_example_runs(home):
    assert "x faster than dense" in home["README.md"]


def test_quick_start_runs(home):
    assert "Next: sparsenas profile" in home["search"]
    run(block for block in blocks("docs/quickstart.md") if block != blocks_of("docs/quickstart.md", "search"))


@pytest.mark.parametrize("document", RUN)
def test_page_runs(home, document):
    run(blocks(document))


def run(page):
    """Runs the blocks of a page in their order; its Python blocks share their names."""
    names = {"__name__": "__main__"}
    for block in page:
        if block.not_run or not block.language:
            continue
        if block.title:
            with open(block.title, "w", encoding="utf-8") as file:
                file.write(block.text)
        if block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
        else:
            assert block.language == "sh", f"{block} is neither run nor says why."
            commands = list(block.commands())
            assert len(commands) == len(block.text.splitlines()), f"{block} is not of `sparsenas` alone."
            for words in commands:
                assert main([*words, *SHORT.get(words[0], [])]) == 0, f"{block}: {words}"


@pytest.mark.parametrize("document", documents())
def test_every_command_is_one(document):
    for block in blocks(document):
        for words in block.commands():
            assert words[0] in COMMANDS, f"{block}: {words}"
            name, args = words[0], words[1:]
            if name == "bench":
                assert args[0] in BENCHMARKS, f"{block}: {words}"
                name, args = f"bench_{args[0]}", args[1:]
            if not {"--help", "-h"} & set(args):
                module = importlib.import_module(f"sparsenas.cli.{name}")
                parse(module.Options, args, command=words[0])


def test_blocks_that_are_not_run_are_python_all_the_same():
    skipped = [block for name in RUN for block in blocks(name) if block.not_run]
    assert all(len(block.not_run) > 10 for block in skipped)
    for block in skipped:
        if block.language == "python":
            ast.parse(block.text)


def test_contributing_example_is_a_space(tmp_path):
    path = tmp_path / "mine.py"
    (block,) = [block.text for block in blocks("CONTRIBUTING.md") if block.language == "python"]
    path.write_text(block)
    space = find_space(str(path))
    assert space.size == 4
    assert {layer.sparsity for layer in space.layers(space.smallest)} == {0.0, 0.9}


def test_example_of_a_space_is_one(home):
    space = find_space("mine.py")
    assert space.image == (32, 32, 3)
    assert find_space("mine.py", 64).image == (64, 64, 3)
    names = [layer.name for layer in space.layers(space.references["plain"])]
    assert names == ["stem", "filter", "mix", "pool", "classifier"]
    assert "more" in [layer.name for layer in space.layers(space.largest)]


def test_spaces_and_references_are_listed():
    listed = {
        row.split("|")[1].strip(" `"): set(re.findall(r"`([^`]+)`", row.split("|")[4]))
        for row in (ROOT / "docs/spaces.md").read_text().splitlines()
        if row.startswith("| `")
    }
    assert listed.keys() == set(known_spaces())
    for name, references in listed.items():
        known = set(find_space(name).references)
        # Those that differ in their fraction of zeros alone are listed once.
        assert references <= known
        assert {one.partition("-published")[0] for one in known} <= references | {""}


def test_all_formats_are_documented():
    formats = {
        parse(importlib.import_module("sparsenas.cli.export").Options, words[1:], command="export").format
        for block in blocks("docs/exporting.md")
        for words in block.commands()
        if words[0] == "export"
    }
    assert formats == {"snas", "tflite", "onnx", "stablehlo", "web", "c"}


def test_every_paper_on_the_page_is_cited_where_it_is_used():
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("sparsenas", "search_spaces", "experiments", "docs/strategies.md")
        for path in ([ROOT / folder] if (ROOT / folder).is_file() else (ROOT / folder).rglob("*.py"))
    )
    cited = re.findall(r"\]\((https://[^)]+)\)", (ROOT / "docs/papers.md").read_text())
    assert len(cited) > 20
    assert not [link for link in cited if link not in sources]
