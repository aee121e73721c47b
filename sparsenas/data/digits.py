"""scikit-learn's handwritten digits, 1,797 images of 8x8 pixels that come without a download."""

import numpy as np
from PIL import Image

from sparsenas.data.pictures import fit
from sparsenas.data.splits import Data, Split, cap, stratify

# Train, validation and test: the data set comes in one piece.
_SHARES = (0.5, 0.2, 0.3)


def load_digits(size: tuple[int, int], seed: int, limit: int | None) -> Data:
    from sklearn import datasets  # Takes a second to import.

    digits = datasets.load_digits()
    rng = np.random.default_rng(seed)
    labels = digits.target.astype(np.int32)
    grey = np.round(digits.images * (255 / 16)).astype(np.uint8)

    def split(rows: np.ndarray) -> Split:
        rows = rng.permutation(cap(rows, labels, limit, "digits"))
        images = np.stack([fit(Image.fromarray(grey[row]), size) for row in rows])
        return Split(images, labels[rows])

    train, validation, test = map(split, stratify(labels, _SHARES, rng))
    classes = tuple(str(name) for name in digits.target_names)
    return Data(name="digits", classes=classes, train=train, validation=validation, test=test)
