"""Every gradient of the library under `gradcheck`: what `tinygan gradcheck` runs."""

import numpy as np

from .. import losses, models
from ..layers import (Augment, AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, Flatten, Fourier,
                      Identity, LeakyReLU, MaxPool2D, MinibatchStd, Pack, Parallel, ReLU, Reshape, Sequential, Sigmoid,
                      Softmax, Softplus, SpectralNorm, Tanh, UpSampling2D, WithLabels)
from .checks import check_layer, check_loss


def _unet():
    """A skip connection around a smaller map, with a residual block inside."""
    block = Parallel([Identity(), Sequential([Conv2D(2, 2, 3), Tanh()], dtype="float64")], "sum")
    return Parallel([Identity(), Sequential([Conv2D(1, 2, 3, stride=2), block, ConvTranspose2D(2, 1, 3, stride=2)],
                                            dtype="float64")])


# (layer, shape of x, train): each layer, in both modes where they differ in rule. A new layer, or a new way to combine
# layers, gets its entries here: `tinygan gradcheck` and the tests go through this list.
LAYERS = [
    (Dense(4, 3), (3, 4), True),
    (Conv2D(2, 3, 3), (2, 5, 4, 2), True),
    (Conv2D(2, 3, (5, 3), stride=(2, 1), padding=((1, 2), (0, 1))), (2, 6, 5, 2), True),
    (Conv2D(3, 2, 5, stride=2), (2, 5, 6, 3), True),
    (ConvTranspose2D(3, 2, 5, stride=2), (2, 3, 2, 3), True),
    (ConvTranspose2D(2, 3, (2, 3), stride=2, padding=1, output_padding=1), (2, 3, 3, 2), True),
    (MaxPool2D(2), (2, 4, 5, 2), True),
    (MaxPool2D(3, stride=2, padding="same"), (2, 5, 4, 2), True),
    (AvgPool2D(3, stride=2, padding="same"), (2, 5, 4, 2), True),
    (UpSampling2D((2, 3)), (2, 3, 2, 2), True),
    (BatchNorm(3), (5, 3), True),
    (BatchNorm(3), (2, 3, 2, 3), True),
    (BatchNorm(3), (2, 3, 2, 3), False),
    (Dropout(0.4), (4, 6), True),
    (Dropout(0.4), (4, 6), False),
    (Flatten(), (2, 3, 2), True),
    (Reshape((3, 2)), (2, 6), True),
    (LeakyReLU(0.2), (4, 6), True),
    (ReLU(), (4, 6), True),
    (Tanh(), (4, 6), True),
    (Sigmoid(), (4, 6), True),
    (Softplus(), (4, 6), True),
    (Fourier(2), (4, 2), True),
    (SpectralNorm(Dense(4, 3)), (3, 4), False),         # in training u and v move on: a constant to the gradient only
    (SpectralNorm(Conv2D(2, 3, 3, stride=2)), (2, 4, 5, 2), False),
    (Pack(2), (4, 2, 3, 2), True),
    (MinibatchStd(), (4, 2, 3, 2), True),
    (Augment(), (1, 8, 8, 1), True),
    (Augment(channels=1), (1, 8, 8, 2), True),
    (WithLabels(3), (3, 2, 2, 5), True),
    (WithLabels(2), (3, 6), True),
    (Dense(4, 3), (2, 3, 4), True),
    (Softmax(), (4, 6), True),
    (Softmax(), (2, 3, 5), True),
    (Identity(), (3, 4), True),
    (Parallel([Dense(3, 1), Dense(3, 4)]), (5, 3), True),
    (Parallel([Identity(), BatchNorm(3)], "sum"), (5, 3), True),
    (_unet(), (2, 4, 6, 1), True),
]

# D after G, end to end: all parameters of both, through every layer between.
NETWORKS = [("mlp", {}), ("dcgan", {"width": 0.05}), ("dcgan_deep", {"width": 0.05})]


def run(seed=0):
    """Yield (group, Report) for every layer, every loss and D∘G end to end; x and cotangents from the seed."""
    rng = np.random.default_rng(seed)
    for layer, shape, train in LAYERS:
        report = check_layer(layer, rng.standard_normal(shape), rng=seed, train=train)
        report.name += "" if train else ", train=False"
        yield "layer", report
    for name in losses.names:
        loss, (r, f) = losses.get(name), rng.standard_normal((2, 6, 1))
        yield "loss", check_loss(loss.d_loss, r, f, name=f"{name}, D")
        yield "loss", check_loss(lambda fake: loss.g_loss(fake, r), f, name=f"{name}, G")
    p, logits = rng.uniform(0.01, 0.99, (6, 1)), 3 * rng.standard_normal((6, 1))
    yield "loss", check_loss(lambda p: losses.bce(p, 0.9), p, name="bce")
    yield "loss", check_loss(lambda l: losses.bce_with_logits(l, 0.9), logits, name="bce_with_logits")
    for name, options in NETWORKS:
        G, D = models.get(name).build(rng=rng, **options)
        x = rng.standard_normal((3, *G.input_shape))
        report = check_layer(Sequential([G, D]), x, rng=seed, directions=1, limit=0)
        report.name = f"D∘G of {name}, {sum(net.theta.size for net in (G, D)):,} parameters"
        yield "network", report
