"""From the bytes of an image file to pixels."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from sparsenas.errors import UserError

_LARGEST_FILE_BYTES = 256 * 2**20
"""No photograph is larger; a header that claims more is damaged or an attack on the memory."""


def check_bytes(name: str, file_bytes: int, path: Path) -> None:
    if file_bytes > _LARGEST_FILE_BYTES:
        raise UserError(
            f"Image {name!r} in {str(path)!r} has {file_bytes:,} bytes, at most {_LARGEST_FILE_BYTES:,} "
            "are read; shrink or remove it."
        )


def decode(content: bytes, name: str, path: Path, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # About odd but harmless metadata.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(content)) as image:
                # A JPEG is decoded at the smallest eighth that is still large enough; no-op for others.
                image.draft("RGB", (width, height))
                return fit(image, size)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise UserError(
                f"Image {name!r} in {str(path)!r} has more than {Image.MAX_IMAGE_PIXELS:,} pixels, "
                "which may be an attack on the memory; shrink or remove it."
            ) from None
        except Exception as error:  # Decoders raise anything at all for damaged files.
            reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else reason_of(error)
            raise UserError(
                f"Cannot read the image {name!r} in {str(path)!r}: {reason}; mend or remove it."
            ) from None


def fit(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Converts to RGB and resizes: uint8 [H, W, 3]."""
    height, width = size
    if image.mode.startswith("I"):  # 16 bits; Pillow would clip them at 255.
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)


def reason_of(error: Exception) -> str:
    """Returns an exception's message as part of a line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
