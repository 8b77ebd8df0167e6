"""PSNR and SSIM: known values, and SSIM's formula written a second time."""

import numpy as np
import pytest

from tinygan import metrics
from tinygan.errors import ShapeError


def test_psnr():
    x = np.zeros((2, 8, 8, 1), "float32")
    y = x + np.array([0.2, 2.0], "float32").reshape(2, 1, 1, 1)
    np.testing.assert_allclose(metrics.psnr(x, y), [20, 0], atol=1e-5)
    assert np.isinf(metrics.psnr(x, x)).all()


def test_ssim_by_windows():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2, 9, 10, 1))
    y = 0.5 * x + 0.3 * rng.standard_normal(x.shape)
    values = np.zeros((2, 3, 4))
    for n, i, j in np.ndindex(values.shape):
        a, b = (v[n, i:i + 7, j:j + 7, 0].reshape(-1) for v in (x, y))
        c, c1, c2 = np.cov(a, b), 0.02**2, 0.06**2
        values[n, i, j] = ((2 * a.mean() * b.mean() + c1) * (2 * c[0, 1] + c2)
                           / ((a.mean()**2 + b.mean()**2 + c1) * (c[0, 0] + c[1, 1] + c2)))
    np.testing.assert_allclose(metrics.ssim(x, y), values.mean((1, 2)), rtol=1e-9)
    np.testing.assert_allclose(metrics.ssim(x, x), 1, rtol=1e-9)


@pytest.mark.parametrize("metric", [metrics.psnr, metrics.ssim])
def test_other_shapes(metric):
    with pytest.raises(ShapeError, match="of one shape"):
        metric(np.zeros((2, 28, 28, 1)), np.zeros((2, 14, 14, 1)))
