"""IDX, the file format of MNIST: two zero bytes, a type code, the number of axes, their lengths, the values.

All numbers are big-endian. Files may be gzipped, whatever their name. Headers are not trusted: the size that a header
states is compared with what a file of that size can hold, and memory is allocated only for data that has been read.

Source: Y. LeCun, "The MNIST database", section File formats.
"""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError, MissingError
from .files import DEFLATE
from .images import scale

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_AXES = 32          # the maximum in every version of NumPy
_CHUNK = 1 << 20        # bytes read at a time


def read(path):
    """The array in an IDX file, gzipped or not, in native byte order.

    Raises MissingError, or DataError for anything but a complete IDX file: bad magic number, unknown type, an axis of
    length 0, fewer or more bytes than its header says, damaged compression.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not zipped:
                return _parse(path, file, size)
            with gzip.GzipFile(fileobj=file) as unzipped:
                return _parse(path, unzipped, size * DEFLATE)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(f"expected an IDX file at {path}, got none; check the path") from None
    except IsADirectoryError:
        raise DataError(f"expected an IDX file at {path}, got a folder; name a file in it, or use "
                        f"idx:{path}") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise _bad(path, "whole gzip data", f"damaged data ({error})") from None
    except OSError as error:
        raise MissingError(f"expected a readable IDX file at {str(path)[:200]}, got: {error.strerror or error}; "
                           f"check the path and its permissions") from None


def _parse(path, file, most):
    """most: an upper bound of the content's bytes, from the size of the file."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not magic[3]:
        raise _bad(path, "the magic number of IDX (00 00, type 08 … 0e, number of axes)", magic.hex(" ") or "no bytes")
    axes = file.read(4 * magic[3])
    if len(axes) < 4 * magic[3]:
        raise _bad(path, f"{magic[3]} axis lengths", f"only {len(axes) // 4}")
    dtype, shape = np.dtype(_TYPES[magic[2]]), tuple(int(n) for n in np.frombuffer(axes, ">u4"))
    if magic[3] > _MAX_AXES:
        raise _bad(path, f"at most {_MAX_AXES} axes", magic[3])
    if 0 in shape:   # no data; and beside a 0, any other length is consistent with no bytes
        raise _bad(path, "axes of length 1 or more", f"shape {shape}")
    size = math.prod(shape) * dtype.itemsize
    if size > most:
        raise _bad(path, f"{size} bytes of values for shape {shape}", f"a file that holds at most {most}")
    content = _take(file, size)
    if len(content) < size or file.read(1):
        raise _bad(path, f"{size} bytes of values for shape {shape}",
                   "more" if len(content) == size else f"only {len(content)}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _take(file, n):
    """Up to n bytes, in chunks: a single read(n) of a gzip file allocates n bytes before it has read any."""
    content = bytearray()
    while len(content) < n and (chunk := file.read(min(_CHUNK, n - len(content)))):
        content += chunk
    return content


def _bad(path, expected, got):
    return DataError(f"expected {expected} in the IDX file {path}, got {got}; is it damaged? download it again")


def load_folder(folder, held_out=False):
    """MNIST-like images and labels from a folder: (N, H, W, C) float32 in [−1, 1], and (N,) int64 or None.

    Takes train-images-idx3-ubyte before t10k-images-idx3-ubyte, or any one *images*idx* file (held_out: t10k first, and
    never train), with . or - before idx3, .gz or not, and the labels that go with it: those with the same beginning, in
    either spelling. Hidden files are ignored. Raises MissingError, DataError.
    """
    folder, first = Path(folder), "t10k" if held_out else "train"
    if not folder.is_dir():
        raise MissingError(f"expected a folder of IDX files, got {folder}, which is "
                           f"{'a file' if folder.exists() else 'not there'}; check the path")
    names = sorted(path.name for path in folder.iterdir() if path.name[0] != ".")
    found = sorted((name for name in names if "images" in name and "idx" in name),
                   key=lambda name: not name.startswith(first))     # a stable sort: these first, then by name
    if held_out:        # training images are not held out
        found = [name for name in found if not name.startswith("train")]
    if not found:
        raise MissingError(f"expected a file like {first}-images-idx3-ubyte or {first}-images-idx3-ubyte.gz in "
                           f"{folder}, got {', '.join(names[:5]) or 'an empty folder'}; put MNIST's files there")
    pixels = read(folder / found[0])
    try:
        images = scale(pixels)
    except DataError as error:   # its message does not name the file
        raise DataError(f"in {folder / found[0]}: {error}") from None
    stem = found[0].partition("images")[0] + "labels"
    path = next((folder / name for name in names if name.startswith(stem) and "idx" in name), None)
    if path is None:
        return images, None
    labels = read(path)
    if labels.shape != (len(images),):
        raise DataError(f"expected {len(images)} labels in {path}, one for each image, got shape {labels.shape}; "
                        f"images and labels are of different sets")
    if labels.dtype.kind not in "iu":
        raise DataError(f"expected labels in {path} as whole numbers, got {labels.dtype}; convert them to uint8")
    return images, labels.astype(np.int64)
