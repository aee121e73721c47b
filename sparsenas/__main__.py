"""The command line: looks up the command, hands over, and turns a user's mistake into one line.

Nothing heavy is imported before a command is known, so that `sparsenas --help` answers at once.
"""

import importlib
import os
import signal
import sys
import threading
from typing import Any

from sparsenas import __version__
from sparsenas.errors import UserError

COMMANDS = {
    "search": "find a fast sparse network for your data; the whole path from images to model.snas",
    "train": "train one architecture alone, dense or with zeros, and write its model file",
    "measure": "measure a latency table of this machine, a phone, a browser or a cluster",
    "latency": "predict how long a network takes, layer by layer, from a latency table",
    "space": "show the choices of a search space and its extremes, and draw it",
    "serve": "answer questions about latencies over HTTP",
    "export": "write a network for other programs: LiteRT, ONNX, StableHLO, a web page, C",
    "run": "classify an image with a model file",
    "profile": "show where a model file spends its time, layer by layer",
    "tune": "find the fastest form of every layer on this machine, and keep it in the model file",
    "trials": "list the trials of a run, also while it is running",
    "report": "print what runs found, and put several side by side",
    "ui": "serve a page on this machine that lists runs and follows those that go on",
    "bench": "measure what this project claims: kernels, networks, latency models, searches that survive",
}

# Soon enough for whoever pressed Ctrl-C, and late enough to be out of what lost it.
_SECONDS_UNTIL_AGAIN = 0.1

_USAGE = """usage: sparsenas COMMAND [OPTIONS]

Searches for convolutional networks with sparse layers, and measures that they are fast.

commands:
{commands}

`sparsenas COMMAND --help` lists a command's options. Start with: sparsenas search
"""


def main(args: list[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    args = sys.argv[1:] if args is None else args
    if not args or args[0] in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        print(_USAGE.format(commands="\n".join(f"  {c:{width}}  {text}" for c, text in COMMANDS.items())))
        return 0 if args else 2
    if args[0] == "--version":
        print(f"sparsenas {__version__}")
        return 0
    if args[0] not in COMMANDS:
        return _fail(f"No command named {args[0]!r}. There are: {', '.join(COMMANDS)}.")
    try:
        importlib.import_module(f"sparsenas.cli.{args[0]}").main(args[1:])
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print(f"sparsenas {args[0]}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `sparsenas ... | head` closed our output.
        sys.stderr.close()
        return 141
    return 0


def _keep_interrupts() -> None:
    """Raises Ctrl-C again where it came while nobody could be told, as in JAX's callback of the collector."""
    usual = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            main_thread = threading.main_thread().ident
            threading.Timer(_SECONDS_UNTIL_AGAIN, signal.pthread_kill, (main_thread, signal.SIGINT)).start()
        else:
            usual(unraisable)

    sys.unraisablehook = hook


def _fail(message: str) -> int:
    print(f"sparsenas: error: {message}", file=sys.stderr)
    return 2


def command() -> None:
    """Runs one command and ends the process."""
    _keep_interrupts()
    code = main()
    if code == 130:
        # XLA's threads may still compute what Ctrl-C left, and an orderly end would free what they use.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    command()
