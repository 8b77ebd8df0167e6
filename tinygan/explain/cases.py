"""For each layer an instance and an x of integers that are small enough to follow."""

from typing import NamedTuple

import numpy as np

from .. import layers
from ..errors import ConfigError
from ..gradcheck import suite
from .layer import integers


class Case(NamedTuple):
    """A layer and the call that makes it, x and dy (None: small integers), train as in forward, seed of its masks."""

    call: str
    layer: object
    x: object
    dy: object = None
    train: bool = True
    seed: int = 0


def _image(*rows):
    return np.array(rows, "float64")[None, :, :, None]


_PLAIN = _image([1, 2, 0, 3], [0, 1, -1, 2], [2, 0, 1, 1], [1, -1, 3, 0])       # of chapter 4, as are kernel and dy
_KERNEL, _SMALL = [[1, 0, 2], [-1, 3, 0], [0, 1, -2]], _image([1, -1], [2, 3])
_UNEQUAL = _image([1, 2, 0, 3], [5, 4, -1, 6], [2, 7, 9, 1], [3, -2, 8, 0])     # no two pixels of a window are equal
_POINTS, _COLUMN = [[-2, -1], [1, 2]], [[1], [3], [3], [9]]                     # mean 4, variance 9

# The call, parameters by name, x, and what else the Case has. Numbers of Dense, Conv2D, BatchNorm and SpectralNorm: of
# chapters 1, 4, 6 and 17.
_CASES = [
    ("Dense(3, 2)", {"W": [[1, 0], [2, -1], [0, 3]], "b": [1, -1]}, [[1, 2, 0], [3, -1, 1]], {"dy": [[1, -1], [2, 3]]}),
    ("Conv2D(1, 1, 3, padding='valid')", {"W": _KERNEL, "b": 1}, _PLAIN, {"dy": _SMALL}),
    ("ConvTranspose2D(1, 1, 3, stride=2)", {"W": _KERNEL, "b": 1}, _SMALL, {}),
    ("MaxPool2D(2)", {}, _UNEQUAL, {}),
    ("AvgPool2D(2)", {}, _UNEQUAL, {}),
    ("UpSampling2D(2)", {}, _SMALL, {}),
    ("BatchNorm(1, eps=1e-12)", {"gamma": 3, "beta": 1}, _COLUMN, {"dy": [[-4], [-3], [-1], [4]]}),
    ("Dropout(0.5)", {}, [[1, 2, 3], [4, 5, 6]], {}),
    ("Flatten()", {}, _SMALL, {}),
    ("Reshape((2, 2))", {}, [[1, 2, 3, 4]], {}),
    ("Identity()", {}, _POINTS, {}),
    *((f"{name}()", {}, _POINTS, {}) for name in ("LeakyReLU", "ReLU", "Tanh", "Sigmoid", "Softplus")),
    ("Softmax()", {}, [[0, 1, 2], [3, 3, 1]], {}),
    ("Fourier(1)", {}, [[0.5], [-0.25]], {}),
    ("SpectralNorm(Dense(2, 2))", {"W": [[3, 0], [4, 5]], "b": [1, -1]}, [[1, 2], [-1, 1]],
     {"dy": [[1, 0], [2, -1]], "train": False}),
    ("Pack(2)", {}, [[1, 2], [3, 4], [5, 6], [7, 8]], {}),
    ("MinibatchStd()", {}, [[1, 5], [3, 1]], {}),
    ("Augment()", {}, np.arange(1.0, 17).reshape(1, 2, 8, 1), {"seed": 1}),
    ("WithLabels(2)", {}, [[3, -1, 1, 0], [2, 5, 0, 1]], {}),
    ("Sequential([Dense(2, 2), LeakyReLU(), Dense(2, 1)], dtype='float64')",
     {"0.W": [[1, 2], [-1, 3]], "0.b": [2, -2], "2.W": [2, -1], "2.b": 1}, _POINTS, {}),
    ("Parallel([Identity(), Dense(2, 2)], 'sum')", {"1.W": [[1, 2], [-1, 3]], "1.b": [1, -2]}, _POINTS, {}),
]


def _case(call, parameters, x, more):
    layer, x = eval(call, {**vars(layers)}), np.array(x, "float64")     # a call of this file
    for name, value in parameters.items():
        layer.params[name] = np.array(value, "float64").reshape(layer.params[name].shape)
    for _ in range(30 if layer.state else 0):       # until u and v of SpectralNorm are singular vectors
        layer.forward(x)
    return Case(call, layer, x, **more)


def case(cls):
    """The Case of a layer class: its own, or that of a class derived from it, or the first of `gradcheck.suite`."""
    class_of = lambda one: getattr(layers, one[0].partition("(")[0])
    own = [one for one in _CASES if class_of(one) is cls] or [one for one in _CASES if issubclass(class_of(one), cls)]
    if own:
        return _case(*own[0])
    for layer, shape, train in suite.LAYERS:
        if isinstance(layer, cls):
            return Case(repr(layer), layer, integers(shape), None, train)
    raise ConfigError(f"expected an example of {cls.__name__} in gradcheck.suite.LAYERS, got none; add one there")
