"""The way to a device that runs commands and takes files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol


class Failed(Exception):
    """A command on the device ended with an error; the message is the last line that it said."""


class Link(Protocol):
    """The way to a device; every method raises `Lost` where it is gone."""

    name: str

    def run(self, command: str) -> str:
        """Runs a line of shell on the device and returns what it prints; raises `Failed` where it fails."""

    def lines(self, command: str) -> Iterator[str]:
        """Runs the same and yields what it prints as it comes."""

    def send(self, files: Sequence[Path], folder: str) -> None:
        """Copies files into a folder of the device; raises `Failed` where that fails."""

    def folder(self) -> str:
        """Returns the folder that may be written and run from, as the shell there expands it."""
