"""Wrote tiny_v3.snas: the network of tiny_v1.snas packed in every way that version 3 has.

A golden file is never written again. Run from the repository root: `python tests/golden/tiny_v3.py`.
"""

from pathlib import Path

from sparsenas.export.read import read
from sparsenas.export.snas import to_bytes


def main() -> None:
    folder = Path(__file__).parent
    data = to_bytes(read(folder / "tiny_v1.snas"), float16=True)
    with open(folder / "tiny_v3.snas", "xb") as file:
        file.write(data)


if __name__ == "__main__":
    main()
