"""Data of your own: folders of images, and arrays in .npy and .npz files."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError   # Pillow comes with matplotlib

from ..errors import ConfigError, DataError, MissingError
from .files import DEFLATE, read_npy, read_npz
from .images import check, scale

SUFFIXES = (".png", ".jpg", ".jpeg")


def load_pictures(folder, size=(28, 28), mode="grey"):
    """PNG and JPEG images of a folder: (N, *size, C) float32 in [−1, 1], and labels (N,) int64 or None.

    Each is rotated by its EXIF orientation, cropped to its central square and resized; transparent pixels become white.
    mode: "grey" (C = 1) or "colour" (C = 3). If the folder has no images but subfolders with images, the subfolders, in
    the order of their names, are the labels. Files are read in the order of their names; hidden ones are ignored.
    Raises MissingError or DataError, naming the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingError(f"expected a folder of PNG or JPEG pictures, got {folder}, which is "
                           f"{'a file' if folder.exists() else 'not there'}; check the path")
    if mode not in ("grey", "colour"):
        raise ConfigError(f"expected pictures as 'grey' or 'colour', got {mode!r}")
    paths, labels = _pictures(folder), None
    if not paths:
        classes = [sub for sub in sorted(folder.iterdir()) if sub.is_dir() and _pictures(sub)]
        pairs = [(path, i) for i, sub in enumerate(classes) for path in _pictures(sub)]
        paths, labels = [path for path, _ in pairs], np.array([i for _, i in pairs], np.int64)
    if not paths:
        raise MissingError(f"expected pictures ({', '.join(SUFFIXES)}) in {folder}, got none; check the path")
    pixels = np.empty((len(paths), *size, 1 if mode == "grey" else 3), np.uint8)
    for i, path in enumerate(paths):
        pixels[i] = _read(path, size, mode)
    return scale(pixels), labels


def load_picture(path, mode="grey"):
    """One PNG or JPEG picture, not resized: (H, W, C) float32 in [−1, 1]. mode, errors: as of `load_pictures`."""
    return scale(_read(path, None, mode)[None])[0]


def _pictures(folder):
    return sorted(path for path in folder.iterdir()
                  if path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file())


def _read(path, size, mode):
    try:
        with Image.open(path) as picture:
            picture = _upright(picture)
            if picture.mode in ("I", "I;16", "I;16B", "I;16L"):      # 16 bits, of which Pillow would keep the low 8
                picture = Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
            if "A" in picture.getbands() or "transparency" in picture.info:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            picture = picture.convert("L" if mode == "grey" else "RGB")
            if size is None:        # as it is
                return np.asarray(picture).reshape(picture.height, picture.width, -1)
            side = min(picture.size)
            left, top = (picture.width - side) // 2, (picture.height - side) // 2
            square = picture.crop((left, top, left + side, top + side))
            return np.asarray(square.resize(size[::-1], Image.LANCZOS)).reshape(*size, -1)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"expected a PNG or JPEG picture in {path}, got {' '.join(str(error).split())[:80]}; remove it "
                        f"or save it again") from None


def _upright(picture):
    """Rotated by its EXIF orientation, if that is readable."""
    try:
        return ImageOps.exif_transpose(picture)
    except (struct.error, OSError, ValueError, SyntaxError, TypeError, KeyError):
        return picture


def load_array(path):
    """Images from an .npy or .npz file: (N, H, W) or (N, H, W, C), uint8 or float in [−1, 1] -> images, labels or None.

    Of an .npz the array "images" (or "x"), or its only one, and "labels" (or "y") if present. No pickle.
    """
    path = Path(path)
    if path.suffix == ".npy":
        return _images(read_npy(path), path), None
    arrays = read_npz(path, "arrays", DEFLATE)
    only = next(iter(arrays)) if len(arrays) == 1 else None
    name = next((name for name in ("images", "x") if name in arrays), only)
    if name is None:
        raise DataError(f"expected an array 'images' or 'x' in {path}, got {', '.join(arrays) or 'none'}; rename it")
    images = _images(arrays[name], path)
    labels = next((arrays[name] for name in ("labels", "y") if name in arrays), None)
    if labels is not None and (labels.shape != (len(images),) or labels.dtype.kind not in "iu"):
        raise DataError(f"expected {len(images)} whole numbers as labels in {path}, got {labels.dtype} {labels.shape}; "
                        f"store one for each image")
    return images, None if labels is None else labels.astype(np.int64)


def _images(array, path):
    if array.ndim == 3:
        array = array[..., None]
    try:
        images = scale(array) if array.dtype == np.uint8 else check(array.astype(np.float32, copy=False)
                                                                    if array.dtype.kind == "f" else array)
    except (DataError, ValueError, TypeError) as error:
        raise DataError(f"in {path}: {error}") from None
    if images.ndim != 4:
        raise DataError(f"expected images (N, H, W) or (N, H, W, C) in {path}, got shape {array.shape}; reshape them")
    if not images.size:
        raise DataError(f"expected at least one image in {path}, got shape {array.shape}")
    if abs(images).max() > 1:
        raise DataError(f"expected pixels in [−1, 1] or bytes of 0 … 255 in {path}, got floats up to "
                        f"{float(abs(images).max()):g}; scale them: x/127.5 − 1")
    return images
