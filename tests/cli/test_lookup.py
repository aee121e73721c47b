"""A user's own space, and what is wrong with it in one line."""

from dataclasses import replace

import pytest

from sparsenas.__main__ import main
from sparsenas.cli.lookup import find_arch, find_space
from sparsenas.errors import UserError
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import save
from tests.latency.made_up import table_of_mobilenets

GOOD = """
from __future__ import annotations

from dataclasses import dataclass

from sparsenas.builder import Builder
from sparsenas.sparsity.patterns import DENSE, Sparse


@dataclass
class Shape:
    width: int


def make(side):
    net = Builder("mine", image=(side, side, 3), classes=10)
    width = net.choice("width", (Shape(8).width, 16))
    x = net.conv_hwc("stem", net.image, width, stride=2)
    x = net.conv1x1("mix", x, 32, sparsity=net.choice("zeros", (DENSE, Sparse(0.9))))
    return net.classify(x, references={"wide": {"width": 16}})
"""
START = """from sparsenas.builder import Builder
net = Builder("mine", image=(8, 8, 3), classes=10)
x = net.image
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def put(text: str, name: str = "mine.py") -> str:
        (tmp_path / name).write_text(text)
        return name

    return put


def said(name, side=None):
    with pytest.raises(UserError) as error:
        find_space(name, side)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_is_a_space(write, tmp_path):
    name = write(GOOD + "SPACE = make(32)\n")
    assert find_space(name).image == (32, 32, 3)
    assert find_space(str(tmp_path / name), 48).image == (48, 48, 3)
    # Nothing is left beside it, and what it says now counts.
    assert [path.name for path in tmp_path.iterdir()] == [name]
    write(GOOD + "SPACE = make(64)\n")
    assert find_space(name).image == (64, 64, 3)


def test_a_name_of_the_package_is_not_looked_for_on_disk(write):
    write("raise SystemExit", "tiny")
    assert find_space("tiny").name == "tiny"
    assert "No space named 'mine'. There are: alexnet, " in said("mine")
    assert "whose name ends in .py" in said("mine")


def test_sides_that_are_not_there(write):
    only_make = write(GOOD)
    assert said(only_make) == (
        "mine.py must define SPACE or make(side), found make; give the side of its images (--side)."
    )
    assert find_space(only_make, 8).image == (8, 8, 3)
    assert "`side` of the image must be at least 1, found 0" in said(only_make, 0)
    only_space = write(START + "SPACE = net.classify(x)\n")
    assert find_space(only_space, 8).image == (8, 8, 3)
    assert "for images of 8 x 8 only, found a side of 32; define make(side)" in said(only_space, 32)
    assert "on an image of 3 x 3, which is too small" in said("mobilenet_v2", 3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "mine.py must define SPACE or make(side), found neither."),
        ("SPACE = 7", "mine.py must define SPACE, a sparsenas.space.Space; found int."),
        ("def f(:", "The space mine.py, line 1: SyntaxError: invalid syntax"),
        ("\n\nx = 1 / 0", "The space mine.py, line 3: ZeroDivisionError: division by zero"),
        ("import nonesuch", "The space mine.py, line 1: ModuleNotFoundError: No module named 'nonesuch'"),
        ("raise ValueError('two\\nlines')", "The space mine.py, line 1: ValueError: two lines"),
        ("raise SystemExit(3)", "The space mine.py, line 1: SystemExit: 3"),
        ("x = 1\0", "The space mine.py"),
        (START + "net.choice('width', ())", "line 4: Choice 'width' of space 'mine' has no options"),
        (
            START + "for _ in 'ab':\n    net.choice('width', (1, 2))",
            "line 5: Space 'mine' has two choices named 'width'; rename one.",
        ),
        (
            START + "net.conv1x1('mix', x, 0)",
            "line 4: Layer 'mix' of space 'mine' must have at least 1 output",
        ),
        (
            START + "net.conv1x1('mix', x, 8, strides=2)",
            "line 4: TypeError: Builder.conv1x1() got an unexpected keyword argument 'strides'; it takes "
            "name, x, c_out, activation, sparsity.",
        ),
        (
            START + "net.depthwise('filter', x, kernel=17)",
            "line 4: Layer 'filter' of space 'mine' has windows of 17 x 17 on an image of 8 x 8",
        ),
        (
            START + "net.max_pool('pool', x, kernel=10)",
            "line 4: Layer 'pool' of space 'mine': windows of an even",
        ),
        (
            START + "net.choice('width', (1, 2))\nnet.classify(x, references={'one': {'width': 3}})",
            "line 5: Choice 'width' of space 'mine' has no option 3; there are: 1, 2.",
        ),
        (
            START + "net.classify(x, references={'one': {'depth': 3}})",
            "line 4: Space 'mine' has no choice 'depth'; there are: none.",
        ),
        (
            "from sparsenas.sparsity.patterns import Sparse\nSparse(1.5)",
            "line 2: ValueError: `fraction` of zeros must be above 0 and below 1, found 1.5",
        ),
    ],
)
def test_what_is_wrong_is_one_line_that_says_where(write, text, says):
    assert says in said(write(text))


def test_what_is_wrong_with_a_function_says_where(write):
    name = write("def make(side):\n    return None\n")
    assert said(name, 32) == "mine.py must define make(side), a sparsenas.space.Space; found NoneType."
    name = write("def make(side):\n    if side > 8:\n        raise RuntimeError('too large')\n")
    assert said(name, 32) == "The space mine.py, line 3: RuntimeError: too large"
    name = write("def make():\n    pass\n")
    assert "TypeError: make() takes 0 positional arguments" in said(name, 32)


def test_files_that_cannot_be_read(write, tmp_path):
    assert said("none.py") == "No file 'none.py' to read the space from."
    (tmp_path / "folder.py").mkdir()
    assert said("folder.py") == "Cannot read the space from 'folder.py': Is a directory."


def test_architectures_by_name_or_number(write):
    space = find_space(write(GOOD), 32)
    assert find_arch(space, "wide") == space.references["wide"] == (1, 0)
    assert find_arch(space, "largest") == space.largest
    assert find_arch(space, "0-1") == (0, 1)
    assert find_arch(replace(space, choices=(), templates=()), "") == ()
    for given, says in (
        ("tall", "No architecture of space 'mine' is named 'tall'. There are: largest, smallest, wide;"),
        ("0-2", "Choice 'zeros' of space 'mine' has options 0 to 1, found 2"),
        ("0--1", "written as option indices joined by '-'"),
        ("0", "has 2 option indices, found 1"),
    ):
        with pytest.raises(UserError, match=says.replace("[", r"\[")):
            find_arch(space, given)


@pytest.mark.parametrize(
    "args",
    [
        ["space", "mine.py"],
        ["search", "--space", "mine.py"],
        ["latency", "--space", "mine.py", "--device", "table.json"],
        ["measure", "--space", "mine.py", "--out", "x.json"],
    ],
    ids=lambda args: args[0],
)
def test_every_command_takes_a_file_and_says_what_is_wrong_with_it(write, tmp_path, capsys, args):
    save(table_of_mobilenets(2), tmp_path / "table.json")
    write(START + "net.choice('width', ())")
    assert main(args) == 2
    error = capsys.readouterr().err
    assert error.startswith("sparsenas: error: The space mine.py, line 4: Choice 'width' of space 'mine'")
    assert error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"mine.py", "table.json"}


def test_latency_of_a_users_space_at_a_side(write, tmp_path, capsys):
    save(table_of_mobilenets(), tmp_path / "table.json")
    name = write(GOOD)
    layers = find_space(name, 48).layers((1, 0))
    for arch in ("wide", "1-0"):
        args = ["--space", name, "--side", "48", arch, "--device", "table.json"]
        assert main(["latency", *args]) == 0
        ms = LatencyModel.load("table.json").predict(layers)
        assert f"Predicted {ms:.4f} ms" in capsys.readouterr().out
