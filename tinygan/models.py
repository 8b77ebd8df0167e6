"""The networks of the literature, as tables of layers, with how they are trained.

    G, D = models.dcgan(rng=0)          two Sequentials, drawn from one seeded generator
    models.get("dcgan")                 the Recipe: the builder and how its networks are trained

`width` scales the number of hidden units or channels: width=0.25 makes a DCGAN that trains in minutes on two
cores. `image` is the shape (H, W, C) of a sample; H and W are multiples of 4 for the convolutional ones for digits,
of 16 for dcgan64, of 32 for dcgan128. All take dtype and backend; the convolutional ones init, the name of a rule.

Every builder takes these options for D, each off by default, and the convolutional ones a rate of dropout:
    augment        kinds of differentiable augmentation, such as "translation,cutout" (layers.Augment)
    pack           D judges so many samples at once (layers.Pack)
    spectral       True: every Dense and Conv2D of D under layers.SpectralNorm
    minibatch_std  True: layers.MinibatchStd before the last Dense
    classes        both networks take the class of each sample, one of so many, as channels (layers.WithLabels)
    dropout        rate after each convolution of D (default 0.3, and none in dcgan64 and dcgan128)
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


def dcgan(rng=None, width=1, latent=100, image=(28, 28, 1), **options):
    """The DCGAN for 28×28 digits of the TensorFlow tutorial, after Radford et al. 2016; slope 0.2."""
    return _dcgan((256, 128, 64), (1, 2, 2), (64, 128), rng, width, latent, image, **options)


def dcgan_deep(rng=None, width=1, latent=100, image=(28, 28, 1), **options):
    """As `dcgan` with one more transposed convolution to 32 channels; the last then has stride 1."""
    return _dcgan((256, 128, 64, 32), (1, 2, 2, 1), (64, 128), rng, width, latent, image, **options)


def dcgan_small(rng=None, width=0.25, **options):
    """`dcgan` with a quarter of the channels: trains to recognisable digits in minutes on two cores."""
    return dcgan(rng, width, **options)


def dcgan64(rng=None, width=1, latent=100, image=(64, 64, 3), dropout=0, **options):
    """The DCGAN of Radford et al. 2016 for 64×64: four stages of stride 2, BatchNorm in D too; slope 0.2."""
    return _dcgan((512, 256, 128, 64), (2,) * 4, (64, 128, 256, 512), rng, width, latent, image, dropout=dropout,
                  norm=True, **options)


def dcgan128(rng=None, width=1, latent=100, image=(128, 128, 3), dropout=0, **options):
    """As `dcgan64` with a fifth stage of 1,024 channels, for 128×128."""
    return _dcgan((1024, 512, 256, 128, 64), (2,) * 5, (64, 128, 256, 512, 1024), rng, width, latent, image,
                  dropout=dropout, norm=True, **options)


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


def _dcgan(up, strides, down, rng, width, latent, image, init="glorot", dtype="float32", backend="numpy", dropout=0.3,
           norm=False, **options):
    """G: a map of up[0] channels, transposed convolutions of these strides to the others and to the image.
    D: convolutions of stride 2 to `down` channels; norm: with BatchNorm in all but the first."""
    c, image = _sizes(width, image)
    up, down = [c(n) for n in up], [c(n) for n in down]
    G = [*_label_layers(options), *_project(latent + _classes(options), image, up[0], init, prod(strides))]
    for a, b, stride in zip(up, up[1:], strides):
        G += [ConvTranspose2D(a, b, 5, stride, bias=False, init=init), BatchNorm(b), LeakyReLU(0.2)]
    G += [ConvTranspose2D(up[-1], image[2], 5, strides[-1], bias=False, init=init), Tanh()]

    def critic(shape, last):
        D = []
        for a, b in zip([shape[2], *down], down):
            normed = norm and len(D) > 0
            D += [Conv2D(a, b, 5, stride=2, bias=not normed, init=init), *([BatchNorm(b)] if normed else []),
                  LeakyReLU(0.2), *([Dropout(dropout)] if dropout else [])]
        return [*D, Flatten(), *last(image[0] * image[1] // 4**len(down) * down[-1], init=init)]
    return _pair(G, _critic(image, options, critic), latent, image, options, rng, dtype, backend)


def _project(latent, image, channels, init, n):
    """Latent vector -> a map of the image's height and width over n."""
    if len(image) != 3 or image[0] % n or image[1] % n:
        raise ConfigError(f"expected image (H, W, C) with H and W multiples of {n}, got {image}; resize the images, "
                          f"and see that channels come last (if not: x.transpose(0, 2, 3, 1))")
    small = (image[0] // n, image[1] // n, channels)
    return [Dense(latent, prod(small), bias=False, init=init), BatchNorm(prod(small)), LeakyReLU(0.2), Reshape(small)]


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
            "dcgan64": Recipe(dcgan64, 64, 20), "dcgan128": Recipe(dcgan128, 32, 20),
            "points": Recipe(points, 256, 100, lr=1e-3), "mixture": Recipe(mixture, 256, 100, lr=1e-3, beta1=0.0)}
names = tuple(_RECIPES)


def for_samples(shape):
    """The name of the model for samples of this shape, unless one is named: (2,) points; (H, W, C) by the height."""
    if len(shape) == 1:
        return "points"
    return "dcgan_small" if shape[0] < 48 else "dcgan64" if shape[0] < 96 else "dcgan128"


def get(name):
    """The Recipe of this name; ConfigError lists the names there are."""
    return choose("model", name.replace("-", "_") if isinstance(name, str) else name, _RECIPES)
