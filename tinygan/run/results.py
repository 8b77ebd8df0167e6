"""Use the folder of a run: load its GAN, draw samples, compute metrics, restore a picture."""

import json
from numbers import Integral
from pathlib import Path

import numpy as np

from .. import data, inversion, metrics
from ..errors import ConfigError, DataError, MissingError, ShapeError
from . import checkpoint
from .config import build, from_options, source


def read_config(path):
    """The options of a run (mapping name -> value) and the shape of a sample, from its config.json.

    Raises MissingError if there is no such file, DataError if it is damaged or not a config.json of a run.
    """
    try:
        options = json.loads(Path(path).read_text(encoding="utf-8"))
        shape = tuple(options.pop("sample_shape"))
        options.setdefault("plain", True)       # written before there were other settings
        from_options(options)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(f"expected the config.json of a run at {path}, got no file; each run has one in its "
                           f"folder") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, IsADirectoryError) as error:
        raise DataError(f"expected a config.json as tinygan writes it at {path}, got a damaged or foreign one "
                        f"({' '.join(str(error).split())[:100]})") from None
    return options, shape


def load(folder, seed=None):
    """The GAN of a run with its final weights, on the host.  seed: of the random numbers that it draws from now on.

    Raises MissingError if the folder is not that of a run, DataError if a file in it is damaged.
    """
    folder = Path(folder)
    try:
        options, shape = read_config(folder / "config.json")
    except MissingError:
        raise MissingError(f"expected the folder of a run (with config.json in it), got {folder}; "
                           f"make one with: tinygan train --out {folder}") from None
    config = from_options(options)
    recipe, config.backend = config.resolve(shape), "numpy"
    gan = build(config, recipe, shape, 0, seed, 1)
    average = {"average": gan.average.net} if gan.average else {}
    checkpoint.load(folder / "weights.npz", G=gan.G, D=gan.D, **average)
    return gan


def sample(folder, n, seed=None, label=None):
    """n new samples (n, …) float32 of a run, on the host.  seed: of the latent vectors; None: a random one.

    label: the class, in a conditional run; by default each class in turn. Raises as `load`, and ConfigError for n < 1
    or a label that is not one of the run's classes.
    """
    if not (isinstance(n, Integral) and n >= 1):
        raise ConfigError(f"expected a number of samples ≥ 1, got {n!r}")
    gan, rng = load(folder, seed), np.random.default_rng(seed)
    if label is not None and not 0 <= label < gan.classes:
        raise ConfigError(f"expected one of the classes of the run in {folder} "
                          f"({f'0 … {gan.classes - 1}' if gan.classes else 'it has none'}), got {label}")
    labels = (np.arange(n) % gan.classes if label is None else np.full(n, label)) if gan.classes else None
    part = lambda i: None if labels is None else labels[i:i + 256]
    return np.concatenate([gan.sample(z=gan.noise(min(256, n - i), rng), labels=part(i)) for i in range(0, n, 256)])


def evaluate(folder, n=2500, seed=0, held_out=None):
    """Metrics of a run and their reference values, measured on real data: two dicts of the same names (see `metrics`).

    n: number of samples; seed: of all draws. A reference value is the same metric of n real samples, or of all that
    there are. For digits, the generated and the real samples are compared with the training images; the real ones are
    n images of held_out, a data name such as idx:FOLDER (of a set with a test part, its test images). Without held_out,
    one random half of the data is compared with the other. Other images of 28 × 28 are compared in the features of the
    same classifier of digits, without the metrics of its classes.
    """
    folder, rng = Path(folder), np.random.default_rng(seed)
    samples = sample(folder, n, seed)
    config = from_options(read_config(folder / "config.json")[0])
    real, _, _ = source(config)
    if isinstance(real, data.Mixture):
        if held_out:
            raise ConfigError(f"expected no held-out samples for {config.data!r}, from which new ones are drawn, got "
                              f"{held_out!r}; leave out --held-out")
        points = real.sample(n, rng)[0]
        return metrics.mixture(samples, real, points), metrics.mixture(real.sample(n, rng)[0], real, points)
    if held_out:
        unseen, training = data.load(held_out, held_out=True)[0], real
        if np.array_equal(unseen, real):
            raise ConfigError(f"expected held-out images, got {held_out!r}, on which the run was trained; leave out "
                              f"--held-out to compare one half of them with the other")
        unseen = unseen[rng.permutation(len(unseen))[:n]]
    else:
        order = rng.permutation(len(real))
        training, unseen = real[order[:len(order) // 2]], real[order[len(order) // 2:]][:n]
    measure = metrics.digits_against(training)
    found = measure(samples), measure(unseen)
    if config.data not in ("mnist5k", "mnist") and not config.data.startswith("idx:"):
        for values in found:
            del values["classes"], values["total_variation"]
    return found


def restore(folder, picture, mask, lam=0.1, restarts=8, steps=200, seed=0):
    """The picture (H, W, C) with the pixels where mask is 0 filled in by G, found by a search in its latent space.

    picture: float in [−1, 1], of the shape of the run's samples; mask (H, W): 1 where a pixel is measured, 0 where it
    is missing. The search minimises ‖mask·(G(z) − picture)‖² + λ‖z‖² (see `inversion`); seed: of its random starts.
    Measured pixels are kept. Raises as `load`, ConfigError for a conditional run or one of points, ShapeError for a
    picture or a mask of another shape, DataError for other pixels.
    """
    gan = load(folder, seed)
    shape, G = read_config(Path(folder) / "config.json")[1], gan.average.net if gan.average else gan.G
    if gan.classes or len(shape) != 3:
        raise ConfigError(f"expected a run of pictures without labels in {folder}, got one of "
                          f"{f'{gan.classes} classes' if gan.classes else f'samples {shape}'}; train it without them")
    for name, found, expected in ("picture", picture, shape), ("mask", mask, shape[:2]):
        if np.shape(found) != expected:
            raise ShapeError(f"expected a {name} of shape {expected}, that of the samples of the run in {folder}, got "
                             f"{np.shape(found)}; resize it")
    if not np.abs(picture).max() <= 1:
        raise DataError(f"expected pixels in [−1, 1], got numbers up to {np.abs(picture).max()}; for bytes of 0 … 255 "
                        f"use data.scale")
    known = inversion.Mask(np.broadcast_to(np.asarray(mask)[..., None], shape))
    y, _ = known.forward(np.asarray(picture, G.theta.dtype)[None])
    z = inversion.search(y, known, G, lam, restarts=restarts, steps=steps, rng=seed)
    return np.where(known.mask, picture, G.forward(z, train=False)[0][0])
