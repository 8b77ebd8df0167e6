"""Checks at the border of a layer: one line that says what was expected, what came, and what to do."""

from functools import lru_cache
from itertools import chain
from numbers import Integral

from ..backend import array_module
from ..errors import BackendError, ConfigError, DtypeError, ShapeError


def check_sizes(name, shapes):
    """Raise ConfigError unless each shape (mapping name -> shape) is a tuple of integers ≥ 1."""
    for parameter, shape in shapes.items():
        if not isinstance(shape, (tuple, list)):
            raise ConfigError(f"{name} expected the shape of {parameter} as a tuple, got {shape!r}; for a vector "
                              f"of c numbers write {parameter}=(c,)")
        if not all(isinstance(n, Integral) and n >= 1 for n in shape):
            raise ConfigError(f"{name} expected sizes that are integers ≥ 1, got {parameter} of shape {shape}; see the "
                              f"order of its arguments")


def check_draw(layer, drawn):
    """What a layer's draw returned; ConfigError unless it maps names of parameters to arrays of their shapes."""
    what, names = f"{type(layer).__name__}.draw", ", ".join(layer.params) or "none"
    if not isinstance(drawn, dict):
        raise ConfigError(f"{what}: expected a mapping name -> array, got {type(drawn).__name__}; return "
                          f"{{name: array}}, of the parameters {names}")
    for name, value in drawn.items():
        if name not in layer.params:
            raise ConfigError(f"{what}: {name!r} is no parameter; they are {names}")
        got = f"shape {value.shape}" if hasattr(value, "astype") else type(value).__name__
        if got != f"shape {layer.params[name].shape}":
            raise ConfigError(f"{what}: expected {name!r} as an array of shape {layer.params[name].shape}, got {got}")
    return drawn


def check_array(name, x, shape):
    """Raise unless x is a non-empty float array of this shape, in the form of `Layer.expect`."""
    got = getattr(x, "shape", None)
    if got is not None and getattr(x, "dtype", None) in ("float32", "float64") and _fits(got, shape) and 0 not in got:
        return      # every layer asks in every pass: the words below take longer than the comparison
    words = ["..." if n is ... else str(n) for n in shape]
    what = f"{name} expected ({', '.join(words)})"
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        raise BackendError(f"{what} as an array, got {type(x).__name__}; use numpy.asarray(x, dtype='float32')")
    if str(x.dtype) not in ("float32", "float64"):
        raise DtypeError(f"{what} in float32 or float64, got {x.dtype}; use x.astype('float32')")
    if not _fits(x.shape, shape):
        raise ShapeError(f"{what}, got {x.shape}; {_remedy(shape, x.ndim)}")
    raise ShapeError(f"{what} with at least one sample, got {x.shape}; leave out empty batches")


@lru_cache(maxsize=1024)
def _fits(got, wanted):
    if ... in wanted:
        i = wanted.index(...)
        after = len(wanted) - i - 1
        return (len(got) >= i + after and _fits(got[:i], wanted[:i])
                and _fits(got[len(got) - after:], wanted[i + 1:]))
    return len(got) == len(wanted) and all(isinstance(m, str) or n == m for n, m in zip(got, wanted))


def _remedy(wanted, got):
    if got == len(wanted) - (1 + (... in wanted)):
        return "give a batch, of one sample: x[None]"
    if len(wanted) - (... in wanted) == 2 and got > 2:
        return "add Flatten() before it"
    if len(wanted) == 4 and got == 2:
        return "add Reshape((h, w, c)) before it"
    return "make this layer's sizes those of what comes into it (images are channels-last)"


def check_parts(layer):
    """Raise ConfigError if the layer holds others whose parameters are not its own: no optimiser would update them."""
    values = vars(layer).values() if hasattr(layer, "params") else ()
    lists = (value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
             for value in values)
    for part in chain(*lists):
        if not (hasattr(part, "params") and hasattr(part, "bind") and len(part.params)):
            continue
        if not array_module(part.params.vector).may_share_memory(part.params.vector, layer.params.vector):
            raise ConfigError(f"{type(layer).__name__} holds {part!r}, whose parameters are not among its own and "
                              f"would not be trained; derive it from Sequential, with all parts in its list, or "
                              f"keep as arrays what is not to be trained")
