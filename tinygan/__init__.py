"""tinygan: generative adversarial networks with hand-written gradients.

Every backward pass is written by hand, on NumPy or CuPy arrays, and checked to second order.
"""

from . import (backend, data, gradcheck, interchange, kernels, layers, losses, metrics, models, optim,   # noqa: F401
               penalties)
from .gan import GAN
from .layers import Parallel, Sequential

__version__ = "0.1.0"
__all__ = ["GAN", "Parallel", "Sequential", "backend", "data", "gradcheck", "interchange", "layers", "losses",
           "metrics", "models", "optim", "penalties"]
