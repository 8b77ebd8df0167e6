"""How near a restored picture is to the original, both (N, H, W, C) in [−1, 1]."""

import numpy as np

from ..errors import ShapeError
from ..ops.windows import geometry, windows


def psnr(x, y):
    """Peak signal-to-noise ratio in dB of each picture (N,): 10·log₁₀(2²/mean (x − y)²); 2 is the width of [−1, 1].

    ∞ for equal pictures. Raises ShapeError for arrays of different shapes.
    """
    x, y = _both(x, y)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(4 / ((x - y)**2).mean((1, 2, 3)))


def ssim(x, y, window=7):
    """Structural similarity of each picture (N,), at most 1: the mean over all square windows inside it of

        (2 μx μy + c₁)(2 σxy + c₂) / ((μx² + μy² + c₁)(σx² + σy² + c₂)),    c₁ = (0.01·2)², c₂ = (0.03·2)²

    with the means μ, the unbiased variances σ² and the covariance σxy of a window. Raises ShapeError as `psnr`.
    Source: Wang et al. 2004, eq. 13; uniform windows in the place of Gaussian ones.
    """
    x, y = _both(x, y)
    n, place = window * window, geometry(x.shape[1:3], (window, window), (1, 1), "valid")
    mean = lambda a: windows(a, place).mean((3, 4))
    mx, my, unbiased = mean(x), mean(y), n / (n - 1)
    vx, vy, cov = ((mean(a * b) - p * q) * unbiased for a, b, p, q in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my)))
    c1, c2 = (0.01 * 2)**2, (0.03 * 2)**2
    return ((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean((1, 2, 3))


def _both(x, y):
    """Both in float64."""
    if x.ndim != 4 or x.shape != y.shape:
        raise ShapeError(f"expected two arrays of pictures of one shape (N, H, W, C), got {x.shape} and {y.shape}")
    return np.asarray(x, np.float64), np.asarray(y, np.float64)
