"""IDX, the file format of MNIST: two zero bytes, a type code, the number of axes, their lengths, the values.

All numbers are big-endian. Files may be gzipped, whatever their name. Files are not to be trusted: what a header
promises is compared with what is there before memory is taken for it.

Source: Y. LeCun, "The MNIST database", section File formats.
"""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError, MissingError
from ..files import atomic
from .images import scale

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_DEFLATE_LIMIT = 1032   # no deflated byte stands for more than this many


def read(path):
    """The array in an IDX file, gzipped or not, in native byte order.

    Raises MissingError, or DataError for anything but a whole IDX file: bad magic number, unknown type, fewer or
    more bytes than its header says, damaged compression.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not zipped:
                return _parse(path, file, size)
            with gzip.GzipFile(fileobj=file) as unzipped:
                return _parse(path, unzipped, size * _DEFLATE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(f"expected an IDX file at {path}, got none; check the path") from None
    except IsADirectoryError:
        raise DataError(f"expected an IDX file at {path}, got a folder; name a file in it, or use idx:{path}") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise _bad(path, "whole gzip data", f"damaged data ({error})") from None


def _parse(path, file, most):
    """most: how many bytes the content can have at the most, from the size of the file."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not magic[3]:
        raise _bad(path, "the magic number of IDX (00 00, type 08 … 0e, number of axes)", magic.hex(" ") or "no bytes")
    axes = file.read(4 * magic[3])
    if len(axes) < 4 * magic[3]:
        raise _bad(path, f"{magic[3]} axis lengths", f"only {len(axes) // 4}")
    dtype, shape = np.dtype(_TYPES[magic[2]]), tuple(int(n) for n in np.frombuffer(axes, ">u4"))
    if magic[3] > 32:
        raise _bad(path, "at most 32 axes", magic[3])
    promised = math.prod(shape) * dtype.itemsize
    if promised > most:
        raise _bad(path, f"{promised} bytes of values for shape {shape}", f"a file that holds at most {most}")
    content = file.read(promised)
    if len(content) < promised or file.read(1):
        raise _bad(path, f"{promised} bytes of values for shape {shape}",
                   "more" if len(content) == promised else f"only {len(content)}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _bad(path, expected, got):
    return DataError(f"expected {expected} in the IDX file {path}, got {got}; is it damaged? fetch it again")


def write(path, array):
    """Write an array as IDX, gzipped if the name ends in .gz; whole or not at all."""
    code = next((code for code, name in _TYPES.items() if np.dtype(name) == array.dtype.newbyteorder(">")), None)
    if code is None:
        raise DataError(f"expected an array of one of {', '.join(np.dtype(t).name for t in _TYPES.values())} for IDX, "
                        f"got {array.dtype}; convert it")
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = header + array.astype(array.dtype.newbyteorder(">")).tobytes()
    with atomic(path) as file:
        file.write(gzip.compress(content, mtime=0) if str(path).endswith(".gz") else content)


def load_folder(folder):
    """MNIST-like images and labels from a folder: (N, H, W, C) float32 in [−1, 1], and (N,) int64 or None.

    Takes train-images-idx3-ubyte before t10k-images-idx3-ubyte (or any one *images* file), with . or - before
    idx3, .gz or not, and the labels that go with it. Raises MissingError, DataError.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingError(f"expected a folder of IDX files, got {folder}, which is "
                           f"{'a file' if folder.exists() else 'not there'}; check the path")
    found = sorted((path for path in folder.iterdir() if "images" in path.name and "idx" in path.name),
                   key=lambda path: (not path.name.startswith("train"), path.name))
    if not found:
        raise MissingError(f"expected a file like train-images-idx3-ubyte or train-images-idx3-ubyte.gz in {folder}, "
                           f"got {', '.join(sorted(p.name for p in folder.iterdir())[:5]) or 'an empty folder'}; "
                           f"put MNIST's files there")
    images = scale(read(found[0]))
    stem = found[0].name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    path = next((folder / name for name in (stem, stem + ".gz") if (folder / name).exists()), None)
    if path is None:
        return images, None
    labels = read(path)
    if labels.shape != (len(images),):
        raise DataError(f"expected {len(images)} labels in {path}, one for each image, got shape {labels.shape}; "
                        f"images and labels are of different sets")
    return images, labels.astype(np.int64)
