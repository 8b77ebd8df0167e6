"""What a layer is, and the second-order rules that most layers share.

A layer has four maps, all written by hand. None of them keeps anything of the pass on the layer: forward returns
all that the others need as `cache`, so one layer can be in the middle of several passes at once. (Running
statistics, in `state`, are of all passes.)

    forward(x, train=True, rng=None)                 -> y, cache
    backward(dy, cache, grads=None)                  -> dx          adds ∂/∂params into grads, if given
    jvp(tx, cache)                                   -> ty, tcache  ty = the derivative of y along tx
    jvp_backward(dy, dty, cache, tcache, grads=None) -> dx, dtx     reverse mode through the pair (y, ty)

jvp_backward is the gradient of ⟨dy, y(x, θ)⟩ + ⟨dty, ty(x, tx, θ)⟩ with respect to x, tx and θ. A gradient
penalty on D needs just that: with v = ∇ₓ Σ D and u = ∂φ/∂v, ∂φ(v)/∂θ = ∂/∂θ ⟨u, ∇ₓ Σ D⟩ = ∂/∂θ Σ (D's
derivative along u), so: push u forward with jvp, then jvp_backward with dy = 0 and dty = 1.

Two families need the rules only once: what is affine in x (`Affine`), and what acts on each element alone
(`Pointwise`). To write a layer of one's own, derive from one of them, or from `Layer`, and run
`gradcheck.check_layer` on it. Set what it needs before `super().__init__(W=shape, …)`, which draws the parameters (0
unless `draw` says otherwise); read one by `self.param("W", x)`, in x's dtype; check x by `self.expect`; add into
grads: `grads["W"] += …`. A layer made of others derives from `Sequential` and overrides its maps, so that the
parameters and the state of those inside are its own.
"""

import copy
from itertools import chain
from numbers import Integral

import numpy as np   # the host-side parameters of a layer that no network owns yet

from .. import backend, kernels
from ..backend import array_module
from ..errors import BackendError, ConfigError, DtypeError, ShapeError
from ..ops import init as initial
from ..params import Params, total


class Layer:
    """Parameters, state, and the checks at the border.

    params   ordered mapping name -> array (a `Params`); assign in place: layer.params["W"][...] = w
    state    mapping name -> array of what a layer learns without gradients (running statistics); `statistics` names
             those that may be averaged over steps, as weights are (`optim.Average`)

    A layer on its own holds float64 parameters, drawn anew from fresh entropy, and computes in the dtype
    of the x that it is given. `Sequential` adopts layers: their parameters become views into its θ.
    """

    statistics = ()

    def __init_subclass__(cls, **options):
        """A class with a backward of its own has no other's backward_params."""
        super().__init_subclass__(**options)
        if "backward" in vars(cls) and "backward_params" not in vars(cls):
            cls.backward_params = Layer.backward_params

    def __init__(self, **shapes):
        """shapes: the name and the shape of each parameter, in order. Raises ConfigError for a size below 1."""
        for name, shape in shapes.items():
            if not isinstance(shape, (tuple, list)):
                raise ConfigError(f"{type(self).__name__} expected the shape of {name} as a tuple, got {shape!r}; for "
                                  f"a vector of c numbers write {name}=(c,)")
            if not all(isinstance(n, Integral) and n >= 1 for n in shape):
                raise ConfigError(f"{type(self).__name__} expected sizes that are integers ≥ 1, got {name} of shape "
                                  f"{shape}; see the order of its arguments")
        self.state = {}
        self.owned = False   # by a Sequential: two of them cannot share one vector
        self.bind(np.zeros(total(shapes)), shapes)
        self.reset()

    def bind(self, vector, shapes=None):
        """Let the parameters be views into this 1-D array."""
        self.params = Params(self.params.shapes if shapes is None else shapes, vector)

    def draw(self, rng):
        """Initial parameters: mapping name -> float64 array on the host. Layers with parameters override it."""
        return {}

    def reset(self, rng=None):
        """Draw all parameters anew from a seed or a NumPy generator (None: fresh entropy)."""
        for name, value in self.draw(initial.generator(rng)).items():
            here = self.params[name]
            here[...] = backend.to(value.astype(here.dtype), backend.name_of(here))

    def zero_grads(self):
        """A mapping of the same names as params, all zeros, for backward to add into."""
        return self.params.zeros()

    # The four maps.

    def forward(self, x, train=True, rng=None):
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def forward_leaky(self, x, slope, train=True, rng=None):
        """This layer and the LeakyReLU after it in one pass over memory -> z, cache; None: one after the other."""
        return None

    def is_own(self, family):
        """Whether forward is that of this family of layers: one put in its place must be the one that runs."""
        return type(self).forward is family.forward and "forward" not in vars(self)

    def backward(self, dy, cache, grads=None):
        raise NotImplementedError(f"{type(self).__name__} does not define backward")

    def backward_params(self, dy, cache, grads):
        """The part of backward that fills grads, for the first layer of a network whose dx nobody needs."""
        self.backward(dy, cache, grads)

    def jvp(self, tx, cache):
        raise NotImplementedError(f"{type(self).__name__} does not define jvp")

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        raise NotImplementedError(f"{type(self).__name__} does not define jvp_backward")

    # Copies: on another backend, in another dtype. The original stays as it is.

    def __setstate__(self, state):      # from a pickle, in which views are arrays of their own
        vars(self).update(state)
        self.bind(self.params.vector)

    def copy(self, convert=None):
        """An independent copy; `convert` maps each array (parameters and state) to its copy."""
        convert = convert or (lambda array: array.copy())
        new = object.__new__(type(self))
        new.__dict__.update(self._rest({id(self): new}), params=self.params, owned=False,
                            state={name: convert(array) for name, array in self.state.items()})
        new.bind(convert(self.params.vector))
        return new

    def _rest(self, memo):
        """Copies of the other attributes. memo: of what is copied already, by its id."""
        return {name: _copied(value, memo) for name, value in vars(self).items()
                if name not in ("params", "state", "owned")}

    def __deepcopy__(self, memo):
        return self.copy()

    def astype(self, dtype):
        """A copy in float32 or float64."""
        dtype = backend.dtype(dtype)
        return self.copy(lambda array: array.astype(dtype))

    def to(self, name):
        """A copy on the backend "numpy" or "cupy"; BackendError says why if it is not usable here."""
        backend.get(name)
        return self.copy(lambda array: backend.to(array, name).copy())

    # Helpers for layers.

    def param(self, name, like):
        """The parameter in the dtype of `like`: the very array, except in a layer on its own."""
        p = self.params[name]
        return p if p.dtype == like.dtype else p.astype(like.dtype)

    def expect(self, x, *shape):
        """Raise unless x is a non-empty float array of this shape.

        In `shape` an int is a size, a str names a size that is free, and `...` stands for any axes.
        """
        name = type(self).__name__
        words = ["..." if n is ... else str(n) for n in shape]
        what = f"{name} expected ({', '.join(words)})"
        if not hasattr(x, "dtype") or not hasattr(x, "shape"):
            raise BackendError(f"{what} as an array, got {type(x).__name__}; "
                               f"use numpy.asarray(x, dtype='float32')")
        if x.dtype not in (np.float32, np.float64):
            raise DtypeError(f"{what} in float32 or float64, got {x.dtype}; use x.astype('float32')")
        if not _fits(x.shape, shape):
            raise ShapeError(f"{what}, got {x.shape}; {_remedy(len(shape), x.ndim)}")
        if 0 in x.shape:
            raise ShapeError(f"{what} with at least one sample, got {x.shape}; leave out empty batches")

    def __repr__(self):
        return f"{type(self).__name__}()"


def _copied(value, memo):
    try:
        return copy.deepcopy(value, memo)
    except TypeError:       # a module, a lock: there is one only
        return value


def check_parts(layer):
    """Raise ConfigError if the layer holds others whose parameters are not its own: nobody would train them."""
    attributes = vars(layer).values() if isinstance(layer, Layer) else ()
    lists = (value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
             for value in attributes)
    for part in chain(*lists):
        if isinstance(part, Layer) and len(part.params) and not _shared(part.params.vector, layer.params.vector):
            raise ConfigError(f"{type(layer).__name__} holds {part!r}, whose parameters are none of its own, so that "
                              f"nobody would train them; derive it from Sequential, with all parts in its list, or "
                              f"keep as arrays what is not to be trained")


def _shared(a, b):
    return array_module(a).may_share_memory(a, b)


def _fits(got, wanted):
    if ... in wanted:
        i = wanted.index(...)
        after = len(wanted) - i - 1
        return (len(got) >= i + after and _fits(got[:i], wanted[:i])
                and _fits(got[len(got) - after:], wanted[i + 1:]))
    return len(got) == len(wanted) and all(isinstance(m, str) or n == m for n, m in zip(got, wanted))


def _remedy(wanted, got):
    if got == wanted - 1:
        return "give a batch, of one sample: x[None]"
    if wanted == 2 and got > 2:
        return "add Flatten() before it"
    if wanted == 4 and got == 2:
        return "add Reshape((h, w, c)) before it"
    return "make this layer's sizes those of what comes into it (images are channels-last)"


class Affine(Layer):
    """y = A(x; W) + b, where A is linear in x and linear in W: the trilinear form T(dy, x, W) = ⟨dy, A(x; W)⟩.

    A subclass gives `prepare` (checks x, returns what the maps need besides x: geometry, mask, …; or nothing) and

        map(x, ctx)          A(x; W)      = ∂T/∂dy
        adjoint(dy, ctx)     Aᵀ(dy; W)    = ∂T/∂x
        wgrad(x, dy, ctx)                 = ∂T/∂W     (where there is a parameter "W")

    and from these follow all four maps, since the derivative of A along tx is A(tx), without bias:

        dx = Aᵀ(dy),   dW = wgrad(x, dy),   db = Σ dy over all axes but the last
        ty = A(tx)
        dx = Aᵀ(dy),   dtx = Aᵀ(dty),   dW = wgrad(x, dy) + wgrad(tx, dty),   db = Σ dy

    A layer without weights that is linear once forward has fixed its context (a mask, the place of a
    maximum, a shape) is an Affine without "W" and "b".
    """

    def prepare(self, x, train, rng):
        return None

    def map(self, x, ctx):
        raise NotImplementedError(f"{type(self).__name__} does not define map")

    def adjoint(self, dy, ctx):
        raise NotImplementedError(f"{type(self).__name__} does not define adjoint")

    def wgrad(self, x, dy, ctx):
        raise NotImplementedError(f"{type(self).__name__} does not define wgrad")

    def forward(self, x, train=True, rng=None, slope=1):
        ctx = self.prepare(x, train, rng)
        y = self.map(x, ctx)
        if "b" in self.params:      # is added in place: never into x
            y = y.copy() if array_module(x).may_share_memory(x, y) else y
            y = kernels.add_bias(y, self.param("b", x), slope)
        return y, (x, ctx)

    def forward_leaky(self, x, slope, train=True, rng=None):
        return self.forward(x, train, rng, slope) if "b" in self.params and self.is_own(Affine) else None

    def backward(self, dy, cache, grads=None):
        with kernels.sharing(dy):     # adjoint and wgrad may use one transform of it
            dx = self.adjoint(dy, cache[1])
            if grads is not None:
                Affine.backward_params(self, dy, cache, grads)      # whatever a subclass has in its place
        return dx

    def backward_params(self, dy, cache, grads):
        x, ctx = cache
        if "W" in self.params:
            grads["W"] += self.wgrad(x, dy, ctx)
        if "b" in self.params:
            grads["b"] += kernels.sum_rows(dy)

    def jvp(self, tx, cache):
        _, ctx = cache
        return self.map(tx, ctx), tx

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        (_, ctx), tx = cache, tcache
        if grads is not None and "W" in self.params:
            grads["W"] += self.wgrad(tx, dty, ctx)
        return self.backward(dy, cache, grads), self.adjoint(dty, ctx)


class Pointwise(Layer):
    """y = f(x), element by element, from f, f′ and f″:

        dx = f′·dy          ty = f′·tx          dx = f′·dy + f″·tx·dty,   dtx = f′·dty

    A subclass gives f(x), d1(t, x, y) = f′(x)·t and, unless f″ = 0, d2(t, x, y) = f″(x)·t, with y = f(x).
    """

    d2 = None

    def f(self, x):
        raise NotImplementedError(f"{type(self).__name__} does not define f")

    def d1(self, t, x, y):
        raise NotImplementedError(f"{type(self).__name__} does not define d1")

    def forward(self, x, train=True, rng=None):
        self.expect(x, "N", ...)
        y = self.f(x)
        return y, (x, y)

    def backward(self, dy, cache, grads=None):
        return self.d1(dy, *cache)

    def jvp(self, tx, cache):
        return self.d1(tx, *cache), tx

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        dx = self.d1(dy, *cache)
        if self.d2 is not None:
            dx = dx + self.d2(tcache * dty, *cache)
        return dx, self.d1(dty, *cache)
