"""From names on the command line to the things they stand for."""

import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from sparsenas.errors import UserError
from sparsenas.space import Space

if TYPE_CHECKING:
    from sparsenas.pipeline import SearchSettings
    from sparsenas.single.series import Series

T = TypeVar("T")


def known_spaces() -> list[str]:
    """Returns the names of the spaces that come with the package."""
    return _known("search_spaces")


def find_space(name: str) -> Space:
    """Returns a space by name, or the `SPACE` of a Python file."""
    return _find("space", "search_spaces", "SPACE", Space, name)


def find_experiment(name: str) -> "SearchSettings":
    """Returns the settings of an experiment by name, or the `EXPERIMENT` of a Python file."""
    # Settings import JAX; a space can be looked up without it.
    from sparsenas.pipeline import SearchSettings

    return _find("experiment", "experiments", "EXPERIMENT", SearchSettings, name)


def find_series(name: str) -> "Series":
    """Returns the trainings of an experiment by name, or the `SERIES` of a Python file."""
    from sparsenas.single.series import Series

    return _find("experiment", "experiments", "SERIES", Series, name)


def _known(folder: str) -> list[str]:
    package = importlib.import_module(f"sparsenas.{folder}")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def _find(what: str, folder: str, variable: str, kind: type[T], name: str) -> T:
    if name.endswith(".py"):
        module = _load_file(Path(name), what)
    elif name in _known(folder):
        module = importlib.import_module(f"sparsenas.{folder}.{name}")
    else:
        raise UserError(
            f"No {what} named {name!r}. There are: {', '.join(_known(folder))}; "
            f"or give a Python file that defines {variable}."
        )
    found = getattr(module, variable, None)
    if not isinstance(found, kind):
        raise UserError(
            f"{name} must define {variable}, a {kind.__module__}.{kind.__name__}; "
            f"found {type(found).__name__}."
        )
    return found


def _load_file(path: Path, what: str) -> ModuleType:
    if not path.is_file():
        raise UserError(f"No file {str(path)!r} to read the {what} from.")
    spec = importlib.util.spec_from_file_location(f"sparsenas_user_{what}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"The {what} {path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module
