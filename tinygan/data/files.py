"""Files that are whole or not there: written to a temporary name beside their place, flushed, renamed."""

import io
import os
import secrets
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError, MissingError

DENSEST = 100   # how many times its size a file may unfold to: digits do about eight times, …
DEFLATE = 1032  # … and nothing more than this: no deflated byte stands for more


@contextmanager
def atomic(path, mode="wb", previous=None, new=False):
    """Open a temporary file for writing; on leaving, it takes the place of `path`, or, after an error, is removed.

        with atomic("weights.npz") as file:
            np.savez(file, theta=theta)

    Whoever reads `path` sees the old content or the new one, never half of it. The temporary file lies in the
    same folder, since a rename is atomic only within a file system. Text is UTF-8.
    previous: a path under which the old content is kept; there is a whole file at `path` at every moment.
    new: raise FileExistsError, and leave it alone, if there is a file by then.
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
    """A second name for the file at `path`, in the place of `previous`."""
    temporary = previous.with_name(f".{previous.name}.{secrets.token_hex(4)}.tmp")
    _link(path, temporary)
    os.replace(temporary, previous)


def _link(path, name):
    """A second name for a file; FileExistsError if that name is taken."""
    try:
        os.link(path, name)
    except FileExistsError:
        raise
    except (OSError, AttributeError):       # a system without links
        with open(name, "xb") as file:
            try:
                file.write(path.read_bytes())
            except BaseException:
                name.unlink()
                raise


def clean(folder, names):
    """Remove what writers of files of these names left when they were killed; for whoever alone writes them."""
    for name in names:
        for path in Path(folder).glob(f".{name}.????????.tmp"):
            path.unlink(missing_ok=True)


@contextmanager
def locked(folder):
    """Hold a folder: a second process that tries gets a ConfigError. The lock ends with the process, in any way."""
    try:
        import fcntl
    except ImportError:             # Windows, where a folder is no file
        import msvcrt
        handle = os.open(Path(folder) / ".lock", os.O_RDWR | os.O_CREAT)
        lock = lambda: msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        handle = os.open(folder, os.O_RDONLY)       # itself: files in it are replaced by others of their name
        lock = lambda: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        try:
            lock()
        except OSError:
            raise ConfigError(f"another run is at work in {folder}; wait for it, or name another folder") from None
        yield
    finally:
        os.close(handle)


def read_npz(path, what="arrays", densest=DENSEST):
    """All arrays of an .npz file: mapping name -> array. No pickle; no more memory than the file accounts for.

    Raises MissingError when there is no file, DataError, naming the file, for whatever is wrong with it: damage (each
    member has a checksum), another format, objects, a member that unfolds to more than `densest` times the file.
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
    """The open file; every way in which reading it can fail becomes one clear error."""
    try:
        with open(path, "rb") as file:
            yield file
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(f"expected {what} at {path}, got no file; is the path right, the run complete?") from None
    except IsADirectoryError:
        raise DataError(f"expected {what} at {path}, got a folder") from None
    except PermissionError:
        raise DataError(f"expected {what} at {path}, got a file that may not be read; change its permissions") from None
    except Exception as error:      # zipfile and NumPy raise a dozen kinds, one for each kind of damage
        raise DataError(f"expected {what} in {path}, got a damaged or foreign file "
                        f"({' '.join(str(error).split())[:100] or type(error).__name__}); use another copy") from None


def _name(filename):
    if not filename.endswith(".npy"):
        raise ValueError(f"a member {filename[:40]!r} that is no array")
    return filename.removesuffix(".npy")


def _member(archive, info, limit):
    if info.file_size > limit:
        raise ValueError(f"{info.filename[:40]!r} claims {info.file_size} bytes")
    return _array(archive.read(info))    # checks the checksum


def _array(content):
    """The array in the content of an .npy file, which must be as long as its header says."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, fortran, dtype = read_header[version](file)
    if dtype.hasobject:
        raise ValueError("objects, that only pickle could read")
    start, size = file.tell(), dtype.itemsize * int(np.prod(shape, dtype=object))
    if size != len(content) - start:
        raise ValueError(f"{len(content) - start} bytes for shape {shape}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if fortran else "C").copy()
