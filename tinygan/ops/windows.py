"""Sliding windows: the geometry that convolution and pooling share.

Output pixel i looks at the input pixels  s·i + u − p,  u = 0 … k−1  (stride s, padding p before).
Along one axis of length n with padding (p, q):   out = ⌊(n + p + q − k)/s⌋ + 1.

Source: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning"; "same" padding
as TensorFlow defines it: out = ⌈n/s⌉, an odd pixel of padding at the bottom right.
"""

from functools import lru_cache
from numbers import Integral
from typing import NamedTuple

from ..backend import array_module
from ..errors import ConfigError, ShapeError


class Geometry(NamedTuple):
    """Everything about a set of windows that does not depend on the data; all pairs are (rows, columns)."""
    size: tuple     # of the input, unpadded
    kernel: tuple
    stride: tuple
    pads: tuple     # ((top, bottom), (left, right))
    out: tuple      # how many windows

    def taps(self):
        """All (u, v, rows, columns): the slices of padded pixels that tap (u, v) of all windows reads."""
        return _taps(self)


@lru_cache(maxsize=1024)
def geometry(size, kernel, stride, padding):
    """The Geometry of windows over an input of `size` (H, W), a tuple; computed once for each set of arguments.

    kernel, stride: pairs of int; padding: as `parse_padding` returns it.
    Raises ShapeError when not one window fits.
    """
    if padding == "same":
        pads = tuple(_same(n, k, s) for n, k, s in zip(size, kernel, stride))
    elif padding == "valid":
        pads = ((0, 0), (0, 0))
    else:
        pads = padding
    out = tuple((n + sum(p) - k) // s + 1 for n, k, s, p in zip(size, kernel, stride, pads))
    if min(out) < 1:
        raise ShapeError(f"expected an input at least as large as the kernel {kernel}, got {size} "
                         f"with padding {pads}; enlarge the input or the padding, or shrink the kernel")
    return Geometry(size, kernel, stride, pads, out)


@lru_cache(maxsize=1024)
def _taps(g):
    rows, columns = ([slice(tap, tap + s * (o - 1) + 1, s) for tap in range(k)]
                     for k, s, o in zip(g.kernel, g.stride, g.out))
    return tuple((u, v, rows[u], columns[v]) for u in range(g.kernel[0]) for v in range(g.kernel[1]))


def _same(n, k, s):
    missing = max((-(-n // s) - 1) * s + k - n, 0)
    return missing // 2, missing - missing // 2


def parse_pair(name, value, least=1):
    """An int, or a pair of them, as a pair; ConfigError unless each is an int ≥ least."""
    pair = tuple(value) if _is_sequence(value) else (value, value)
    if len(pair) != 2 or not all(isinstance(n, Integral) and not isinstance(n, bool) and n >= least for n in pair):
        raise ConfigError(f"expected {name} to be an integer ≥ {least} or a pair of them, got {value!r}")
    return tuple(map(int, pair))


def parse_padding(padding):
    """"same" | "valid" | p | (ph, pw) | ((top, bottom), (left, right))  ->  "same" or pairs of pairs."""
    if padding in ("same", "valid"):
        return padding
    if _is_sequence(padding) and len(padding) == 2 and all(map(_is_sequence, padding)):
        return tuple(parse_pair("padding", p, least=0) for p in padding)
    try:
        ph, pw = parse_pair("padding", padding, least=0)
    except ConfigError:
        raise ConfigError(f"expected padding 'same', 'valid', p, (ph, pw) or ((top, bottom), (left, right)) "
                          f"with integers ≥ 0, got {padding!r}") from None
    return (ph, ph), (pw, pw)


def _is_sequence(value):
    return isinstance(value, (tuple, list))


def pad(x, pads, value=0.0):
    """x (N, H, W, C) with `value` around it; x itself where there is nothing to add."""
    (top, bottom), (left, right) = pads
    if not (top or bottom or left or right):
        return x
    n, h, w, c = x.shape
    y = array_module(x).full((n, top + h + bottom, left + w + right, c), value, dtype=x.dtype)
    y[:, top:top + h, left:left + w] = x
    return y


def crop(y, pads, size):
    """The adjoint of `pad`: the inner pixels of y, of height and width `size` (a view)."""
    top, left = pads[0][0], pads[1][0]
    return y[:, top:top + size[0], left:left + size[1]]


def windows(x, g, value=0.0):
    """All windows of x (N, H, W, C) as a view of the padded x: (N, OH, OW, kh, kw, C)."""
    x = pad(x, g.pads, value)
    n, _, _, c = x.shape
    sn, sh, sw, sc = x.strides
    strides = (sn, sh * g.stride[0], sw * g.stride[1], sh, sw, sc)
    return array_module(x).lib.stride_tricks.as_strided(x, (n, *g.out, *g.kernel, c), strides)


def add_windows(d, g):
    """The adjoint of `windows`: each pixel receives the sum over all windows that it stood in.

    d (N, OH, OW, kh, kw, C) -> (N, H, W, C). A loop over taps: within one tap no two windows contain the same pixel, so
    each addition is a plain strided one and the order of the sum is fixed.
    """
    n, c = d.shape[0], d.shape[-1]
    padded = [size + sum(p) for size, p in zip(g.size, g.pads)]
    x = array_module(d).zeros((n, *padded, c), dtype=d.dtype)
    for u, v, rows, columns in g.taps():
        x[:, rows, columns] += d[:, :, :, u, v]
    return crop(x, g.pads, g.size)
