"""The bundled digits: 5,000 of MNIST, available offline. Origin and licence: mnist5k.txt."""

import hashlib
import io
from pathlib import Path

import numpy as np

from ..errors import DataError, MissingError
from .images import scale

_FILE = Path(__file__).with_name("mnist5k.npz")
_SHA256 = "a726012be374a1b1dfa0280e806b75e5e07d3ec17e08273236c3730ab36dbd13"


def mnist5k():
    """images (5000, 28, 28, 1) float32 in [−1, 1] (−1 is background), labels (5000,) int64, 500 of each class.

    Raises MissingError or DataError if the installed file is missing or damaged.
    """
    try:
        content = _FILE.read_bytes()
    except FileNotFoundError:
        raise MissingError(f"expected the bundled digits at {_FILE}, got no file; reinstall tinygan") from None
    found = hashlib.sha256(content).hexdigest()
    if found != _SHA256:
        raise DataError(f"expected SHA-256 {_SHA256[:12]}… of the bundled digits {_FILE}, got {found[:12]}…; "
                        f"reinstall tinygan")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return scale(file["images"]), file["labels"].astype(np.int64)
