"""Builds native programs from a checkout of the repository, for this machine and others."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import sparsenas
from sparsenas.errors import UserError

# Folders in build/, the toolchain file of each and what else CMake is told; as the Makefile has them.
_TARGETS = {
    "library": ("", ("-DSPARSENAS_BUILD_TESTS=OFF",)),
    "arm64": ("zig-aarch64", ()),
    "x86_64": ("zig-x86_64", ()),
    "wasm": ("zig-wasm32", ()),
    "wasm_relaxed": ("zig-wasm32", ("-DSPARSENAS_WASM_RELAXED=ON",)),
}


def repository() -> Path:
    """Returns the checkout that this package runs from.

    Raises:
        UserError: where it was installed without one.
    """
    root = Path(sparsenas.__file__).resolve().parents[1]
    if not (root / "native" / "CMakeLists.txt").is_file():
        raise UserError(
            "Kernels for another machine are compiled from the sources: run this in a checkout of the "
            "repository with `pip install -e '.[dev]'`."
        )
    return root


def tool(name: str, install: str) -> str:
    """Returns the path of a program, beside this Python or where the shell finds it.

    Raises:
        UserError: where there is none, with what to install.
    """
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise UserError(f"This needs the program {name}: {install}.")
    return found


def zig_environment() -> dict[str, str]:
    """Returns the environment that native/cmake/zig runs in.

    Raises:
        UserError: where this Python has no package ziglang.
    """
    if importlib.util.find_spec("ziglang") is None:
        raise UserError("This needs the package ziglang, a compiler: pip install 'ziglang==0.17.*'.")
    cache = os.environ.get("ZIG_GLOBAL_CACHE_DIR", str(repository() / "build" / "zig-cache"))
    return os.environ | {"PYTHON": sys.executable, "ZIG_GLOBAL_CACHE_DIR": cache}


def built(target: str, program: str) -> Path:
    """Builds what changed of a program and returns the folder of its build.

    The first build for a target also makes its C++ library, which takes minutes.

    Args:
        target: "arm64", "x86_64", "wasm" or "wasm_relaxed", by the package ziglang; "library" for this
            machine, by its own compiler.
        program: the name that CMake knows it by.

    Raises:
        UserError: where a tool is missing or the build fails.
    """
    root = repository()
    cmake, ninja = tool("cmake", "pip install cmake"), tool("ninja", "pip install ninja")
    folder = root / "build" / target
    toolchain, options = _TARGETS[target]
    environment = zig_environment() if toolchain else dict(os.environ)
    if toolchain:
        options = (f"-DCMAKE_TOOLCHAIN_FILE={root / 'native' / 'cmake' / toolchain}.cmake", *options)
    if not (folder / "build.ninja").is_file():
        run(
            [
                cmake, "-S", str(root / "native"), "-B", str(folder), "-G", "Ninja",
                f"-DCMAKE_MAKE_PROGRAM={ninja}", *options,
            ],
            environment,
        )  # fmt: skip
    run([cmake, "--build", str(folder), "--target", program], environment)
    return folder


def run(command: list[str], environment: dict[str, str] | None = None, *, text: str | None = None) -> str:
    """Runs a program and returns what it prints.

    Args:
        text: what it reads.

    Raises:
        UserError: where it fails, with the last line that it says.
    """
    done = subprocess.run(command, env=environment, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()
        where = next((line for line in said if "error" in line.lower()), said[-1])
        raise UserError(f"{Path(command[0]).name} failed with code {done.returncode}: {where.strip()}")
    return done.stdout
