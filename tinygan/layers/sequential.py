"""A network: layers in a row. The chain rule, forwards and backwards."""

from .. import backend
from ..errors import BackendError, DtypeError, ShapeError
from ..ops.random import source
from .container import Container
from .summary import table


class Sequential(Container):
    """The composition y = fₖ(… f₂(f₁(x))), with the four maps of a layer (it is one, and nests).

    Forward collects the caches; backward is the chain rule read from the end:

        y, caches = forward(x)          xᵢ₊₁, cacheᵢ = fᵢ.forward(xᵢ)
        dx = backward(dy, caches)       dxᵢ = fᵢ.backward(dxᵢ₊₁, cacheᵢ)
        ty, tcaches = jvp(tx, caches)   txᵢ₊₁ = fᵢ.jvp(txᵢ)
        dx, dtx = jvp_backward(…)       (dxᵢ, dtxᵢ) = fᵢ.jvp_backward(dxᵢ₊₁, dtxᵢ₊₁, …)

    layers       a list of layers; each belongs to this network from now on
    rng          a seed or NumPy generator: all parameters are drawn from it, and masks if forward is given no rng.
                 None: the layers keep the parameters that they have
    dtype        "float32" (to train) or "float64" (to check); backend: "numpy" or "cupy"; those of x too
    input_shape  of one sample; only `summary` needs it

    >>> import numpy as np
    >>> from tinygan.layers import Dense, LeakyReLU
    >>> net = Sequential([Dense(3, 4), LeakyReLU(), Dense(4, 1)], rng=0)
    >>> x = np.ones((5, 3), dtype="float32")
    >>> y, cache = net.forward(x)
    >>> grads = net.zero_grads()
    >>> dx = net.backward(np.ones_like(y), cache, grads)
    >>> y.shape, dx.shape, net.theta.shape, list(grads)
    ((5, 1), (5, 3), (21,), ['0.W', '0.b', '2.W', '2.b'])

    .params, .zero_grads(): mappings with the names "0.W", "3.gamma", …; .theta: the vector that holds all parameters
    """

    def __init__(self, layers, rng=None, dtype="float32", backend="numpy", input_shape=None):
        self.input_shape = None if input_shape is None else tuple(input_shape)
        self.rng = None if rng is None else source(rng)
        super().__init__(layers, None if rng is None else self.rng.generator, dtype, backend)

    def forward(self, x, train=True, rng=None):
        """x (N, …) -> y, cache.  train=False: running statistics, no dropout.

        Raises ShapeError, DtypeError or BackendError, naming the layer, when x does not fit.
        """
        check_input(self, x)
        rng, shape, caches = self.rng if rng is None else source(rng), x.shape, []
        for i, layer in enumerate(self.layers):
            x, cache = forward_at(i, layer, x, train, rng)
            caches.append(cache)
        return x, (caches, x.shape, shape)

    def backward(self, dy, cache, grads=None):
        caches = check_cotangent(self, "dy", dy, cache)
        for i in reversed(range(len(self.layers))):
            dy = self.layers[i].backward(dy, caches[i], self.part(grads, i))
        return dy

    def jvp(self, tx, cache):
        tcaches = []
        for layer, c in zip(self.layers, check_cotangent(self, "tx", tx, cache)):
            tx, tcache = layer.jvp(tx, c)
            tcaches.append(tcache)
        return tx, tcaches

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        check_cotangent(self, "dy", dy, cache)
        caches = check_cotangent(self, "dty", dty, cache)
        for i in reversed(range(len(self.layers))):
            dy, dty = self.layers[i].jvp_backward(dy, dty, caches[i], tcache[i], self.part(grads, i))
        return dy, dty

    def summary(self, input_shape=None):
        """Print a table: layer, output shape, parameters. input_shape: of one sample, e.g. (28, 28, 1)."""
        print(table(self, input_shape))

    def __repr__(self):
        return f"Sequential({len(self.layers)} layers, {self.theta.size:,} parameters)"


def forward_at(i, layer, x, train, rng):
    """forward of layer i of a network; its errors name the layer."""
    try:
        y, cache = layer.forward(x, train, rng)
    except ShapeError as error:
        raise ShapeError(f"layer {i}: {error}") from None
    if y.dtype != x.dtype:
        raise DtypeError(f"layer {i}, {layer}, gave {y.dtype} for {x.dtype}; let its constants be Python floats, and "
                         f"make new arrays with dtype=x.dtype")
    return y, cache


def check_input(net, x):
    """Raise BackendError or DtypeError unless x has the backend and the dtype of the network."""
    here, theta = backend.name_of(net.theta), net.theta
    if backend.name_of(x) != here:
        raise BackendError(f"the network lives on {here!r}, x on {backend.name_of(x)!r}; use backend.to(x, {here!r})")
    if x.dtype != theta.dtype:
        other = f", or network.astype({x.dtype.name!r})" if x.dtype.name in ("float32", "float64") else ""
        raise DtypeError(f"the network expected {theta.dtype}, got {x.dtype}; use "
                         f"x.astype({theta.dtype.name!r}){other}")


def check_cotangent(net, name, d, cache):
    """The layers' caches, once d fits: dy and dty are like y, tx is like x, all in the dtype of θ."""
    caches, *shapes = cache
    what, shape = ("input", shapes[1]) if name == "tx" else ("output", shapes[0])
    if getattr(d, "shape", None) != shape:
        raise ShapeError(f"{name} expected the shape of the {what}, {shape}, got {getattr(d, 'shape', d)}; make it "
                         f"with zeros_like or ones_like of the {what}")
    if d.dtype != net.theta.dtype:
        raise DtypeError(f"{name} expected {net.theta.dtype}, got {d.dtype}; use {name}.astype('{net.theta.dtype}')")
    return caches
