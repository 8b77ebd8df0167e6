"""What can be done with the folder of a run: draw samples, measure them."""

import json
from numbers import Integral
from pathlib import Path

import numpy as np

from .. import data, metrics, models
from . import checkpoint
from .config import build, from_options, source
from ..errors import ConfigError, DataError, MissingError


def read_config(path):
    """The options of a run (mapping name -> value) and the shape of a sample, from its config.json.

    Raises MissingError when there is no such file, DataError when it is damaged or of something else.
    """
    try:
        options = json.loads(Path(path).read_text(encoding="utf-8"))
        shape = tuple(options.pop("sample_shape"))
        from_options(options)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(f"expected the config.json of a run at {path}, got no file; it lies in the folder of each "
                           f"run") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, IsADirectoryError) as error:
        raise DataError(f"expected a config.json as tinygan writes it at {path}, got a damaged or foreign one "
                        f"({' '.join(str(error).split())[:100]})") from None
    return options, shape


def load(folder, seed=None):
    """The GAN of a run with the weights that it ended with, on the host. seed: of what it draws from now on.

    Raises MissingError when the folder is not that of a run, DataError when a file in it is damaged.
    """
    folder = Path(folder)
    try:
        options, shape = read_config(folder / "config.json")
    except MissingError:
        raise MissingError(f"expected the folder of a run (with config.json in it), got {folder}; "
                           f"make one with: tinygan train --out {folder}") from None
    config = from_options(options)
    recipe, config.backend = models.get(config.model), "numpy"
    gan = build(config, recipe, shape, 0, seed, 1)
    average = {"average": gan.average.net} if gan.average else {}
    checkpoint.load(folder / "weights.npz", G=gan.G, D=gan.D, **average)
    return gan


def sample(folder, n, seed=None, label=None):
    """n new samples (n, …) float32 from a run's folder, on the host; seed None: fresh noise.

    label: of which class, in a conditional run; by default each in turn. Raises as `load`, and ConfigError for n below
    1 or a label that the run does not know.
    """
    if not (isinstance(n, Integral) and n >= 1):
        raise ConfigError(f"expected a number of samples ≥ 1, got {n!r}")
    gan, rng = load(folder, seed), np.random.default_rng(seed)
    if label is not None and not 0 <= label < gan.classes:
        raise ConfigError(f"expected a label that the run in {folder} knows "
                          f"({f'0 … {gan.classes - 1}' if gan.classes else 'it knows none'}), got {label}")
    labels = (np.arange(n) % gan.classes if label is None else np.full(n, label)) if gan.classes else None
    part = lambda i: None if labels is None else labels[i:i + 256]
    return np.concatenate([gan.sample(z=gan.noise(min(256, n - i), rng), labels=part(i)) for i in range(0, n, 256)])


def evaluate(folder, n=2500, seed=0, held_out=None):
    """How good a run is: (figures, floors), two dicts of the same names (see `metrics`).

    n: samples to draw; seed: of all draws. The floors are the same figures for as many real samples, or for all that
    there are. For digits, samples and floor are compared with the training images, the floor being n images of
    held_out, a data name such as idx:FOLDER (of a set in two parts, its test images); without it, one random half of
    the data is compared with the other. Other pictures of 28 × 28 are seen by the same classifier of digits, which
    cannot name their classes.
    """
    folder, rng = Path(folder), np.random.default_rng(seed)
    samples = sample(folder, n, seed)
    config = from_options(read_config(folder / "config.json")[0])
    real, _, _ = source(config)
    if isinstance(real, data.Mixture):
        if held_out:
            raise ConfigError(f"{config.data!r} is drawn anew as often as one likes, expected no held-out samples, got "
                              f"{held_out!r}; leave out --held-out")
        points = real.sample(n, rng)[0]
        return metrics.mixture(samples, real, points), metrics.mixture(real.sample(n, rng)[0], real, points)
    if held_out:
        unseen, reference = data.load(held_out, held_out=True)[0], real
        if np.array_equal(unseen, real):
            raise ConfigError(f"expected held-out images that the run has not seen, got {held_out!r}, on which it was "
                              f"trained; leave out --held-out to compare one half of them with the other")
        unseen = unseen[rng.permutation(len(unseen))[:n]]
    else:
        order = rng.permutation(len(real))
        reference, unseen = real[order[:len(order) // 2]], real[order[len(order) // 2:]][:n]
    found = metrics.digits(samples, reference), metrics.digits(unseen, reference)
    if config.data not in ("mnist5k", "mnist") and not config.data.startswith("idx:"):
        for figures in found:
            del figures["classes"], figures["total_variation"]
    return found
