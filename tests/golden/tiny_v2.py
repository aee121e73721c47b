"""Wrote tiny_v2.snas: tiny_v1.snas with a tuning section, an example of version 2.

The section was packed for `scalar`, so that any machine could have used it, and then given to a processor
and a build that are not: what a reader does with a file that was tuned elsewhere does not depend on where the
test runs. A golden file is never written again. Run from the repository root:
`python tests/golden/tiny_v2.py`.
"""

import struct
import zlib
from pathlib import Path

from sparsenas import native

CPU, BUILD = b"a machine of paper", b"0123456789abcdef"


def main() -> None:
    folder = Path(__file__).parent
    data = bytearray(native.tune(folder / "tiny_v1.snas", isa="scalar")[0])
    section = 64 * struct.unpack_from("<I", data, 44)[0]
    struct.pack_into("<24s64s", data, section + 40, BUILD, CPU)
    struct.pack_into("<QQ", data, section + 8, 32 << 10, 1 << 20)
    struct.pack_into("<I", data, 16, zlib.crc32(data[20:]))
    with open(folder / "tiny_v2.snas", "xb") as file:
        file.write(data)


if __name__ == "__main__":
    main()
