"""Weights in plain .npz files: no pickle, whole or not there.

Names: the network, a dot, and the name in its params or state: "G.0.W", "G.1.gamma", "G.state.1.mean", …
Shapes and dtypes are those of the networks.
"""

import zipfile
import zlib

import numpy as np

from . import backend
from .errors import DataError, MissingError
from .files import atomic


def _arrays(networks):
    """Name -> array, for all networks (mapping name -> Sequential)."""
    found = {}
    for prefix, net in networks.items():
        found.update({f"{prefix}.{name}": array for name, array in net.params.items()})
        found.update({f"{prefix}.state.{name}": array for name, array in net.state.items()})
    return found


def save(path, **networks):
    """Write parameters and state of the networks: save("weights.npz", G=G, D=D)."""
    with atomic(path) as file:
        np.savez(file, **{name: backend.asnumpy(array) for name, array in _arrays(networks).items()})


def load(path, **networks):
    """Read into the networks, in place: load("weights.npz", G=G). Names of other networks are passed over.

    Raises MissingError or DataError, naming the file; then nothing has been changed.
    """
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            stored = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise MissingError(f"expected a file of weights at {path}, got none; is the run complete?") from None
    except (ValueError, TypeError, AttributeError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error,
            NotImplementedError, MemoryError) as error:   # np.load raises each of them on one kind of damage
        raise DataError(f"expected weights as written by tinygan in {path}, got a damaged or foreign file "
                        f"({' '.join(str(error).split())[:100]}); use another copy") from None
    wanted = _arrays(networks)
    for name, array in wanted.items():
        if name not in stored:
            raise DataError(f"expected {name!r} in {path}, got a file without it; is it of another model?")
        if stored[name].shape != array.shape or stored[name].dtype.kind != "f":
            raise DataError(f"expected {name!r} of shape {array.shape} in {path}, got {stored[name].dtype} "
                            f"{stored[name].shape}; is it of another model?")
    for name, array in wanted.items():
        array[...] = backend.to(stored[name].astype(array.dtype), backend.name_of(array))
