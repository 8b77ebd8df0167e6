"""Atomic files, locked folders, and a reader of .npz and .npy files that trusts nothing in them."""

import io
import os
import secrets
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError, MissingError

DENSEST = 100   # largest compression ratio that is read by default; images of digits have about 8
DEFLATE = 1032  # largest compression ratio of the DEFLATE format


@contextmanager
def atomic(path, mode="wb", previous=None, new=False):
    """Open a temporary file for writing; at the end it is renamed to `path`, or, after an error, removed.

        with atomic("weights.npz") as file:
            np.savez(file, theta=theta)

    A reader of `path` gets the old content or the new one, never a part. The temporary file is in the same folder,
    since a rename is atomic only within a file system. Text is UTF-8.
    previous: a path under which the old content is kept; `path` exists at every moment.
    new: raise FileExistsError, without a change, if `path` exists by then.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, mode, **({} if "b" in mode else {"encoding": "utf-8", "newline": ""})) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if previous and path.exists():
            _keep(path, Path(previous))
        if new:
            _link(temporary, path)
            temporary.unlink()
        else:
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _keep(path, previous):
    """Give the file at `path` the second name `previous`, which may exist."""
    temporary = previous.with_name(f".{previous.name}.{secrets.token_hex(4)}.tmp")
    _link(path, temporary)
    os.replace(temporary, previous)


def _link(path, name):
    """Give a file a second name; FileExistsError if that exists."""
    try:
        os.link(path, name)
    except FileExistsError:
        raise
    except (OSError, AttributeError):       # a file system without hard links
        with open(name, "xb") as file:
            try:
                file.write(path.read_bytes())
            except BaseException:
                name.unlink()
                raise


def clean(folder, names):
    """Remove temporary files that killed writers of these names have left; call it only as their only writer."""
    for name in names:
        for path in Path(folder).glob(f".{name}.????????.tmp"):
            path.unlink(missing_ok=True)


@contextmanager
def locked(folder):
    """Lock a folder: ConfigError in a second process that tries. The lock ends with the process, however it ends."""
    try:
        import fcntl
    except ImportError:             # Windows, where a folder cannot be locked
        import msvcrt
        handle = os.open(Path(folder) / ".lock", os.O_RDWR | os.O_CREAT)
        lock = lambda: msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        handle = os.open(folder, os.O_RDONLY)       # the folder itself: files in it are replaced
        lock = lambda: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        try:
            lock()
        except OSError:
            raise ConfigError(f"another run trains in {folder}; wait for it, or name another folder") from None
        yield
    finally:
        os.close(handle)


def read_npz(path, what="arrays", densest=DENSEST):
    """All arrays of an .npz file: mapping name -> array. No pickle; memory is bounded by the size of the file.

    Raises MissingError if there is no file, DataError, naming the file, for anything wrong in it: damage (each member
    has a checksum), another format, objects, a member larger than `densest` times the file.
    """
    with _reading(path, what) as file, zipfile.ZipFile(file) as archive:
        limit = densest * os.fstat(file.fileno()).st_size
        return {_name(info.filename): _member(archive, info, limit) for info in archive.infolist()}


def read_npy(path, what="an array"):
    """The array of an .npy file, as `read_npz`."""
    with _reading(path, what) as file:
        return _array(file.read())


@contextmanager
def _reading(path, what):
    """The open file; every error in reading it becomes a MissingError or DataError."""
    try:
        with open(path, "rb") as file:
            yield file
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(f"expected {what} at {path}, got no file; is the path right, the run complete?") from None
    except IsADirectoryError:
        raise DataError(f"expected {what} at {path}, got a folder") from None
    except PermissionError:
        raise DataError(f"expected {what} at {path}, got a file that may not be read; change its permissions") from None
    except Exception as error:      # zipfile and NumPy raise a dozen types for damaged files
        raise DataError(f"expected {what} in {path}, got a damaged or foreign file "
                        f"({' '.join(str(error).split())[:100] or type(error).__name__}); use another copy") from None


def _name(filename):
    if not filename.endswith(".npy"):
        raise ValueError(f"a member {filename[:40]!r} that is not an array")
    return filename.removesuffix(".npy")


def _member(archive, info, limit):
    if info.file_size > limit:
        raise ValueError(f"{info.filename[:40]!r} claims {info.file_size} bytes")
    return _array(archive.read(info))    # checks the checksum


def _array(content):
    """The array in the content of an .npy file, whose length must match its header."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, fortran, dtype = read_header[version](file)
    if dtype.hasobject:
        raise ValueError("objects, which need pickle")
    start, size = file.tell(), dtype.itemsize * int(np.prod(shape, dtype=object))
    if size != len(content) - start:
        raise ValueError(f"{len(content) - start} bytes for shape {shape}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if fortran else "C").copy()
