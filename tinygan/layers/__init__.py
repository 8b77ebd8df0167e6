"""Layers: each with forward, backward, jvp and jvp_backward, written by hand (see `base.py`)."""

from .activations import LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from .augment import Augment
from .base import Affine, Layer, Pointwise
from .conv2d import Conv2D
from .conv_transpose2d import ConvTranspose2D
from .dense import Dense
from .dropout import Dropout
from .fourier import Fourier
from .labels import WithLabels
from .minibatch import MinibatchStd, Pack
from .norm import BatchNorm
from .pool import AvgPool2D, MaxPool2D, UpSampling2D
from .shape import Flatten, Reshape
from .spectral import SpectralNorm

__all__ = ["Affine", "Augment", "AvgPool2D", "BatchNorm", "Conv2D", "ConvTranspose2D", "Dense", "Dropout", "Flatten",
           "Fourier", "Layer", "LeakyReLU", "MaxPool2D", "MinibatchStd", "Pack", "Pointwise", "ReLU", "Reshape",
           "Sigmoid", "Softplus", "SpectralNorm", "Tanh", "UpSampling2D",
           "WithLabels"]
