"""tinygan: generative adversarial networks with hand-written gradients.

Every backward pass is written by hand, on NumPy or CuPy arrays, and checked to second order.

Modules are imported at first use, so that the command `tinygan` can catch Ctrl-C from its first line on.
"""

from importlib import import_module

from .ops import registry

__version__ = "0.1.0"
__all__ = ["GAN", "Parallel", "Sequential", "backend", "data", "explain", "gradcheck", "inspect", "interchange",
           "kernels", "layers", "losses", "metrics", "models", "optim", "penalties", "run"]
_DEFINED_IN = {"GAN": "gan", "Parallel": "layers", "Sequential": "layers"}      # the other names are modules


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f".{_DEFINED_IN.get(name, name)}", __name__)
    return getattr(module, name) if name in _DEFINED_IN else module


def __dir__():
    return sorted([*globals(), *__all__])


def _register_kernels():
    try:
        import_module(".kernels", __name__)
    except ModuleNotFoundError as error:        # without that folder the formulas compute everything
        if error.name != f"{__name__}.kernels":
            raise


registry.before_first_op(_register_kernels)
