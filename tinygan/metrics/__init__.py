"""Metrics of a generator: host arrays in, plain numbers out.

    metrics.mixture(points, model)      of 2-D points against a data.Mixture, whose modes are known
    metrics.digits(images, real)        of digits against real ones, in the features of a small classifier
    metrics.digits_against(real)        the same as a function of the images, which classifies `real` once
    metrics.psnr(x, y), .ssim(x, y)     of each restored picture against its original

and the distances between two samples that they are made of. Each metric has a reference value: the same metric of as
many real samples that the generator was not trained on. Print both.
"""

from . import classifier
from .distances import energy_distance, frechet_distance, kernel_distance, precision_recall
from .images import digits, digits_against
from .mixtures import mixture
from .restoration import psnr, ssim

__all__ = ["classifier", "digits", "digits_against", "energy_distance", "frechet_distance", "kernel_distance",
           "mixture", "precision_recall", "psnr", "ssim"]
