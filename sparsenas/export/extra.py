"""Packages that not everybody needs."""

import importlib
from types import ModuleType

from sparsenas.errors import UserError


def optional_import(module: str, package: str) -> ModuleType:
    """Imports a module of an optional package.

    Raises:
        UserError: where it is not installed, with what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"This needs the package {package}, which cannot be imported ({error}); "
            "install it: pip install 'sparsenas[peers]'."
        ) from None
