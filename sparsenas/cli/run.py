"""sparsenas run: classify images with a model file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from sparsenas import native
from sparsenas.cli.parse import parse
from sparsenas.cli.show import console, table
from sparsenas.data import read_image


@dataclass(frozen=True, kw_only=True)
class Options:
    """Classifies an image with a model file and prints the most probable classes.

    Attributes:
        model: a .snas file.
        image: any image that Pillow reads; it is resized to the model's input.
        top: how many classes to print.
    """

    model: Annotated[Path, tyro.conf.Positional]
    image: Annotated[Path, tyro.conf.Positional]
    top: int = 5


def main(args: list[str]) -> None:
    options = parse(Options, args, command="run")
    model = native.Model.open(options.model)
    height, width, _ = model.image
    pixels = read_image(options.image, size=(height, width)).astype(np.float32) / 255
    logits = model.run(pixels[None])[0].astype(np.float64)
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    best = np.argsort(-probabilities)[: max(1, options.top)]
    names = model.classes or tuple(map(str, range(len(logits))))
    rows = [(names[i], f"{probabilities[i]:.1%}", f"{logits[i]:.3f}") for i in best]
    console().print(table(str(options.image), ("class", "probability", "logit"), rows))
