"""tinygan: generative adversarial networks with nothing hidden.

Every backward pass is written by hand, on NumPy or CuPy arrays, and checked to second order.
"""

from . import backend, data, gradcheck, interchange, latent, layers, losses, metrics, models, optim, penalties
from .gan import GAN, every
from .net import Sequential

__version__ = "0.1.0"
__all__ = ["GAN", "Sequential", "backend", "data", "every", "gradcheck", "interchange", "latent", "layers", "losses",
           "metrics", "models", "optim", "penalties"]
