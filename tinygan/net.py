"""A network: layers in a row, and the one vector θ of all their parameters."""

from math import prod

import numpy as np   # the host-side assembly of θ

from . import backend, kernels
from .backend import dtype as as_dtype
from .errors import BackendError, ConfigError, DtypeError, ShapeError
from .layers.activations import LeakyReLU, ReLU
from .layers.base import Layer, Pointwise, check_parts
from .layers.labels import WithLabels
from .layers.minibatch import Pack
from .ops.init import generator


class Sequential(Layer):
    """The composition y = fₖ(… f₂(f₁(x))), with the four maps of a layer (it is one, and nests).

    Forward threads the caches; backward is the chain rule read from the end:

        y, caches = forward(x)          xᵢ₊₁, cacheᵢ = fᵢ.forward(xᵢ)
        dx = backward(dy, caches)       dxᵢ = fᵢ.backward(dxᵢ₊₁, cacheᵢ)
        ty, tcaches = jvp(tx, caches)   txᵢ₊₁ = fᵢ.jvp(txᵢ)
        dx, dtx = jvp_backward(…)       (dxᵢ, dtxᵢ) = fᵢ.jvp_backward(dxᵢ₊₁, dtxᵢ₊₁, …)

    layers       a list of layers; each belongs to this network from now on
    rng          a seed or NumPy generator: all parameters are drawn anew from it, and it serves dropout when
                 forward is given no rng. None: the layers keep the parameters that they have
    dtype        "float32" (to train) or "float64" (to check); x must have it too
    backend      "numpy" or "cupy"; x must live there too
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

    .params, .zero_grads()    mappings with the names "0.W", "0.b", "3.gamma", … (layer index, dot, name)
    .theta                    the one vector; every parameter is a view into it
    .state, .statistics       running statistics and the like by the same kind of names; which of them are averages
    """

    def __init__(self, layers, rng=None, dtype="float32", backend="numpy", input_shape=None):
        if isinstance(layers, Layer):
            raise ConfigError(f"expected a list of layers, got {layers!r} alone; write Sequential([...])")
        self.layers = list(layers)
        self.input_shape = None if input_shape is None else tuple(input_shape)
        dtype = as_dtype(dtype)
        self._check_layers(dtype, backend)
        self.rng = None if rng is None else generator(rng)
        if self.rng is not None:
            self.reset(self.rng)
        self._adopt(dtype, backend)
        self.owned = False
        for layer in self.layers:
            layer.owned = True

    def _check_layers(self, dtype, name):
        backend.get(name)
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise ConfigError(f"expected layers, got {layer!r} at place {i}; derive it from tinygan.layers.Layer")
            check_parts(layer)
            if layer.owned or any(layer is before for before in self.layers[:i]):
                raise ConfigError(f"layer {i}, {layer}, is already part of a network, whose θ holds its parameters; "
                                  f"use copy.deepcopy(layer), or nest the networks: Sequential([G, D])")
            here = isinstance(layer, Sequential) and (layer.theta.dtype.name, backend.name_of(layer.theta))
            if here and here != (dtype.name, name):
                raise DtypeError(f"layer {i} is a network in {here[0]} on {here[1]!r}, expected {dtype} on {name!r}; "
                                 f"build the outer one with dtype={here[0]!r}, backend={here[1]!r}, or convert the "
                                 f"inner one by .astype and .to")

    def _adopt(self, dtype, name):
        xp, convert = backend.get(name), lambda array: backend.to(array, name).astype(dtype, copy=False)
        shapes = {f"{i}.{key}": shape for i, layer in enumerate(self.layers)
                  for key, shape in layer.params.shapes.items()}
        vectors = [convert(layer.params.vector) for layer in self.layers]
        self.bind(xp.concatenate([xp.zeros(0, dtype=dtype), *vectors]), shapes)
        self._convert_state(convert)

    def _convert_state(self, convert):
        for layer in self.layers:
            if isinstance(layer, Sequential):
                layer._convert_state(convert)
            else:
                layer.state = {key: convert(array) for key, array in layer.state.items()}

    def bind(self, vector, shapes=None):
        super().bind(vector, shapes)
        start = 0
        for layer in self.layers:
            size = layer.params.vector.size
            layer.bind(vector[start:start + size])
            start += size

    @property
    def theta(self):
        """The parameter vector; assigning to it writes in place."""
        return self.params.vector

    @theta.setter
    def theta(self, value):
        if getattr(value, "shape", ()) not in ((), self.theta.shape):
            raise ShapeError(f"theta expected shape {self.theta.shape}, got {value.shape}")
        self.theta[...] = value
        kernels.changed(self.theta)

    @property
    def state(self):
        return {f"{i}.{key}": array for i, layer in enumerate(self.layers) for key, array in layer.state.items()}

    @property
    def statistics(self):
        """Names in `state` of the running statistics: what may be averaged over steps, as weights are."""
        return [f"{i}.{key}" for i, layer in enumerate(self.layers) for key in layer.statistics]

    def reset(self, rng=None):
        rng = generator(rng)
        for layer in self.layers:
            layer.reset(rng)

    # The four maps.

    def forward(self, x, train=True, rng=None):
        """x (N, …) -> y, cache.  train=False: running statistics, no dropout.

        Raises ShapeError, DtypeError or BackendError, naming the layer, when x does not fit.
        """
        self._check(x)
        rng, shape, caches = self.rng if rng is None else generator(rng), x.shape, []
        while (i := len(caches)) < len(self.layers):
            try:
                fused = self._forward_leaky(i, x, train, rng)
                x, cache = fused or self.layers[i].forward(x, train, rng)
            except ShapeError as error:
                raise ShapeError(f"layer {i}: {error}") from None
            if x.dtype != self.theta.dtype:
                raise DtypeError(f"layer {i}, {self.layers[i]}, gave {x.dtype} for {self.theta.dtype}; let its "
                                 f"constants be Python floats, and make new arrays with dtype=x.dtype")
            caches += [cache, (x, x)] if fused else [cache]     # the sign of x is that of LeakyReLU's input
        return x, (caches, x.shape, shape)

    def _forward_leaky(self, i, x, train, rng):
        """Layer i together with the LeakyReLU after it; None if that is another layer, or the two stay apart."""
        after = self.layers[i + 1] if i + 1 < len(self.layers) else None
        leaky = type(after) in (LeakyReLU, ReLU) and after.is_own(Pointwise) and "f" not in vars(after)
        return self.layers[i].forward_leaky(x, after.slope, train, rng) if leaky else None

    def backward(self, dy, cache, grads=None):
        """dy of y's shape -> dx; adds ∂⟨dy, y⟩/∂θ into grads, if given."""
        caches = self._same_shape("dy", dy, cache)
        for i in reversed(range(len(self.layers))):
            dy = self.layers[i].backward(dy, caches[i], self._part(grads, i))
        return dy

    def backward_params(self, dy, cache, grads):
        """As backward, for when nobody needs dx: stops at the first layer that has parameters."""
        caches = self._same_shape("dy", dy, cache)
        first = next((i for i, layer in enumerate(self.layers) if len(layer.params)), len(self.layers))
        for i in reversed(range(first + 1, len(self.layers))):
            dy = self.layers[i].backward(dy, caches[i], self._part(grads, i))
        if first < len(self.layers):
            self.layers[first].backward_params(dy, caches[first], self._part(grads, first))

    def jvp(self, tx, cache):
        """tx of x's shape -> ty, the derivative of y along tx, and its cache."""
        tcaches = []
        for layer, c in zip(self.layers, self._same_shape("tx", tx, cache)):
            tx, tcache = layer.jvp(tx, c)
            tcaches.append(tcache)
        return tx, tcaches

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        """The gradient of ⟨dy, y⟩ + ⟨dty, ty⟩: dx and dtx; adds that for θ into grads, if given."""
        self._same_shape("dy", dy, cache)
        caches = self._same_shape("dty", dty, cache)
        for i in reversed(range(len(self.layers))):
            dy, dty = self.layers[i].jvp_backward(dy, dty, caches[i], tcache[i], self._part(grads, i))
        return dy, dty

    def _part(self, grads, i):
        """The gradients of layer i under that layer's own names; the same arrays."""
        return None if grads is None else {key: grads[f"{i}.{key}"] for key in self.layers[i].params}

    def _check(self, x):
        if backend.name_of(x) != backend.name_of(self.theta):
            raise BackendError(f"the network lives on {backend.name_of(self.theta)!r}, x on {backend.name_of(x)!r}; "
                               f"use backend.to(x, {backend.name_of(self.theta)!r})")
        if x.dtype != self.theta.dtype:
            other = f", or network.astype({x.dtype.name!r})" if x.dtype in (np.float32, np.float64) else ""
            raise DtypeError(f"the network expected {self.theta.dtype}, got {x.dtype}; use "
                             f"x.astype({self.theta.dtype.name!r}){other}")

    def _same_shape(self, name, d, cache):
        """The layers' caches, once d fits: dy and dty are like y, tx is like x, all in the dtype of θ."""
        caches, *shapes = cache
        what, shape = ("input", shapes[1]) if name == "tx" else ("output", shapes[0])
        if getattr(d, "shape", None) != shape:
            raise ShapeError(f"{name} expected the shape of the {what}, {shape}, got {getattr(d, 'shape', d)}; make it "
                             f"with zeros_like or ones_like of the {what}")
        if d.dtype != self.theta.dtype:
            raise DtypeError(f"{name} expected {self.theta.dtype}, got {d.dtype}; use "
                             f"{name}.astype({self.theta.dtype.name!r})")
        return caches

    # Copies and words.

    def copy(self, convert=None):
        new, layers = object.__new__(type(self)), [layer.copy(convert) for layer in self.layers]
        new.__dict__.update(self._rest({id(self): new, **_twins(self.layers, layers)}), owned=False)
        for layer in layers:
            layer.owned = True
        new.bind((convert or (lambda array: array.copy()))(self.theta), self.params.shapes)
        return new

    def summary(self, input_shape=None):
        """Print a table: layer, output shape, parameters. input_shape: of one sample, e.g. (28, 28, 1)."""
        print(self.table(input_shape))

    def table(self, input_shape=None):
        """The text that `summary` prints."""
        shape = input_shape or self.input_shape or (getattr(next(iter(self.layers), None), "n_in", None),)
        x, layers, n = None, self.copy().layers, prod(
            layer.m for layer in self.layers if isinstance(layer, Pack))
        if None not in shape:       # a batch that fits: a whole pack, if D judges packs, and of class 0
            x = backend.get(backend.name_of(self.theta)).zeros((n, *shape), dtype=self.theta.dtype)
        rows = [("", "layer", "output", "parameters"), ("", "input", _shape(x), "")]
        for i, layer in enumerate(layers):
            if isinstance(layer, WithLabels):
                layer.labels = np.zeros(n, int)
            x = x if x is None else layer.forward(x, train=False)[0]
            rows.append((str(i), repr(layer), _shape(x), f"{layer.params.vector.size:,}"))
        rows.append(("", "total", "", f"{self.theta.size:,}"))
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = [f"{a:>{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}" for a, b, c, d in rows]
        lines.insert(1, "─" * len(lines[0]))
        lines.insert(-1, "─" * len(lines[0]))
        return "\n".join(line.rstrip() for line in lines)

    def __repr__(self):
        return f"Sequential({len(self.layers)} layers, {self.theta.size:,} parameters)"


def _twins(olds, news):
    """id of each layer, nested ones too -> its copy: another name of a layer stays one."""
    found = {}
    for old, new in zip(olds, news):
        found |= {id(old): new, **_twins(getattr(old, "layers", ()), getattr(new, "layers", ()))}
    return found


def _shape(x):
    return "?" if x is None else f"({', '.join(['N', *map(str, x.shape[1:])])})"
