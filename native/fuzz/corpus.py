"""Writes the seeds of the fuzz target: the golden model, and a small network of every family and pattern.

python native/fuzz/corpus.py FOLDER
"""

import shutil
import sys
from pathlib import Path

from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes
from sparsenas.networks.catalog import REFERENCES

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "tiny_v1.snas"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(GOLDEN, folder)
    for name, made in REFERENCES.items():
        for pattern, preset in made.presets.items():
            # As narrow as it can be, so that a change is likely to hit what matters.
            layers = made.layers(
                width=0.01, side=64, classes=3, rule=preset.rule(preset.fraction or 0.8)
            )  # fmt: skip
            (folder / f"{name}_{pattern}.snas").write_bytes(to_bytes(random_network(layers, seed=0)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
