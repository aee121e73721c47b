"""Writes the seeds of the fuzz target: the golden models, and a small network of every family and pattern.

Of each family one is tuned as well, for this machine and by this build of the package: the fuzz target uses
its packed weights where it is built from the same sources.

python native/fuzz/corpus.py FOLDER
"""

import shutil
import sys
from pathlib import Path

from sparsenas import native
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes
from sparsenas.networks.catalog import REFERENCES

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for golden in GOLDEN.glob("*.snas"):
        shutil.copy(golden, folder)
    for name, made in REFERENCES.items():
        for pattern, preset in made.presets.items():
            # As narrow as it can be, so that a change is likely to hit what matters.
            layers = made.layers(
                width=0.01, side=64, classes=3, rule=preset.rule(preset.fraction or 0.8)
            )  # fmt: skip
            model = folder / f"{name}_{pattern}.snas"
            network = random_network(layers, seed=0)
            model.write_bytes(to_bytes(network))
        (folder / f"{name}_halves.snas").write_bytes(to_bytes(network, float16=True))
        (folder / f"{name}_tuned.snas").write_bytes(native.tune(model)[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
