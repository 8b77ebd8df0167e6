"""Weights, and whole states of a run, in plain .npz files: no pickle, whole or not there.

Weights: the network, a dot, and the name in its params or state: "G.0.W", "G.1.gamma", "G.state.1.mean", … Shapes and
dtypes are those of the networks.

A state is any number of arrays and one text of JSON, "meta", which names the format and its version. The one before
is kept beside it, and whoever reads falls back to it.
"""

import json
from pathlib import Path

import numpy as np

from .. import backend
from ..errors import DataError, MissingError
from ..data.files import atomic, read_npz

FORMAT, VERSION = "tinygan state", 1


def arrays_of(networks):
    """Name -> array, for all networks (mapping name -> Sequential); the very arrays."""
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
    """Read into the networks, in place: load("weights.npz", G=G). Names of other networks are passed over.

    Raises MissingError or DataError, naming the file; then nothing has been changed.
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
    """Write arrays (mapping name -> host array) and meta (fit for JSON); the state before stays as *.previous.npz."""
    text = json.dumps({"format": FORMAT, "version": VERSION, **meta, "arrays": list(arrays)}).encode()
    with atomic(path, previous=previous(path)) as file:
        np.savez(file, meta=np.frombuffer(text, np.uint8), **arrays)


def previous(path):
    """Where the state before the one at `path` is kept."""
    return Path(path).with_suffix(".previous.npz")


def load_state(path, warn=None):
    """(arrays, meta) of the state at `path`, or, if that is damaged or gone, of the one before.

    warn: a function of one line of text, told when it had to fall back. Raises MissingError or DataError, naming the
    file, when neither can be read; DataError for a newer format.
    """
    try:
        return _state(path)
    except (MissingError, DataError) as error:
        if not previous(path).exists() or isinstance(error, Newer):
            raise
        found = _state(previous(path))
        if warn:
            warn(f"{error}; went back to {previous(path).name}")
        return found


class Newer(DataError):
    """A file of a format that came after this version of tinygan."""


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
    if list(arrays) != meta.pop("arrays", None):        # a directory of the archive that lost some
        raise DataError(f"expected all arrays of a checkpoint in {path}, got {len(arrays)} that are not those it "
                        f"lists; use another copy")
    return arrays, meta
