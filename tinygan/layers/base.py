"""What a layer is: four maps, all written by hand, and the parameters that they read.

    forward(x, train=True, rng=None)                 -> y, cache
    backward(dy, cache, grads=None)                  -> dx          adds ∂/∂params into grads, if given
    jvp(tx, cache)                                   -> ty, tcache  ty: the derivative of y along tx
    jvp_backward(dy, dty, cache, tcache, grads=None) -> dx, dtx     reverse mode through the pair (y, ty)

forward returns all that the other maps need as `cache` and keeps nothing of the pass on the layer, so one layer can be
in several passes at once. (Running statistics, in `state`, belong to all passes.) jvp_backward is the gradient of
⟨dy, y(x, θ)⟩ + ⟨dty, ty(x, tx, θ)⟩ with respect to x, tx and θ: what a gradient penalty needs (see `penalties.py`).

Two families share their rules: layers that are affine in x (`Affine`) and functions of each element (`Pointwise`). A
layer of your own derives from one of them or from `Layer`: set what it needs before `super().__init__(W=shape, …)`,
give initial values in `draw`, check x by `self.expect`, read a parameter by `self.param("W", x)`, add into grads by
`grads["W"] += …`, and run `gradcheck.check_layer`. A layer made of others derives from `Sequential` or `Parallel`.
"""

import copy

import numpy as np   # the host-side parameters of a layer that no network owns yet

from .. import backend
from ..ops.init import generator
from .checks import check_array, check_draw, check_sizes
from .params import Params, copied, total


class Layer:
    """Parameters, state and the four maps.

    params   ordered mapping name -> array (a `Params`); assign in place: layer.params["W"][...] = w
    state    mapping name -> array of what a layer learns without gradients (running statistics); `statistics` names
             those that may be averaged over steps, as weights are (`optim.Average`)

    A layer on its own holds float64 parameters and computes in the dtype of its x. `Sequential` and `Parallel` adopt
    layers: their parameters become views into one vector θ.
    """

    statistics = ()

    def __init__(self, **shapes):
        # shapes: the name and the shape of each parameter, in order; ConfigError for a size below 1
        check_sizes(type(self).__name__, shapes)
        self.state, self.owned = {}, False      # owned: by a network, whose θ holds the parameters
        self.bind(np.zeros(total(shapes)), shapes)
        self.reset()

    def bind(self, vector, shapes=None):
        """Make the parameters views into this 1-D array."""
        self.params = Params(self.params.shapes if shapes is None else shapes, vector)

    def draw(self, rng):
        """Initial parameters: mapping name -> float64 array; those left out start at 0. Layers override it."""
        return {}

    def reset(self, rng=None):
        """Draw all parameters from a seed or a NumPy generator (None: fresh entropy)."""
        for name, value in check_draw(self, self.draw(generator(rng))).items():
            here = self.params[name]
            here[...] = backend.to(value.astype(here.dtype), backend.name_of(here))

    def zero_grads(self):
        """A mapping of the same names as params, all zeros, for backward to add into."""
        return self.params.zeros()

    def forward(self, x, train=True, rng=None):
        """y and the cache of this pass.  train: batch statistics and random masks; rng: see `ops.random.source`."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def backward(self, dy, cache, grads=None):
        """dx = (∂y/∂x)ᵀ dy; adds (∂y/∂θ)ᵀ dy into grads, if given. dy has y's shape, dx has x's."""
        raise NotImplementedError(f"{type(self).__name__} does not define backward")

    def jvp(self, tx, cache):
        """ty = (∂y/∂x) tx, the derivative of y along tx, and a cache for jvp_backward. tx has x's shape."""
        raise NotImplementedError(f"{type(self).__name__} does not define jvp")

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        """dx and dtx, the gradients of ⟨dy, y⟩ + ⟨dty, ty⟩ in x and tx; adds that in θ into grads, if given."""
        raise NotImplementedError(f"{type(self).__name__} does not define jvp_backward")

    # Helpers for layers.

    def param(self, name, like):
        """The parameter in the dtype of `like`: the array itself, except in a layer on its own."""
        return self.params[name].astype(like.dtype, copy=False)

    def expect(self, x, *shape):
        """Raise unless x is a non-empty float array of this shape: ints, names of free sizes, `...` for any axes."""
        check_array(type(self).__name__, x, shape)

    def __repr__(self):
        return f"{type(self).__name__}()"

    # Copies; the original stays as it is.

    def __setstate__(self, state):      # of a copy or a pickle, in which views have become arrays of their own
        vars(self).update(state, owned=False)
        self.bind(self.params.vector)

    def __deepcopy__(self, memo):
        new = memo[id(self)] = object.__new__(type(self))
        new.__setstate__(copied(vars(self), memo))
        return new

    def copy(self):
        """An independent copy."""
        return copy.deepcopy(self)

    def astype(self, dtype):
        """A copy in float32 or float64."""
        return backend.converted(self, lambda array: array.astype(backend.dtype(dtype)))

    def to(self, name):
        """A copy on the backend "numpy" or "cupy"; BackendError says why if it is not usable here."""
        return backend.converted(self, lambda array: backend.to(array, name))
