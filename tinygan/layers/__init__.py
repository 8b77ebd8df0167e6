"""Layers: each with forward, backward, jvp and jvp_backward, written by hand (see `base.py`)."""

from .activations import LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from .affine import Affine
from .augment import Augment
from .base import Layer
from .conv2d import Conv2D
from .conv_transpose2d import ConvTranspose2D
from .dense import Dense
from .dropout import Dropout
from .fourier import Fourier
from .labels import WithLabels, with_classes
from .minibatch import MinibatchStd, Pack
from .norm import BatchNorm
from .parallel import Parallel
from .pointwise import Pointwise
from .pool import AvgPool2D, MaxPool2D, UpSampling2D
from .sequential import Sequential
from .shape import Flatten, Identity, Reshape
from .softmax import Softmax
from .spectral import SpectralNorm

__all__ = ["Affine", "Augment", "AvgPool2D", "BatchNorm", "Conv2D", "ConvTranspose2D", "Dense", "Dropout", "Flatten",
           "Fourier", "Identity", "Layer", "LeakyReLU", "MaxPool2D", "MinibatchStd", "Pack", "Parallel", "Pointwise",
           "ReLU", "Reshape", "Sequential", "Sigmoid", "Softmax", "Softplus", "SpectralNorm", "Tanh", "UpSampling2D",
           "WithLabels", "with_classes"]
