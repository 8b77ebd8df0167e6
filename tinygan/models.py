"""The networks of the literature, as tables of layers, with how they are trained.

    G, D = models.dcgan(rng=0)          two Sequentials, drawn from one seeded generator
    models.get("dcgan")                 the Recipe: the builder and how its networks are trained

`width` scales the number of hidden units or channels: width=0.25 makes a DCGAN that trains in minutes on two
cores. `image` is the shape (H, W, C) of a sample; for the convolutional ones H and W are multiples of 4.

Every builder takes these options for D, each off by default, and the convolutional ones a rate of dropout:
    augment        kinds of differentiable augmentation, such as "translation,cutout" (layers.Augment)
    pack           D judges so many samples at once (layers.Pack)
    spectral       True: every Dense and Conv2D of D under layers.SpectralNorm
    minibatch_std  True: layers.MinibatchStd before the last Dense
    classes        both networks take the class of each sample, one of so many, as channels (layers.WithLabels)
    dropout        of layers.Dropout after each convolution of D (default 0.3; 0: none)
"""

from math import prod
from typing import Callable, NamedTuple

from .errors import ConfigError, choose
from .layers import (Augment, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, Flatten, Fourier, LeakyReLU,
                     MinibatchStd, Pack, ReLU, Reshape, Sequential, SpectralNorm, Tanh, WithLabels)
from .ops.init import generator


def mlp(rng=None, width=1, latent=100, image=(28, 28, 1), dtype="float32", backend="numpy", **options):
    """G latent → 256 → 512 → pixels, tanh; D pixels → 256 → 1. After Goodfellow et al. 2014."""
    c, image = _sizes(width, image)
    G = [*_label_layers(options), Dense(latent + _classes(options), c(256)), LeakyReLU(0.2),
         Dense(c(256), c(512)), LeakyReLU(0.2),
         Dense(c(512), prod(image)), Tanh(), Reshape(image)]
    D = _critic(image, options, lambda shape, last: [
         Flatten(), Dense(prod(shape), c(256)), LeakyReLU(0.2),
         *last(c(256))])
    return _pair(G, D, latent, image, options, rng, dtype, backend)


def dcgan(rng=None, width=1, latent=100, image=(28, 28, 1), init="glorot", dtype="float32", backend="numpy",
          **options):
    """The DCGAN for 28×28 digits of the TensorFlow tutorial, after Radford et al. 2016; slope 0.2."""
    c, image = _sizes(width, image)
    G = [*_label_layers(options), *_project(latent + _classes(options), image, c(256), init),
         *_up(c(256), c(128), 1, init),
         *_up(c(128), c(64), 2, init),
         ConvTranspose2D(c(64), image[2], 5, stride=2, bias=False, init=init), Tanh()]
    return _pair(G, _convolutional(image, options, c, init), latent, image, options, rng, dtype, backend)


def dcgan_deep(rng=None, width=1, latent=100, image=(28, 28, 1), init="glorot", dtype="float32", backend="numpy",
               **options):
    """As `dcgan` with one more transposed convolution to 32 channels; the last then has stride 1."""
    c, image = _sizes(width, image)
    G = [*_label_layers(options), *_project(latent + _classes(options), image, c(256), init),
         *_up(c(256), c(128), 1, init),
         *_up(c(128), c(64), 2, init),
         *_up(c(64), c(32), 2, init),
         ConvTranspose2D(c(32), image[2], 5, stride=1, bias=False, init=init), Tanh()]
    return _pair(G, _convolutional(image, options, c, init), latent, image, options, rng, dtype, backend)


def dcgan_small(rng=None, width=0.25, **options):
    """`dcgan` with a quarter of the channels: trains to recognisable digits in minutes on two cores."""
    return dcgan(rng, width, **options)


def points(rng=None, width=1, latent=2, image=(2,), dtype="float32", backend="numpy", **options):
    """For 2-D mixtures: G latent → 128 → 128 → 2, D 2 → 128 → 128 → 1. After Srivastava et al. 2017 (VEEGAN)."""
    c, image = _sizes(width, image)
    G = [*_label_layers(options), Dense(latent + _classes(options), c(128), init="he"), ReLU(),
         Dense(c(128), c(128), init="he"), ReLU(), Dense(c(128), *image)]
    D = _critic(image, options, lambda shape, last: [
         Dense(*shape, c(128), init="he"), LeakyReLU(0.2), Dense(c(128), c(128), init="he"), LeakyReLU(0.2),
         *last(c(128))])
    return _pair(G, D, latent, image, options, rng, dtype, backend)


def mixture(rng=None, width=1, latent=2, image=(2,), dtype="float32", backend="numpy", **options):
    """For narrow 2-D modes: G latent → 256 → 256 → 2; D on Fourier features (Tancik et al. 2020) → 256 → 256 → 1."""
    c, image = _sizes(width, image)
    G = [*_label_layers(options), Dense(latent + _classes(options), c(256), init="he"), ReLU(),
         Dense(c(256), c(256), init="he"), ReLU(), Dense(c(256), *image)]
    D = _critic(image, options, lambda shape, last: [
         Fourier(4), Dense(9 * shape[0], c(256), init="he"), LeakyReLU(0.2),
         Dense(c(256), c(256), init="he"), LeakyReLU(0.2),
         *last(c(256))])
    return _pair(G, D, latent, image, options, rng, dtype, backend)


def _sizes(width, image):
    """The function from units or channels in the source to those of this model; and the image's shape as a tuple."""
    if not isinstance(image, (tuple, list)):
        raise ConfigError(f"expected image as the shape of a sample, such as (28, 28, 1), got {image!r}")
    return (lambda n: max(1, round(n * width))), tuple(image)


def _project(latent, image, channels, init):
    """Latent vector -> a map of a quarter of the image's height and width."""
    if len(image) != 3 or image[0] % 4 or image[1] % 4:
        raise ConfigError(f"expected image (H, W, C) with H and W multiples of 4, got {image}; resize the images, and "
                          f"see that channels come last (if not: x.transpose(0, 2, 3, 1))")
    small = (image[0] // 4, image[1] // 4, channels)
    return [Dense(latent, prod(small), bias=False, init=init), BatchNorm(prod(small)), LeakyReLU(0.2), Reshape(small)]


def _up(c_in, c_out, stride, init):
    return [ConvTranspose2D(c_in, c_out, 5, stride, bias=False, init=init), BatchNorm(c_out), LeakyReLU(0.2)]


def _convolutional(image, options, c, init):
    rate = options.pop("dropout", 0.3)
    drop = lambda: [Dropout(rate)] if rate else []
    return _critic(image, options, lambda shape, last: [
        Conv2D(shape[2], c(64), 5, stride=2, init=init), LeakyReLU(0.2), *drop(),
        Conv2D(c(64), c(128), 5, stride=2, init=init), LeakyReLU(0.2), *drop(),
        Flatten(), *last(image[0] // 4 * (image[1] // 4) * c(128), init=init)])


def _critic(image, options, layers):
    """D's layers with the options of the module's head; layers: function (shape of what D sees, last) -> list,
    where last(n) gives the layers from n features to the logit."""
    unknown = set(options) - {"augment", "pack", "spectral", "minibatch_std", "classes"}
    if unknown:
        raise ConfigError(f"unknown option {sorted(unknown)[0]!r} of this model; choose among: augment, pack, "
                          f"spectral, minibatch_std, classes, and for dcgan models dropout")
    augment, pack = options.get("augment"), options.get("pack", 1)
    if pack != 1 and options.get("classes"):
        raise ConfigError(f"expected packs or classes, got both (pack {pack}); a pack has no class of its own")

    def last(n, init="glorot"):
        std = options.get("minibatch_std", False)
        return [*([MinibatchStd()] if std else []), Dense(n + std, 1, init=init)]
    body = layers((*image[:-1], image[-1] * pack + _classes(options)), last)
    if options.get("spectral"):
        body = [SpectralNorm(layer) if isinstance(layer, (Dense, Conv2D)) else layer for layer in body]
    changes = [Augment(augment, channels=image[-1] if _classes(options) else None)] if augment else []
    return [*_label_layers(options), *changes, *([Pack(pack)] if pack != 1 else []), *body]


def _classes(options):
    """How many classes the game has, and so how many channels of the input are for them."""
    return options.get("classes") or 0


def _label_layers(options):
    """The layer that reads the class, in a game with classes."""
    return [WithLabels(_classes(options))] if _classes(options) else []


def _pair(G, D, latent, image, options, rng, dtype, backend):
    rng, k = generator(rng), _classes(options)
    return (Sequential(G, rng, dtype, backend, input_shape=(latent + k,)),
            Sequential(D, rng, dtype, backend, input_shape=(*image[:-1], image[-1] + k)))


class Recipe(NamedTuple):
    """How a model is trained unless options say otherwise: batch size, epochs, Adam's learning rate and β₁."""
    build: Callable
    batch: int
    epochs: int
    lr: float = 2e-4
    beta1: float = 0.5


_RECIPES = {"mlp": Recipe(mlp, 128, 200), "dcgan": Recipe(dcgan, 64, 20), "dcgan_deep": Recipe(dcgan_deep, 64, 20),
            "dcgan_small": Recipe(dcgan_small, 32, 20, lr=1e-3),
            "points": Recipe(points, 256, 100, lr=1e-3), "mixture": Recipe(mixture, 256, 100, lr=1e-3, beta1=0.0)}
names = tuple(_RECIPES)


def get(name):
    """The Recipe of this name; ConfigError lists the names there are."""
    return choose("model", name.replace("-", "_") if isinstance(name, str) else name, _RECIPES)
