"""The ops of a training step on a GPU, float32: CUDA kernels (device.cu, windows.cu) and products by cuBLAS.

Same names, arguments and results as in `ops/`. Nothing here waits for the device, and no sum depends on the order in
which threads run: the same numbers give the same bits. Kernels are compiled once, at first use. CuPy compiles its own
and these with -ftz=true: numbers below 1.2e-38 (denormals of float32) become 0, where NumPy keeps them.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np      # the scalars that a kernel takes

from ..backend import array_module
from ..errors import ShapeError
from ..ops.random import threshold
from .cublas import gemm
from .workspace import reused

THREADS = 256           # in a block: any multiple of 32 would do for kernels that only move numbers
FAN = 32                # rows that one thread adds: enough threads for the whole device, and few rounds of them
_tf32 = False
_here = Path(__file__).parent


def tf32(on):
    """Let products round their factors to TF32 (10 bits of mantissa) or not; returns what was set before."""
    global _tf32
    before, _tf32 = _tf32, bool(on)
    return before


def rounds():
    """Whether products round their factors."""
    return _tf32


def source(file, **constants):
    """The CUDA source in this file of the folder, with integer constants before it.

    It is ASCII: CuPy writes it to a file in the encoding of the locale.
    """
    head = "".join(f"#define {name} {value}\n" for name, value in constants.items())
    return head + (_here / file).read_text(encoding="ascii")


@lru_cache(maxsize=None)
def _module(xp, file, constants):
    return xp.RawModule(code=source(file, **dict(constants)))


@lru_cache(maxsize=None)
def _kernel(xp, name, file, constants):
    return _module(xp, file, constants).get_function(name)


def _launch(name, n, *args, file="device.cu", constants=()):
    """Run a kernel for n threads. Arrays must be dense and of the type that it expects; ints are unsigned."""
    _countable(n)
    xp = array_module(args[0])
    scalar = lambda a: np.uint32(a) if isinstance(a, int) else np.float32(a) if isinstance(a, float) else a
    _kernel(xp, name, file, constants)((-(-n // THREADS),), (THREADS,), tuple(scalar(a) for a in args))


def _countable(n):
    if n >= 2**31:
        raise ShapeError(f"expected fewer than 2³¹ numbers for one kernel, got {n}; use a smaller batch")


def _dense(*arrays):
    return tuple(array_module(a).ascontiguousarray(a) for a in arrays)


def _like(x):
    return array_module(x).empty(x.shape, dtype=x.dtype)


# Products.

def matmul(a, b):
    """a (m, k) @ b (k, n) -> (m, n)."""
    return gemm(a, b, _tf32)


# Convolution: the windows of x as rows of a matrix, and one product.

def conv(x, W, g):
    """y = ∂T/∂dy; see ops/conv.py."""
    X = reused(x, ("windows", g), lambda: _windows(x, g))
    return matmul(X, W.reshape(-1, W.shape[-1])).reshape(len(x), *g.out, W.shape[-1])


def conv_input(dy, W, g):
    """dx = ∂T/∂x; see ops/conv.py."""
    dX = matmul(dy.reshape(-1, W.shape[-1]), W.reshape(-1, W.shape[-1]).T)
    if _is_flat(g):
        return dX.reshape(len(dy), *g.size, W.shape[2])
    dx = array_module(dy).empty((len(dy), *g.size, W.shape[2]), dtype=dy.dtype)
    _over_pixels("add_windows", dx, dX, dx, g)
    return dx


def conv_weight(x, dy, g):
    """dW = ∂T/∂W; see ops/conv.py."""
    X = reused(x, ("windows", g), lambda: _windows(x, g))
    return matmul(X.T, dy.reshape(-1, dy.shape[-1])).reshape(*g.kernel, x.shape[-1], dy.shape[-1])


def _windows(x, g):
    x, = _dense(x)
    if _is_flat(g):
        return x.reshape(-1, x.shape[-1])
    X = array_module(x).empty((len(x) * g.out[0] * g.out[1], g.kernel[0] * g.kernel[1] * x.shape[-1]), dtype=x.dtype)
    _over_pixels("windows", X, x, X, g)
    return X


def _is_flat(g):
    """Whether each window is one pixel, in its place."""
    return g.kernel == g.stride == (1, 1) and g.out == g.size


def _over_pixels(name, over, here, out, g):
    """Launch a kernel of windows.cu, made for this geometry, for each number (or each four) of `over`."""
    channels = (here if name == "windows" else out).shape[-1]
    four = channels % 4 == here.data.ptr % 16 == out.data.ptr % 16 == 0
    n, most = (size // 4 if four else size for size in (over.size, max(here.size, out.size)))
    _countable(most)
    _launch(name, n, here, out, n, file="windows.cu", constants=geometry(g, channels, four))


def geometry(g, channels, four):
    """The constants of windows.cu for these windows over so many channels, moved one by one or four at a time."""
    names = "H", "W", "OH", "OW", "KH", "KW", "SH", "SW", "TOP", "LEFT", "C", "FOUR"
    return tuple(zip(names, (*g.size, *g.out, *g.kernel, *g.stride, g.pads[0][0], g.pads[1][0],
                             channels // 4 if four else channels, int(four))))


# Pointwise.

def add_bias(y, b):
    """y + b."""
    y, out = *_dense(y), _like(y)
    _launch("add_bias", y.size, y, *_dense(b), out, y.shape[-1], y.size)
    return out


def leaky_relu(x, slope):
    """x where x > 0, else slope·x."""
    x, y = *_dense(x), _like(x)
    _launch("leaky_relu", x.size, x, y, float(slope), x.size)
    return y


def leaky_relu_d1(t, x, slope):
    """t where x > 0, else slope·t."""
    t, x, y = *_dense(t, x), _like(x)
    _launch("leaky_relu_d1", x.size, t, x, y, float(slope), x.size)
    return y


def sigmoid(x):
    """1/(1 + e⁻ˣ)."""
    x, y = *_dense(x), _like(x)
    _launch("sigmoid", x.size, x, y, x.size)
    return y


def dropout(key, x, rate):
    """y = x·mask, and the mask, with the same bits as in ops/random.py."""
    key, x, y, mask = array_module(x).asarray(key, dtype="uint32"), *_dense(x), _like(x), _like(x)
    _launch("dropout", -(-x.size // 2), x, y, mask, key, threshold(1 - rate), float(1 / (1 - rate)), x.size)
    return y, mask


# Sums over the rows (n, C) of an array (…, C), as a tree.

def _rows(*arrays):
    return tuple(a.reshape(-1, a.shape[-1]) for a in _dense(*arrays))


def sum_rows(x):
    """Σ x over all axes but the last."""
    return _total(*_rows(x))


def _total(x):
    """Σ x, (C,), of rows x (n, C)."""
    while True:
        x = _blocks("sum_rows", x.shape[1], x)
        if len(x) == 1:
            return x[0]


def _blocks(name, c, x, *args, width=1):
    """What this kernel makes of c columns of each FAN rows of x, or fewer in the last block: (blocks, width·c)."""
    blocks = -(-len(x) // FAN)
    out = array_module(x).empty((blocks, width * c), dtype=x.dtype)
    _launch(name, blocks * c, x, *args, out, FAN, len(x), c, blocks)
    return out


# Batch normalisation.

def moments(x):
    """Mean and biased variance of x over all axes but the last, in one pass over memory."""
    x, = _rows(x)
    (m, c), each = x.shape, 1           # how many samples a row of x stands for
    while True:
        x = _blocks("moments", c, x, each, m, width=2)
        each *= FAN
        if len(x) == 1:
            return x[0, :c], x[0, c:]


def update_running(running, batch, momentum, factor):
    """running ← momentum·running + (1 − momentum)·factor·batch, in place."""
    share = (1.0 - momentum) * factor
    _launch("update_running", running.size, running, *_dense(batch), float(momentum), share, running.size)


def normalize(x, mean, s, gamma, beta):
    """y = γ·x̂ + β and x̂ = (x − mean)/s."""
    x, y, xhat = *_dense(x), _like(x), _like(x)
    _launch("normalize", x.size, x, *_dense(mean, s, gamma, beta), y, xhat, x.shape[-1], x.size)
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
    c = t.shape[-1]
    both = _total(_blocks("sum_products", c, *_rows(t, xhat), width=2))
    return both[:c], both[c:]


def _project(t, xhat, scale, sum_t, sum_xhat_t):
    """scale·(t − mean t − x̂·mean(x̂ t)), from the two sums."""
    t, xhat, scale, out = *_dense(t, xhat, scale), _like(t)
    c = t.shape[-1]
    _launch("project", t.size, t, xhat, scale, *_dense(sum_t, sum_xhat_t), out, float(t.size // c), c, t.size)
    return out


# Losses and Adam.

def bce_with_logits(logits, target):
    """Cross-entropy of σ(logits) with one target for all: loss (0-d), dlogits; see ops/losses.py."""
    logits, = _dense(logits)
    terms, d = _like(logits), _like(logits)
    _launch("bce_with_logits", logits.size, logits, terms, d, float(target), 1.0 / logits.size, logits.size)
    return terms.mean(), d


def adam(theta, g, m, v, lr, c1, c2, beta1, beta2, eps):
    """A step on θ, m and v, in place; lr, c1, c2: numbers, or 0-d arrays of the device; see ops/adam.py."""
    xp = array_module(theta)
    lr, c1, c2 = (xp.asarray(number, dtype=theta.dtype) for number in (lr, c1, c2))
    _launch("adam", theta.size, theta, *_dense(g), m, v, lr, c1, c2, float(beta1), 1.0 - beta1, float(beta2),
            1.0 - beta2, float(eps), theta.size)
