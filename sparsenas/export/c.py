"""A C program that runs the network: a folder that CMake builds, for any processor with a C++ compiler.

The model is an array in a source file; the runtime comes as sources, which make a static library, unless one
is installed (`find_package(sparsenas)`).
"""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sparsenas.cross import built, repository, run, tool
from sparsenas.errors import UserError
from sparsenas.export.network import Network
from sparsenas.export.snas import to_bytes

SOURCES = "sparsenas"
_BYTES_A_LINE = 24
# Of native/, what the library is made of.
_FOLDERS = ("base", "kernels", "model", "capi", "cmake")
_NOT_PART = re.compile(r"(test|bench)[a-z_]*\.(cc|c|cmake)$|README\.md$")


def to_c(network: Network, *, float16: bool = False) -> dict[str, bytes]:
    """Returns the files of the folder by name.

    Args:
        float16: weights of half precision (`sparsenas.export.snas`).

    Raises:
        UserError: where there is no checkout to take the runtime's sources from.
    """
    root = repository()
    template = root / "native" / "examples" / "embedded"
    files = {path.name: path.read_bytes() for path in sorted(template.iterdir())}
    files["model.c"] = _array(to_bytes(network, float16=float16))
    files[f"{SOURCES}/LICENSE"] = (root / "LICENSE").read_bytes()
    files[f"{SOURCES}/CMakeLists.txt"] = (root / "native" / "CMakeLists.txt").read_bytes()
    for folder in _FOLDERS:
        for path in sorted((root / "native" / folder).rglob("*")):
            if path.is_file() and not _NOT_PART.search(path.name):
                files[f"{SOURCES}/{path.relative_to(root / 'native')}"] = path.read_bytes()
    return files


def _array(data: bytes) -> bytes:
    lines = (data[i : i + _BYTES_A_LINE] for i in range(0, len(data), _BYTES_A_LINE))
    numbers = ",\n".join(",".join(map(str, line)) for line in lines)
    text = (
        '#include "model.h"\n\n'
        f"const size_t model_bytes = {len(data)};\n"
        f"const unsigned char model[{len(data)}] = {{\n{numbers}}};\n"
    )
    return text.encode()


def run_c(folder: Path, images: np.ndarray) -> np.ndarray:
    """Builds the example with a library of this machine and runs it.

    Args:
        images: float32 [N, H, W, C].

    Returns:
        float32 [N, outputs].

    Raises:
        UserError: where a compiler or CMake is missing, or what fails.
    """
    with tempfile.TemporaryDirectory() as place:
        installed = install_library("library", Path(place) / "installed")
        program = build_example(folder, Path(place) / "build", installed)
        return run_program([str(program)], images, Path(place))


def install_library(target: str, place: Path) -> Path:
    """Builds the library for a target of `sparsenas.cross`, installs it and returns its CMake folder."""
    for library in ("sparsenas_static", "sparsenas_shared")[: 2 if target == "library" else 1]:
        build = built(target, library)
    run([tool("cmake", "pip install cmake"), "--install", str(build), "--prefix", str(place)])
    return place / "lib" / "cmake" / "sparsenas"


def build_example(folder: Path, build: Path, installed: Path, options: Sequence[str] = ()) -> Path:
    """Builds an exported folder with an installed library and returns the program."""
    cmake, ninja = tool("cmake", "pip install cmake"), tool("ninja", "pip install ninja")
    settings = [f"-Dsparsenas_DIR={installed}", f"-DCMAKE_MAKE_PROGRAM={ninja}", *options]
    run([cmake, "-S", str(folder), "-B", str(build), "-G", "Ninja", *settings])
    run([cmake, "--build", str(build)])
    return build / "classify"


def run_program(command: Sequence[str], images: np.ndarray, place: Path) -> np.ndarray:
    """Runs the example on images: float32 [N, H, W, C] -> [N, outputs]."""
    given, answers = place / "images.f32", place / "outputs.f32"
    given.write_bytes(images.astype("<f4").tobytes())
    done = subprocess.run([*command, str(given), str(answers)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"The exported program failed: {done.stderr.strip() or done.returncode}")
    return np.fromfile(answers, "<f4").reshape(len(images), -1)
