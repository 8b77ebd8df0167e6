"""Mistakes that precede any number: what a layer must define, accept and call before its maps can be checked."""

import inspect
import re

from ..errors import ConfigError
from ..layers.base import Layer
from ..layers.checks import check_parts

# map -> its arguments and its result.
MAPS = {"forward": ("x, train=True, rng=None", "y, cache"), "backward": ("dy, cache, grads=None", "dx"),
        "jvp": ("tx, cache", "ty, tcache"), "jvp_backward": ("dy, dty, cache, tcache, grads=None", "dx, dtx")}
_CALLS = {"forward": ((0,), {"train": True, "rng": None}), "backward": ((0, 0, 0), {}), "jvp": ((0, 0), {}),
          "jvp_backward": ((0, 0, 0, 0, 0), {})}


def check(layer):
    """Raise ConfigError unless the layer can be checked: each message says what to write."""
    if isinstance(layer, Layer) and "params" not in vars(layer):
        name = type(layer).__name__
        raise ConfigError(f"{name} has no parameters yet: expected its __init__ to call Layer's; write "
                          f"super().__init__() at its end, with the shapes of the parameters, if any: W=(n, m)")
    for map_ in ("forward", "backward"):
        method = getattr(layer, map_, None)
        if not callable(method) or getattr(method, "__func__", None) is getattr(Layer, map_):
            raise ConfigError(f"expected a layer that defines {map_}, got {layer!r}; write it, or see how it is spelt")
    for map_, (args, kwargs) in _CALLS.items():
        method = getattr(layer, map_, None)
        if callable(method) and not _accepts(method, args, kwargs):
            raise ConfigError(f"expected def {map_}(self, {MAPS[map_][0]}), got def {map_}{inspect.signature(method)} "
                              f"in {type(layer).__name__}; give it these arguments")
    check_parts(layer)


def _accepts(method, args, kwargs):
    try:
        inspect.signature(method).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:      # a built-in: it has no signature to read
        pass
    return True


def check_adding(layer, map_, grads, error):
    """Raise ConfigError if an error inside a map comes of how it adds into grads."""
    text = str(error)
    if grads is None and "NoneType" in text:
        raise ConfigError(f"expected {map_} of {layer!r} to run without grads too, got {text}; write "
                          f"if grads is not None: before each grads[...] += ...") from error
    shapes = re.match(r"non-broadcastable output operand with shape (\(.*?\)) doesn't match the broadcast shape (.*)",
                      text)
    names = [name for name, array in (grads or {}).items() if shapes and str(array.shape) == shapes[1]]
    if names:
        raise ConfigError(f"expected {map_} of {layer!r} to add an array of shape {shapes[1]} into grads"
                          f"[{' or '.join(map(repr, names))}], got {shapes[2]}; sum over the axes that the parameter "
                          f"does not have (all but the last: tinygan.ops.products.sum_rows)") from error


def warnings(layer):
    """Lines on what is no error but probably not meant. Call it on the layer as it was given."""
    return [f"all parameters of {part!r} are 0, as it defines no draw: a layer that begins at 0 may give 0 and learn "
            f"nothing; write draw(self, rng), which returns the initial arrays, e.g. {{{name!r}: rng.normal(...)}}"
            for part in _parts(layer)
            if len(part.params) and type(part).draw is Layer.draw and not part.params.vector.any()
            for name in list(part.params)[:1]]


def _parts(layer):
    """The layers inside that own parameters: a container's are those of its parts."""
    if not isinstance(layer, Layer):
        return []
    inside = getattr(layer, "layers", None)
    return [layer] if inside is None else [part for each in inside for part in _parts(each)]
