"""A small trained classifier of digits, whose features and classes `metrics.digits` compares.

It was trained with tinygan itself on the bundled 5,000 digits by benchmarks/train_classifier.py; its accuracy on
MNIST's 10,000 test images is stated in classifier.txt, beside the weights.
"""

import functools
from pathlib import Path

import numpy as np

from ..backend import array_module
from ..data.files import read_npz
from ..errors import ShapeError
from ..layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from ..layers import Sequential

WEIGHTS = Path(__file__).with_name("classifier.npz")
FEATURES = 64   # the width of the last hidden layer


def build(rng=None):
    """The network: digits (N, 28, 28, 1) in [−1, 1] -> logits (N, 10)."""
    return Sequential([
        Conv2D(1, 32, 3, init="he", bias=False), BatchNorm(32), ReLU(),
        Conv2D(32, 32, 3, init="he", bias=False), BatchNorm(32), ReLU(), MaxPool2D(2), Dropout(0.2),
        Conv2D(32, 64, 3, init="he", bias=False), BatchNorm(64), ReLU(), MaxPool2D(2), Dropout(0.2),
        Flatten(), Dense(7 * 7 * 64, FEATURES, init="he", bias=False), BatchNorm(FEATURES), ReLU(), Dropout(0.4),
        Dense(FEATURES, 10)], rng, input_shape=(28, 28, 1))


def cross_entropy(logits, labels):
    """−meanₙ log softmax(logitsₙ)[labelₙ] and its gradient (softmax − one-hot)/N.

    logits (N, K) float; labels (N,) integers in 0 … K−1 -> loss (0-d), dlogits (N, K).
    """
    xp = array_module(logits)
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - xp.log(xp.exp(shifted).sum(1, keepdims=True))
    target = (labels[:, None] == xp.arange(logits.shape[1])).astype(logits.dtype)
    return -(target * log_p).sum() / len(logits), (xp.exp(log_p) - target) / len(logits)


@functools.cache
def trained():
    """The trained network, read once."""
    net, stored = build(), read_npz(WEIGHTS, "the weights of the digit classifier")
    for prefix, arrays in (("classifier.", net.params), ("classifier.state.", net.state)):
        for name, array in arrays.items():
            array[...] = stored[prefix + name]
    return net


def predict(images, net=None, batch=500):
    """Features (N, 64), the last hidden layer, and probabilities (N, 10) of digits (N, 28, 28, 1) in [−1, 1].

    net: a network like that of `build`; by default the trained one. Raises ShapeError for images of another shape.
    """
    net = net or trained()
    if images.ndim != 4 or images.shape[1:] != (28, 28, 1):
        raise ShapeError(f"the classifier expected digits (N, 28, 28, 1), got {images.shape}; it was trained on MNIST "
                         f"only")
    features, logits = [], []
    head = net.layers[-1]
    for start in range(0, len(images), batch):
        x = np.ascontiguousarray(images[start:start + batch], np.float32)
        for layer in net.layers[:-1]:
            x, _ = layer.forward(x, train=False)
        features.append(x)
        logits.append(head.forward(x)[0])
    logits = np.concatenate(logits).astype(np.float64)
    p = np.exp(logits - logits.max(1, keepdims=True))
    return np.concatenate(features), p / p.sum(1, keepdims=True)
