"""Data: the bundled digits, IDX files, 2-D mixtures, and the iterators that make minibatches of them.

    images, labels = data.load("mnist5k")
    batches = data.Batches(images, 64, rng=0);  x = next(batches)

    >>> images, labels = load("mnist5k")
    >>> images.shape, next(Batches(images, 64, rng=0)).shape
    ((5000, 28, 28, 1), (64, 28, 28, 1))
"""

from ..errors import ConfigError, choose
from .batches import Batches, Stream
from .digits import mnist5k
from .idx import load_folder
from .images import check, scale
from .mixtures import Mixture, grid, ring
from .stacked import Stacked

__all__ = ["Batches", "Mixture", "Stacked", "Stream", "check", "grid", "load", "ring", "scale", "stream", "streams"]

HELP = "mnist5k, idx:FOLDER, ring, grid"
_SETS = {"mnist5k": mnist5k}
_FOLDERS = {"idx": load_folder}
_STREAMS = {"ring": ring, "grid": grid}
streams = tuple(_STREAMS)


def load(name):
    """images (N, H, W, C) float32 in [−1, 1], labels (N,) int64, or None where there are none.

    name: "mnist5k" (bundled) or "idx:FOLDER". Raises ConfigError for another name, MissingError and DataError for
    files that are not there or damaged.
    """
    kind, colon, folder = str(name).partition(":")
    if folder and kind in _FOLDERS:
        return _FOLDERS[kind](folder)
    if not colon and kind in _SETS:
        return _SETS[kind]()
    if not colon and kind in _STREAMS:
        raise ConfigError(f"expected a set of images, got {name!r}, a mixture without end; call stream({name!r})")
    raise ConfigError(f"unknown data {name!r}; choose one of: {HELP}")


def stream(name):
    """The Mixture of this name: "ring" (8 Gaussians) or "grid" (25)."""
    return choose("mixture", name, _STREAMS)()
