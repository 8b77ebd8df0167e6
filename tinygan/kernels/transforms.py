"""Convolution at each frequency: the trilinear form of ops/conv.py with fewer multiplications.

Along one axis the form ties x[j], w[u], dy[i] together where j = i + u − p. On a cycle of L points, where L is
large enough that no other j meets the same point, that tie is a sum over frequencies f,

    [j = i + u − p]  =  1/L Σ_f  e^{2πi f(i+u−p−j)/L},       so      T = 1/L Σ_f  conj(ŷ_f) x̂_f ŵ_f

with ŷ_f = Σ_i dy[i] e^{−2πi f i/L}, x̂_f likewise, ŵ_f = Σ_u w[u] e^{+2πi f(u−p)/L}. In two dimensions f is a pair.
Everything is real, so f and −f give conjugate terms: one of each pair is enough, twice its real part. A complex
product takes three real ones (Gauss):

    k₁ = ŵr(x̂r + x̂i),  k₂ = x̂r(ŵi − ŵr),  k₃ = x̂i(ŵr + ŵi):   x̂ŵ = (k₁ − k₃) + i(k₁ + k₂)
    Re conj(ŷ) x̂ŵ  =  (ŷr + ŷi) k₁ + ŷi k₂ − ŷr k₃

Written as rows of three real matrices A, B, C this is a decomposition of T into R terms,

    T = Σ_{r<R}  (A dy)_r (B x)_r (C w)_r          each factor still a matrix over samples and channels

and, as in the reference, the three maps are its derivatives. With X = B x (R, N, c), Y = A dy (R, N, o) and
V = C w (R, c, o), all of them matrix products:

    y = Aᵀ (X V)         dx = Bᵀ (Y Vᵀ)         dW = Cᵀ (Xᵀ Y)

The third row of each complex frequency is the sum (in A the difference) of the two before, so that much of A and B
is an addition; on a device, where a pass over memory should cost more than such products, all are rows of the matrices.

A 5×5 kernel on a 7×7 map needs L = 9 and R = 121, against 1,225 products of pixel and tap. Sines and cosines keep
the rounding error at that of the direct sum: relative 1e-6 in float32. Source: Mathieu, Henaff & LeCun 2014; the
products by Winograd's and Lavin & Gray's view (2016) of such forms as transforms around one matrix product.

Stride s: pixels apart by s meet the same taps. x is cut into s² phases, which become channels, and the kernel
with it; what is left has stride 1 (`phases.unstride`).
"""

from contextlib import contextmanager
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from ..backend import array_module
from .arrays import buffer, fresh, in_parts, matmul
from .filters import gradient, own_taps, transformed
from .phases import unstride
from .threads import NUMBER
from .workspace import kept_of

CHUNK = 128     # samples that the host transforms at a time: what they need stays small, whatever the batch


def conv(x, W, g):
    """y = ∂T/∂dy.  x (N, H, W, C), W (kh, kw, C, O), g: Geometry over (H, W) -> y (N, OH, OW, O); all float32."""
    return _run(g, x=x, W=W, want="y")


def conv_input(dy, W, g):
    """dx = ∂T/∂x, the adjoint of conv.  dy (N, OH, OW, O), W (kh, kw, C, O) -> dx (N, H, W, C)."""
    return _run(g, dy=dy, W=W, want="x")


def conv_weight(x, dy, g):
    """dW = ∂T/∂W.  x (N, H, W, C), dy (N, OH, OW, O) -> dW (kh, kw, C, O)."""
    return _run(g, x=x, dy=dy)


def _run(g, x=None, dy=None, W=None, want=None):
    """The map to "y" or "x" that is wanted; without one, dW. A chunk of samples at a time."""
    like = dy if x is None else x
    n, (A, B, _) = len(like), _matrices(unstride(g), array_module(like))
    if want is None:
        dV = None
        for part in _chunks(like):
            X, Y = _hat(B, x, part, "x", g), _hat(A, dy, part, "y")
            dV = _add(dV, _products(X.transpose(0, 2, 1), Y, "v" if dV is None else "v of a chunk"))
        return gradient(dV, g, _taps(g, array_module(dV)))
    V = transformed(W, g, "frequencies", _taps(g, array_module(W)))
    out = fresh((n, *(g.out if want == "y" else g.size), W.shape[3 if want == "y" else 2]), W)
    for part in _chunks(like):
        if want == "y":
            A.transpose(_products(_hat(B, x, part, "x", g), V, "y"), out[part])
        else:
            B.transpose(_products(_hat(A, dy, part, "y"), V.transpose(0, 2, 1), "x"), out[part], g)
    return out


def _chunks(x):
    """The samples of x in parts; on a device all at once, to keep it busy."""
    size = CHUNK if type(x) is np.ndarray else len(x) or 1
    return [slice(i, i + size) for i in range(0, len(x), size)]


def _hat(transform, array, part, name, g=None):
    """The transform of array[part] in the buffer of this name; if it is shared and still there, as it is."""
    kept = kept_of(array)
    if kept is None or len(array[part]) < len(array):
        _forget(name)
        return transform.apply(array[part], name, g)
    if kept[1] is None or kept[1][0] is not transform:
        kept[1] = (transform, name, transform.apply(array, name, g))
    return kept[1][2]


def _forget(name):
    """The buffer of this name is about to be overwritten."""
    kept = kept_of()
    if kept is not None and kept[1] is not None and kept[1][1] == name:
        kept[1] = None


def _products(P, Q, name):
    """The matrix product at each frequency, in the buffer of this name."""
    _forget(name)
    out = buffer(name, (len(P), P.shape[1], Q.shape[2]), P)
    in_parts(lambda rows: matmul(P[rows], Q[rows], out[rows]), len(P), P, prod(P.shape[1:]) * Q.shape[2])
    return out


def _add(total, more):
    if total is None:
        return more
    total += more
    return total


# The matrices A, B, C of a stride-1 geometry.

class _Transform(NamedTuple):
    """A or B: rows (R′, P) of real frequencies, then real parts, then imaginary parts; sums of these may follow."""
    rows: np.ndarray
    pairs: int      # how many sums are left to additions, each of two of the last rows
    sign: int       # first + sign·second

    def apply(self, x, name, g=None):
        """The R rows on the pixels of x (N, …P…, c), cut into the phases of g -> (R, N, c), in the buffer `name`."""
        n, c, k, xp = len(x), x.shape[-1] * (1 if g is None else prod(g.stride)), len(self.rows), array_module(x)
        out = buffer(name, (k + self.pairs, n, c), x)
        p, q, third = self._three(out)

        def task(part):
            pixels = _phases(x[part], g).reshape(-1, self.rows.shape[1], c)
            matmul(self.rows, pixels, out[:k, part].transpose(1, 0, 2))
            (xp.add if self.sign > 0 else xp.subtract)(p[:, part], q[:, part], out=third[:, part])
        in_parts(task, n, x, (self.rows.size + NUMBER * k) * c)
        return out

    def transpose(self, X, out, g=None):
        """The transpose of `apply`: X (R, N, c), overwritten, -> out (N, …P…, c), put together from the phases of g."""
        k, (p, q, third), xp = len(self.rows), self._three(X), array_module(X)

        def task(part):
            xp.add(p[:, part], third[:, part], out=p[:, part])
            (xp.add if self.sign > 0 else xp.subtract)(q[:, part], third[:, part], out=q[:, part])
            X_rows = X[:k, part].transpose(1, 0, 2)
            with _phases_of(out[part], g) as phases:
                matmul(self.rows.T, X_rows, phases.reshape(len(X_rows), -1, X.shape[-1]))
        in_parts(task, len(out), X, (self.rows.size + NUMBER * k) * X.shape[-1])

    def _three(self, X):
        k, h = len(self.rows), self.pairs
        return X[k - 2 * h:k - h], X[k - h:k], X[k:]


def cycle(g):
    """L for both axes: the least at which i + u − p never meets another pixel than its own."""
    return tuple(max(n + p, o + k - 1 - p, n) for n, k, (p, _), o in zip(g.size, g.kernel, g.pads, g.out))


@lru_cache(maxsize=None)        # for good: a captured step reads them where they lie
def _matrices(g, xp):
    """A over (OH·OW) and B over (H·W) as transforms, C (R, kh·kw), float32. Rows: real, then k₂, k₃, k₁."""
    lengths = cycle(g)
    wave = lambda starts, counts, sign: _pair(*(
        np.exp(sign * 2j * np.pi * np.outer(np.arange(L), start + np.arange(n)) / L)
        for L, start, n in zip(lengths, starts, counts)))
    y, x = wave((0, 0), g.out, -1), wave((0, 0), g.size, -1)
    w = wave([-p for p, _ in g.pads], g.kernel, +1) / prod(lengths)
    f = np.indices(lengths).reshape(2, -1)
    own, other = (np.ravel_multi_index(rows, lengths) for rows in (f, -f % np.array(lengths)[:, None]))
    real, half = own == other, own < other      # one of f and −f; those that are their own partner are real
    (a, b, c), (A, B, C) = ([m[half] for m in (y, x, w)], [m[real].real for m in (y, x, w)])
    stack = lambda *groups: xp.asarray(np.concatenate(groups).astype(np.float32))

    def transform(real, p, q, sign):
        sums = [] if xp is np else [p + sign * q]
        return _Transform(stack(real, p, q, *sums), 0 if sums else len(p), sign)
    return (transform(A, 2 * a.imag, -2 * a.real, -1), transform(B, b.real, b.imag, +1),
            stack(C, c.imag - c.real, c.real + c.imag, c.real))


def _pair(rows, columns):
    """The waves of both axes together: (L, n), (M, m) -> (L·M, n·m)."""
    return np.einsum("fi,gj->fgij", rows, columns).reshape(len(rows) * len(columns), -1)


# Strides.

@lru_cache(maxsize=None)
def _taps(g, xp):
    """`filters.own_taps` of C."""
    return own_taps(_matrices(unstride(g), np)[2], g, xp)


def _phases(x, g):
    """x (N, H, W, C) -> (N, ⌈H/s⌉, ⌈W/s⌉, s·s·C), zero beyond the border; x itself if the stride is 1."""
    if g is None or g.stride == (1, 1):
        return x
    (h, w), (s, t), (n, c) = unstride(g).size, g.stride, (len(x), x.shape[-1])
    if (h * s, w * t) != g.size:
        padded = array_module(x).zeros((n, h * s, w * t, c), dtype=x.dtype)
        padded[:, :g.size[0], :g.size[1]] = x
        x = padded
    out = buffer("phases", (n, h, w, s, t, c), x)
    out[...] = x.reshape(n, h, s, w, t, c).transpose(0, 1, 3, 2, 4, 5)
    return out.reshape(n, h, w, -1)


@contextmanager
def _phases_of(out, g):
    """An array for the phases of out (N, H, W, C), that are put together into it at the end."""
    if g is None or g.stride == (1, 1):
        yield out
        return
    (h, w), (s, t), (n, c) = unstride(g).size, g.stride, (len(out), out.shape[-1])
    phases = buffer("phases", (n, h, w, s, t, c), out)
    yield phases
    apart = phases.transpose(0, 1, 3, 2, 4, 5)      # (n, h, s, w, t, c)
    if (h * s, w * t) == g.size:
        out.reshape(apart.shape)[...] = apart
    else:
        out[...] = apart.reshape(n, h * s, w * t, c)[:, :g.size[0], :g.size[1]]
