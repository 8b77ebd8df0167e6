"""Data: the bundled digits, data sets by name, files of your own, 2-D mixtures, and iterators of minibatches.

    images, labels = data.load("mnist5k")
    batches = data.Batches(images, 64, rng=0);  x = next(batches)

    >>> images, labels = load("mnist5k")
    >>> images.shape, next(Batches(images, 64, rng=0)).shape
    ((5000, 28, 28, 1), (64, 28, 28, 1))
"""

import os

from ..errors import ConfigError, choose
from . import sets
from .batches import Batches, Stream
from .digits import mnist5k
from .folders import load_array, load_picture, load_pictures
from .idx import load_folder
from .images import check, scale
from .mixtures import Mixture, grid, ring

__all__ = ["Batches", "Mixture", "Stream", "check", "grid", "load", "load_picture", "located", "ring", "scale",
           "stream", "streams"]

HELP = ("mnist5k (bundled), mnist, fashion-mnist, kmnist, images:FOLDER of PNG or JPEG,\n"
        "idx:FOLDER, a .npy or .npz file, ring, grid")
_STREAMS = {"ring": ring, "grid": grid}
streams = tuple(_STREAMS)


def load(name, size=28, colour=False, held_out=False):
    """images (N, H, W, C) float32 in [−1, 1], labels (N,) int64, or None where there are none.

    name: "mnist5k" (bundled); "mnist", "fashion-mnist", "kmnist" (see `sets`); "idx:FOLDER"; "images:FOLDER" of PNG or
    JPEG, resized to size × size, grey unless colour; or an .npy or .npz file. held_out: the test images instead of
    the training images, of data with both (those of `sets`, IDX files). Raises ConfigError for an unknown name,
    MissingError for missing files and DataError for damaged ones.
    """
    name = located(name)
    kind, colon, path = str(name).partition(":")
    if kind == "idx" and path:
        return load_folder(path, held_out)
    if kind == "images" and path:
        return load_pictures(path, (size, size), "colour" if colour else "grey")
    if str(name).endswith((".npy", ".npz")):
        return load_array(name)
    if name == "mnist5k":
        return mnist5k()
    if str(name) in sets.SETS:
        return sets.load(name, held_out)
    if str(name) in _STREAMS:
        raise ConfigError(f"expected images, got {name!r}, an endless mixture; choose data with images, or from "
                          f"Python call data.stream({name!r})")
    raise ConfigError(f"unknown data {name!r}; choose one of: {' '.join(HELP.split())}")


def located(name):
    """A data name whose path, if it has one, is absolute."""
    kind, colon, path = str(name).partition(":")
    if kind in ("idx", "images") and path:
        return f"{kind}:{_absolute(path)}"
    return _absolute(name) if str(name).endswith((".npy", ".npz")) else name


def _absolute(path):
    return os.path.abspath(os.path.expanduser(path))


def stream(name):
    """The Mixture of this name: "ring" (8 Gaussians) or "grid" (25)."""
    return choose("mixture", name, _STREAMS)()
