"""Weights, and states of a run, in plain .npz files: no pickle, written atomically.

The name of an array of weights is the network, a dot, and the name in its params or state: "G.0.W", "G.1.gamma",
"G.state.1.mean", … Shapes and dtypes are those of the networks.

A state is any number of arrays and one JSON text, "meta", which names the format and its version. The previous state
is kept beside it, and is read when the last one is damaged.
"""

import json
from pathlib import Path

import numpy as np

from .. import backend
from ..errors import DataError, MissingError
from ..data.files import atomic, read_npz

FORMAT, VERSION = "tinygan state", 1


def arrays_of(networks):
    """Name -> array, for all networks (mapping name -> Sequential); the arrays themselves, not copies."""
    found = {}
    for prefix, net in networks.items():
        found.update({f"{prefix}.{name}": array for name, array in net.params.items()})
        found.update({f"{prefix}.state.{name}": array for name, array in net.state.items()})
    return found


def save(path, **networks):
    """Write parameters and state of the networks: save("weights.npz", G=G, D=D)."""
    with atomic(path) as file:
        np.savez(file, **{name: backend.asnumpy(array) for name, array in arrays_of(networks).items()})


def load(path, **networks):
    """Read into the networks, in place: load("weights.npz", G=G). Names of other networks are ignored.

    Raises MissingError or DataError, naming the file; then no network has been changed.
    """
    put(arrays_of(networks), read_npz(path, "weights as written by tinygan"), path)


def put(wanted, stored, path):
    """Copy stored arrays into the wanted ones (mappings of names), all or none; DataError if one does not fit."""
    for name, array in wanted.items():
        if name not in stored:
            raise DataError(f"expected {name!r} in {path}, got a file without it; is it of another model?")
        if stored[name].shape != array.shape or stored[name].dtype.kind != "f":
            raise DataError(f"expected {name!r} of shape {array.shape} in {path}, got {stored[name].dtype} "
                            f"{stored[name].shape}; is it of another model?")
    for name, array in wanted.items():
        array[...] = backend.to(stored[name].astype(array.dtype), backend.name_of(array))


def save_state(path, arrays, meta):
    """Write arrays (mapping name -> host array) and meta (for JSON); the previous state is kept as *.previous.npz."""
    text = json.dumps({"format": FORMAT, "version": VERSION, **meta, "arrays": list(arrays)}).encode()
    with atomic(path, previous=previous(path)) as file:
        np.savez(file, meta=np.frombuffer(text, np.uint8), **arrays)


def previous(path):
    """The path of the state that was written before the one at `path`."""
    return Path(path).with_suffix(".previous.npz")


def load_state(path, warn=None):
    """(arrays, meta) of the state at `path`, or of the previous one if that is damaged or missing.

    warn: a function of one line of text, called if the previous one is used. Raises MissingError or DataError, naming
    the file, if neither can be read; DataError for a newer format.
    """
    try:
        return _state(path)
    except (MissingError, DataError) as error:
        if not previous(path).exists() or isinstance(error, Newer):
            raise
        found = _state(previous(path))
        if warn:
            warn(f"{error}; using {previous(path).name}")
        return found


class Newer(DataError):
    """A file in a newer format than this version of tinygan reads."""


def _state(path):
    arrays = read_npz(path, "a checkpoint")
    try:
        meta = json.loads(arrays.pop("meta").tobytes())
        version = meta["version"] if meta["format"] == FORMAT else None
    except (KeyError, ValueError, TypeError, RecursionError):
        version = None
    if not isinstance(version, int):
        raise DataError(f"expected a checkpoint of tinygan in {path}, got another kind of file; name a run's folder")
    if version > VERSION:
        raise Newer(f"expected a checkpoint of version {VERSION} in {path}, got version {version}, of a newer tinygan; "
                    f"update tinygan")
    if list(arrays) != meta.pop("arrays", None):        # the archive's directory lacks some
        raise DataError(f"expected all arrays of a checkpoint in {path}, got {len(arrays)} that differ from its list; "
                        f"use another copy")
    return arrays, meta
