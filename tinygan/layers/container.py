"""A layer made of others: one vector θ for all of their parameters."""

from .. import backend
from ..errors import ConfigError, DtypeError, ShapeError
from ..ops.init import generator
from .base import Layer
from .checks import check_parts


class Container(Layer):
    """Adopts a list of layers: their parameters become views into θ, under names such as "0.W", "3.gamma", "2.0.b".

    rng: a seed or NumPy generator, from which all parameters are drawn anew (None: the layers keep what they have);
    dtype, backend: of θ and of x; None: those of a network inside, or float64 on the host, as a layer on its own.
    Raises ConfigError for what is no layer or is part of another network, DtypeError for a network inside that has
    another dtype or backend.
    """

    def __init__(self, layers, rng=None, dtype=None, backend_name=None):
        name = type(self).__name__
        if isinstance(layers, Layer):
            raise ConfigError(f"expected a list of layers, got {layers!r}; write {name}([...])")
        self.layers, self.owned = list(layers), False
        networks = [layer for layer in self.layers if isinstance(layer, Container) and layer.fixed]
        self.fixed = dtype is not None or bool(networks)     # a network inside another one must agree with it
        if networks and dtype is None:
            dtype, backend_name = networks[0].theta.dtype, backend.name_of(networks[0].theta)
        dtype, backend_name = backend.dtype(dtype or "float64"), backend_name or "numpy"
        xp = backend.get(backend_name)
        for i, layer in enumerate(self.layers):
            self._check(i, layer, dtype, backend_name)
        if rng is not None:
            self.reset(rng)
        convert = lambda array: backend.to(array, backend_name).astype(dtype, copy=False)
        shapes = {f"{i}.{key}": shape for i, layer in enumerate(self.layers)
                  for key, shape in layer.params.shapes.items()}
        self.bind(xp.concatenate([xp.zeros(0, dtype=dtype), *(convert(layer.params.vector) for layer in self.layers)]),
                  shapes)
        self.state = {key: convert(array) for key, array in self.state.items()}
        for layer in self.layers:
            layer.owned = True

    def _check(self, i, layer, dtype, name):
        if not isinstance(layer, Layer):
            raise ConfigError(f"expected layers, got {layer!r} at place {i}; derive it from tinygan.layers.Layer")
        if not hasattr(layer, "params"):
            raise ConfigError(f"expected layers, got {type(layer).__name__} at place {i} without parameters; call "
                              f"super().__init__() at the end of its __init__")
        check_parts(layer)
        if layer.owned or any(layer is before for before in self.layers[:i]):
            raise ConfigError(f"layer {i}, {layer}, is already part of a network, whose θ contains its parameters; "
                              f"use copy.deepcopy(layer), or nest the networks: Sequential([G, D])")
        here = getattr(layer, "fixed", False) and (layer.theta.dtype.name, backend.name_of(layer.theta))
        if here and here != (dtype.name, name):
            raise DtypeError(f"layer {i} is a network in {here[0]} on {here[1]!r}, expected {dtype} on {name!r}; "
                             f"build the outer one with dtype={here[0]!r}, backend={here[1]!r}, or convert the "
                             f"inner one by .astype and .to")

    def bind(self, vector, shapes=None):
        super().bind(vector, shapes)
        start = 0
        for layer in self.layers:
            size = layer.params.vector.size
            layer.bind(vector[start:start + size])
            start += size

    def reset(self, rng=None):
        rng = generator(rng)
        for layer in self.layers:
            layer.reset(rng)

    def __setstate__(self, state):
        super().__setstate__(state)
        for layer in self.layers:
            layer.owned = True

    @property
    def theta(self):
        """The parameter vector; assigning to it writes in place."""
        return self.params.vector

    @theta.setter
    def theta(self, value):
        if getattr(value, "shape", ()) not in ((), self.theta.shape):
            raise ShapeError(f"theta expected shape {self.theta.shape}, got {value.shape}; give one number for each "
                             f"parameter")
        self.theta[...] = value

    @property
    def state(self):
        """Running statistics and the like of all layers, by the same kind of names; assigning hands them on."""
        return {f"{i}.{key}": array for i, layer in enumerate(self.layers) for key, array in layer.state.items()}

    @state.setter
    def state(self, values):
        for i, layer in enumerate(self.layers):
            layer.state = {key: values[f"{i}.{key}"] for key in layer.state}

    @property
    def statistics(self):
        """Names in `state` of the running statistics: what may be averaged over steps, as weights are."""
        return [f"{i}.{key}" for i, layer in enumerate(self.layers) for key in layer.statistics]

    def part(self, grads, i):
        """The gradients of layer i under that layer's own names; the same arrays."""
        return None if grads is None else {key: grads[f"{i}.{key}"] for key in self.layers[i].params}
