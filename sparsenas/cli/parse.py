"""Options from a dataclass, errors as one line."""

import contextlib
import io
from typing import Annotated, TypeVar

import tyro

from sparsenas.errors import UserError

T = TypeVar("T")


def _whole_numbers(args: list[str]) -> tuple[int, ...]:
    return tuple(int(number) for arg in args for number in arg.split(","))


Counts = Annotated[
    tuple[int, ...],
    tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="N[,N...]",
        instance_from_str=_whole_numbers,
        is_instance=lambda value: isinstance(value, tuple) and all(isinstance(n, int) for n in value),
        str_from_instance=lambda value: [",".join(map(str, value))],
    ),
]
"""Whole numbers, with commas or spaces between them."""


def parse(options: type[T], args: list[str], *, command: str, default: T | None = None) -> T:
    """Reads a command's options; `--help` prints them and leaves.

    Args:
        default: what options have that are not given; the class's own defaults where left out.

    Raises:
        UserError: what is wrong with the options, in one line.
    """
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            given = {} if default is None else {"default": default}
            return tyro.cli(options, args=args, prog=f"sparsenas {command}", **given)
    except SystemExit as exit:
        if not exit.code:
            raise
        text = " ".join(line.strip(" │╭╮╰╯─") for line in errors.getvalue().splitlines())
        text = " ".join(text.split())
        raise UserError(f"{text} (sparsenas {command} --help lists the options)") from None
