"""The ops of a training step but convolutions on NumPy float32, in blocks: each block passes through all of an op's
stages while it is in a core's cache, in place, and the cores share the blocks. Names, arguments and results are those
in `ops/`.
"""

from math import gcd

import numpy as np

from ..ops.random import scramble, threshold
from .threads import BLOCK, NUMBER, blocks, parallel
from .workspace import scratch

WIDE = 256          # numbers in a row of a pointwise function, about: each row costs a loop


# Products.

def matmul(a, b):
    """a (m, k) @ b (k, n), the longer side of the result shared among the threads."""
    m, n = a.shape[0], b.shape[1]
    if a.shape[1] == 1:         # BLAS takes several times as long for a column times a row
        return a * b
    y, longer, work = np.empty((m, n), a.dtype), max(m, n), min(m, n) * a.shape[1]
    if m >= n:
        parallel(lambda part: np.matmul(a[part], b, out=y[part]), longer, work)
    else:
        parallel(lambda part: np.matmul(a, b[:, part], out=y[:, part]), longer, work)
    return y


# Pointwise.

def leaky_relu(x, slope):
    """x where x > 0, else slope·x."""
    y, flat, larger = np.empty(x.shape, x.dtype), x.reshape(-1), np.maximum if slope <= 1 else np.minimum
    out = y.reshape(-1)

    def rule(i):
        np.multiply(flat[i], slope, out=out[i])
        larger(flat[i], out[i], out=out[i])
    blocks(rule, x.size)
    return y


def leaky_relu_d1(t, x, slope):
    """t where x > 0, else slope·t."""
    y, flat, t, slope = np.empty(x.shape, x.dtype), x.reshape(-1), t.reshape(-1), x.dtype.type(slope)
    out = y.reshape(-1)

    def rule(i):
        above = np.greater(flat[i], 0, out=scratch("above", flat[i].shape, np.bool_))
        if slope <= 1:
            np.copyto(out[i], above)
            np.clip(out[i], slope, 1, out=out[i])   # 1 or slope, exactly; many times faster than where
        else:
            np.multiply(~above, slope, out=out[i])
            out[i] += above
        out[i] *= t[i]
    blocks(rule, x.size)
    return y


def dropout(key, x, rate):
    """y = x·mask, and the mask, with the same bits as in ops/random.py."""
    limit, scale = threshold(1 - rate), x.dtype.type(1 / (1 - rate))
    if limit == 2**16:
        return x * scale, np.full(x.shape, scale)
    y, mask = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    flat, out, masks = x.reshape(-1), y.reshape(-1), mask.reshape(-1)

    def rule(i):    # over counters, each of which serves two elements
        counter, spare = (scratch(name, (i.stop - i.start,), np.uint32) for name in ("counter", "spare"))
        np.copyto(counter, np.arange(i.start, i.stop, dtype=np.uint32))
        two = slice(2 * i.start, min(2 * i.stop, x.size))
        bits = scramble(counter, key, spare).view(np.uint16)[:two.stop - two.start]
        np.copyto(masks[two], bits < limit)     # then the scale: several times faster than to multiply what is true
        masks[two] *= scale
        np.multiply(flat[two], masks[two], out=out[two])
    blocks(rule, (x.size + 1) // 2, 2)
    return y, mask


def add_bias(y, b):
    """y + b."""
    out, (rows, b) = np.empty(y.shape, y.dtype), _rows(y, b)
    out_rows = _rows(out)
    blocks(lambda i: np.add(rows[i], b, out=out_rows[i]), len(rows), rows.shape[1])
    return out


def sum_rows(x):
    """Σ x over all axes but the last."""
    return next(_of_blocks(lambda i, rows=_rows(x): [rows[i].sum(0)], _rows(x), x.shape[-1])).sum(0)


def multiply(x, y):
    """x·y, element by element."""
    out, a, b = np.empty(x.shape, x.dtype), x.reshape(-1), y.reshape(-1)
    flat = out.reshape(-1)
    blocks(lambda i: np.multiply(a[i], b[i], out=flat[i]), x.size)
    return out


# Batch normalisation, on the rows (…, C) of an array.

def _rows(x, *vectors):
    """x (…, C) with several of its rows in one, as each costs a loop; and vectors (C,) repeated as often."""
    c = x.shape[-1]
    k = gcd(x.size // c, 1 << (max(1, WIDE // c).bit_length() - 1)) if x.size else 1
    rows = x.reshape(-1, k * c)
    return (rows, *(np.concatenate((v,) * k) if k > 1 else v for v in vectors)) if vectors else rows


def _of_blocks(term, rows, c):
    """term(block of rows), a list of vectors, for all blocks -> as many arrays (…, C), rows of parts of blocks."""
    size = max(1, BLOCK // rows.shape[1])
    found = [None] * -(-len(rows) // size)

    def task(part):
        for k in range(part.start, part.stop):
            found[k] = term(slice(k * size, (k + 1) * size))
    parallel(task, len(found), NUMBER * size * rows.shape[1])
    return (np.concatenate(terms).reshape(-1, c) for terms in zip(*found))


def moments(x):
    """Mean and biased variance of x over all axes but the last, in one pass over memory.

    Each part about its own mean; about the common one its squares gain its rows times the distance of the means².
    """
    rows = _rows(x)

    def of_block(i):
        n, mean = len(rows[i]), rows[i].sum(0) / np.float32(len(rows[i]))
        centred = np.subtract(rows[i], mean, out=scratch("centred", rows[i].shape))
        return mean, np.einsum("ij,ij->j", centred, centred), np.full(mean.shape, n, np.float32)
    means, squares, n = _of_blocks(of_block, rows, x.shape[-1])
    mean, m = (n * means).sum(0), x.size // x.shape[-1]
    mean /= m
    return mean, (squares + n * (means - mean)**2).sum(0) / m


def normalize(x, mean, s, gamma, beta):
    """y = γ·x̂ + β and x̂ = (x − mean)/s."""
    y, xhat = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    rows, mean, r, gamma, beta = _rows(x, mean, 1 / s, gamma, beta)
    y_rows, xhat_rows = _rows(y), _rows(xhat)

    def rule(i):
        np.subtract(rows[i], mean, out=xhat_rows[i])
        xhat_rows[i] *= r
        np.multiply(xhat_rows[i], gamma, out=y_rows[i])
        y_rows[i] += beta
    blocks(rule, len(rows), rows.shape[1])
    return y, xhat


def project(t, xhat, s):
    """P(t) = (t − mean t − x̂·mean(x̂ t))/s."""
    return _project(t, xhat, 1 / s, *_sums(t, xhat))


def normalize_backward(dy, xhat, s, gamma):
    """dx = P(γ dy) = γ P(dy), dγ = Σ x̂ dy, dβ = Σ dy; the two sums are those of P(dy)."""
    dbeta, dgamma = _sums(dy, xhat)
    return _project(dy, xhat, gamma / s, dbeta, dgamma), dgamma, dbeta


def _sums(t, xhat):
    """Σ t and Σ x̂t over all axes but the last."""
    c, t, xhat = t.shape[-1], _rows(t), _rows(xhat)
    term = lambda i: (t[i].sum(0), np.einsum("ij,ij->j", t[i], xhat[i]))
    return tuple(s.sum(0) for s in _of_blocks(term, t, c))


def _project(t, xhat, scale, sum_t, sum_xhat_t):
    """scale·(t − mean t − x̂·mean(x̂ t)), from the two sums."""
    out, m = np.empty(t.shape, t.dtype), t.size // t.shape[-1]
    rows, xhat_rows = _rows(out), _rows(xhat)
    t_rows, scale, mean, slope = _rows(t, scale, sum_t * (scale / m), sum_xhat_t * (scale / m))

    def rule(i):
        np.multiply(xhat_rows[i], slope, out=rows[i])
        rows[i] += mean
        scaled = np.multiply(t_rows[i], scale, out=scratch("scaled", t_rows[i].shape))
        np.subtract(scaled, rows[i], out=rows[i])
    blocks(rule, len(rows), rows.shape[1])
    return out


# Adam.

def adam(theta, g, m, v, lr, c1, c2, beta1, beta2, eps):
    """One step of Adam on θ, m and v, in place; see ops/adam.py."""
    rate, floor = lr / c1 * c2**0.5, eps * c2**0.5      # (lr/c₁) m / (√(v/c₂) + ε), without a pass for √c₂

    def rule(i):
        a, b = scratch("adam a", (i.stop - i.start,)), scratch("adam b", (i.stop - i.start,))
        m[i] *= beta1
        m[i] += np.multiply(g[i], 1 - beta1, out=a)
        np.multiply(g[i], g[i], out=a)
        a *= 1 - beta2
        v[i] *= beta2
        v[i] += a
        np.sqrt(v[i], out=a)
        a += floor
        np.divide(m[i], a, out=b)
        b *= rate
        theta[i] -= b
    blocks(rule, theta.size, work=2 * NUMBER)
