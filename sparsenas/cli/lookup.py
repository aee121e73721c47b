"""From names on the command line to the things they stand for."""

import importlib
import inspect
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sparsenas.builder import Builder
from sparsenas.errors import UserError
from sparsenas.space import Arch, Space

if TYPE_CHECKING:
    from sparsenas.search_settings import SearchSettings
    from sparsenas.single.series import Series
    from sparsenas.strategies.base import Probabilities, State
    from sparsenas.strategies.catalog import Factory

T = TypeVar("T")

DRAWN = ("tiny",)
"""Spaces that networks for latency tables are drawn from; kin of all others, the reference networks, is drawn
anyway."""


ALL = "all"
"""Stands for every series that comes with the package."""


def known_spaces() -> list[str]:
    """Returns the names of the spaces that come with the package."""
    return _known("search_spaces")


def find_space(name: str, side: int | None = None) -> Space:
    """Returns a space by name, or of a Python file, which is the user's own code and is executed.

    Args:
        side: pixels of the image's side; the space's usual one where left out.

    Raises:
        UserError: where there is none, or what is wrong with the file, in one line.
    """
    module = _module("space", "search_spaces", "SPACE or make(side)", name)
    make = getattr(module, "make", None)
    if side is not None and side < 1:
        raise UserError(f"`side` of the image must be at least 1, found {side}.")
    if side is not None and callable(make):
        return _typed(name, "make(side)", _run("space", name, lambda: make(side)), Space)
    if not hasattr(module, "SPACE"):
        found = "neither" if make is None else "make; give the side of its images (--side)"
        raise UserError(f"{name} must define SPACE or make(side), found {found}.")
    space = _typed(name, "SPACE", module.SPACE, Space)
    if side is not None and space.image[:2] != (side, side):
        height, width, _ = space.image
        raise UserError(
            f"{name} has a space for images of {height} x {width} only, found a side of {side}; "
            "define make(side) for others."
        )
    return space


def find_arch(space: Space, given: str) -> Arch:
    """Returns an architecture by name (`largest`, `smallest`, a reference) or from option indices.

    Raises:
        UserError: where it is neither.
    """
    named = {"largest": space.largest, "smallest": space.smallest, **space.references}
    if given in named:
        return named[given]
    if given.strip("-0123456789"):
        raise UserError(
            f"No architecture of space {space.name!r} is named {given!r}. There are: {', '.join(named)}; "
            "or give option indices joined by '-'."
        )
    return space.canonical(space.parse(given))


def find_strategy(name: str) -> "Factory":
    """Returns a strategy's factory by name, or that of a Python file, which is the user's own code.

    The file defines `strategy(space)`, which returns a `Strategy`; the first line that raises an error is
    said.
    """
    from sparsenas.strategies.base import Strategy
    from sparsenas.strategies.catalog import STRATEGIES

    if name in STRATEGIES:
        return STRATEGIES[name]
    if not name.endswith(".py"):
        raise UserError(
            f"No strategy named {name!r}. There are: {', '.join(STRATEGIES)}; or give a Python file that "
            "defines strategy(space), whose name ends in .py."
        )
    module = _load_file(name, "strategy")
    made = getattr(module, "strategy", None)
    if not callable(made):
        raise UserError(f"{name} must define strategy(space), found {type(made).__name__}.")

    def factory(space: Space, aim: Any) -> Strategy:
        found = _run("strategy", name, lambda: made(space))
        found = _typed(name, "strategy(space)", found, Strategy)

        def guarded(function: Callable[..., T]) -> Callable[..., T]:
            return lambda *args: _run("strategy", name, lambda: function(*args))

        return found._replace(
            init=guarded(found.init),
            ask=lambda state, rng: _proposed(name, space, guarded(found.ask)(state, rng)),
            tell=guarded(found.tell),
            expect=guarded(found.expect),
            probabilities=found.probabilities and _believed(name, space, guarded(found.probabilities)),
            recommend=found.recommend
            and (lambda state: _recommended(name, space, guarded(found.recommend)(state))),
        )

    return factory


def _proposed(name: str, space: Space, arch: Any) -> Arch:
    """Returns what a user's strategy asked for as an architecture."""
    return _run("strategy", name, lambda: space.canonical(space.check(arch)))


def _recommended(name: str, space: Space, archs: Any) -> list[Arch]:
    """Returns what a user's strategy recommends as architectures."""
    return _run("strategy", name, lambda: [space.canonical(space.check(arch)) for arch in archs])


def _believed(name: str, space: Space, probabilities: "Callable[[State], Probabilities]") -> Callable:
    """Returns a user's function, which must give one array for each choice."""
    sizes = tuple((len(choice.options),) for choice in space.choices)

    def checked(state: Any) -> "Probabilities":
        found = tuple(np.asarray(one, float) for one in probabilities(state))
        if tuple(one.shape for one in found) != sizes:
            raise UserError(
                f"The strategy {name}: probabilities(state) must give an array of the options' "
                f"probabilities for each of {len(sizes)} choices, found shapes "
                f"{[one.shape for one in found]}."
            )
        return found

    return checked


def find_experiment(name: str) -> "SearchSettings":
    """Returns the settings of an experiment by name, or the `EXPERIMENT` of a Python file."""
    # Settings import JAX; a space can be looked up without it.
    from sparsenas.search_settings import SearchSettings

    module = _experiment(name, "EXPERIMENT")
    return _typed(name, "EXPERIMENT", getattr(module, "EXPERIMENT", None), SearchSettings)


def known_series() -> list[str]:
    """Returns the names of the experiments that compare trainings."""
    return [name for name in _known("experiments") if hasattr(_experiment(name, "SERIES"), "SERIES")]


def find_series(name: str, *, full: bool = False) -> "Series":
    """Returns the trainings of an experiment by name, or the `SERIES` of a Python file.

    Args:
        full: those of full size, `FULL`.
    """
    from sparsenas.single.series import Series

    variable = "FULL" if full else "SERIES"
    return _typed(name, variable, getattr(_experiment(name, variable), variable, None), Series)


def _experiment(name: str, variable: str) -> ModuleType:
    return _module("experiment", "experiments", variable, name)


def _known(folder: str) -> list[str]:
    package = importlib.import_module(f"sparsenas.{folder}")
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    # What several of them share is none of them.
    return sorted(name for name in names if not name.startswith("_"))


def _module(what: str, folder: str, variable: str, name: str) -> ModuleType:
    if name in _known(folder):
        return importlib.import_module(f"sparsenas.{folder}.{name}")
    if name.endswith(".py"):
        return _load_file(name, what)
    raise UserError(
        f"No {what} named {name!r}. There are: {', '.join(_known(folder))}; "
        f"or give a Python file that defines {variable}, whose name ends in .py."
    )


def _typed(name: str, variable: str, found: Any, kind: type[T]) -> T:
    if not isinstance(found, kind):
        raise UserError(
            f"{name} must define {variable}, a {kind.__module__}.{kind.__name__}; "
            f"found {type(found).__name__}."
        )
    return found


def _load_file(name: str, what: str) -> ModuleType:
    path = Path(name)
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"No file {name!r} to read the {what} from.") from None
    except OSError as error:
        raise UserError(f"Cannot read the {what} from {name!r}: {error.strerror}.") from None
    module = ModuleType(f"sparsenas_user_{what}_{path.stem}")
    module.__file__ = name
    # Dataclasses look the module up that they are from.
    sys.modules[module.__name__] = module
    # Compiled anew each time: bytecode left beside the file would be stale after two edits in one second.
    _run(what, name, lambda: exec(compile(text, name, "exec"), module.__dict__))
    return module


def _run(what: str, name: str, code: Callable[[], Any]) -> Any:
    """Runs a user's code; whatever it raises becomes one line that says where."""
    try:
        return code()
    except (Exception, SystemExit) as error:
        said = error.msg if isinstance(error, SyntaxError) else error
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        where = f"The {what} {name}{_line(error, name)}"
        raise UserError(f"{where}: {kind}{' '.join(str(said).split())}{_takes(said)}") from error


def _takes(said: object) -> str:
    """Returns what a method of `Builder` takes where a user gave it something else; "" for other errors."""
    found = re.search(r"Builder\.(\w+)\(\) got an unexpected keyword argument", str(said))
    if found is None:
        return ""
    _, *names = inspect.signature(getattr(Builder, found[1])).parameters
    return f"; it takes {', '.join(names)}."


def _line(error: BaseException, name: str) -> str:
    """Returns the last line of a file that was on the way to an error; "" where none was."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == name]
    if isinstance(error, SyntaxError) and error.filename == name:
        lines.append(error.lineno)
    return f", line {lines[-1]}" if lines else ""
