"""Metrics of digits in the features of a small classifier, which takes the place of the Inception network."""

import numpy as np

from ..errors import DataError
from . import classifier
from .distances import euclidean, frechet_distance, kernel_distance, precision_recall


def digits(images, real, net=None):
    """Metrics of digits (N, 28, 28, 1) against real ones (M, 28, 28, 1), both in [−1, 1] -> dict of floats.

    classes          classes with at least 1% of the samples
    total_variation  ½ Σ over classes of |share of the samples − share of the real images|
    frechet          Fréchet distance of Gaussians fitted to the features (FID)
    kid              unbiased squared MMD of the features with a cubic kernel (KID)
    precision        share of samples in the manifold of the real images, k = 3
    recall           share of real images in the manifold of the samples, k = 3
    nearest          mean Euclidean distance, in pixel units of [−1, 1], to the nearest real image; a value far below
                     the reference value means that training images are copied

    net: a classifier in the place of the bundled one. Raises DataError for fewer than 100 of either, whose feature
    covariances would mean nothing.
    """
    return digits_against(real, net)(images)


def digits_against(real, net=None):
    """The function images -> digits(images, real, net), for several sets of images: `real` is classified once."""
    found = []

    def measure(images):
        if min(len(images), len(real)) < 100:
            raise DataError(f"expected at least 100 digits on both sides, got {len(images)} and {len(real)}; draw more")
        x, p = classifier.predict(images, net)
        found[:] = found or [classifier.predict(real, net)]
        return _compare(images, real, x, p, *found[0])
    return measure


def _compare(images, real, x, p, y, q):
    """The metrics from features x, y and probabilities p, q."""
    shares = [np.bincount(probability.argmax(1), minlength=10) / len(probability) for probability in (p, q)]
    precision, recall = precision_recall(x, y)
    flat = lambda a: a.reshape(len(a), -1)
    nearest = [euclidean(flat(images[i:i + 500]), flat(real)).min(1) for i in range(0, len(images), 500)]
    return {
        "classes": float((shares[0] >= 0.01).sum()),
        "total_variation": float(abs(shares[0] - shares[1]).sum() / 2),
        "frechet": frechet_distance(x, y),
        "kid": kernel_distance(x, y),
        "precision": precision,
        "recall": recall,
        "nearest": float(np.concatenate(nearest).mean()),
    }
