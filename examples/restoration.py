"""Measurements, classical methods and scores of chapters 25 and 26; 20 and 21 use some. Pictures: (N, 28, 28, 1)."""

from pathlib import Path

import numpy as np

from tinygan import data, metrics
from tinygan.data.files import read_npz
from tinygan.errors import ShapeError
from tinygan.layers.affine import Affine

HOLE = (slice(None), slice(7, 21), slice(7, 21))      # the middle 14×14 pixels


class Mask(Affine):
    """y = mask·x, with a mask (H, W, C) of 0 and 1."""

    def __init__(self, mask):
        if np.ndim(mask) != 3 or not np.isin(mask, (0, 1)).all():
            raise ShapeError(f"expected a mask (H, W, C) of 0 and 1, got shape {np.shape(mask)}; give each pixel's")
        self.mask = np.asarray(mask)
        super().__init__()

    def prepare(self, x, train, rng):
        self.expect(x, "N", *self.mask.shape)

    def map(self, x, ctx):
        return x * self.mask.astype(x.dtype)

    adjoint = map


def measure(x, A, sigma, rng=0):
    """A x + σ n."""
    y, _ = A.forward(x)
    return y + sigma * np.random.default_rng(rng).standard_normal(y.shape).astype(x.dtype)


def held_out(n):
    """The first n held-out digits (n, 28, 28, 1) in [−1, 1] and their labels."""
    stored = read_npz(Path(__file__).parent / "data/held_out_digits.npz")
    return data.scale(stored["images"][:n, ..., None]), stored["labels"][:n]


def harmonic(y):
    """The hole filled by the solution of Laplace's equation."""
    one, beside, inside = np.eye(14), np.eye(14, k=1) + np.eye(14, k=-1), y.copy()
    L = 4 * np.eye(196) - np.kron(one, beside) - np.kron(beside, one)
    inside[HOLE] = 0
    around = sum(np.roll(inside, shift, axis) for shift in (1, -1) for axis in (1, 2))[HOLE].reshape(len(y), 196)
    inside[HOLE] = np.linalg.solve(L, around.T).T.reshape(-1, 14, 14, 1)
    return inside


def bicubic(y):
    """7×7 → 28×28; beyond the border the nearest pixel continues."""
    t, rows = (np.arange(28) + 0.5) / 4 - 0.5, np.zeros((28, 7))
    for k in range(-2, 9):
        d = abs(t - k)
        near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
        rows[:, np.clip(k, 0, 6)] += np.where(d < 1, near, np.where(d < 2, far, 0))
    return np.einsum("ai,bj,nijc->nabc", rows, rows, y).clip(-1, 1).astype(y.dtype)


def nearest(y, A, train):
    """The training digit whose measurement is nearest to y."""
    rows, bank = y.reshape(len(y), -1), A.forward(train)[0].reshape(len(train), -1)
    return train[((bank**2).sum(1) - 2 * rows @ bank.T).argmin(1)]


def linear(y, A, sigma, train):
    """The best linear estimate."""
    flat, M = train.reshape(len(train), 784), A.forward(np.eye(784, dtype="float32").reshape(784, 28, 28, 1))[0]
    M, m, C = M.reshape(784, -1), flat.mean(0), np.cov(flat.T)
    gain = np.linalg.solve(M.T @ C @ M + (sigma**2 or 0.1) * np.eye(M.shape[1]), M.T @ C)
    return (m + (y.reshape(len(y), -1) - m @ M) @ gain).clip(-1, 1).astype("float32").reshape(-1, 28, 28, 1)


def finish(restored, y, where=None):
    """With a hole, pixels `where` (an index) that were not measured, the measured ones are kept."""
    if where is None:
        return restored
    whole = y.copy()
    whole[where] = restored[where]
    return whole


def scores(restored, x, labels, where=None):
    """PSNR and SSIM (in the hole only, if there is one), and the share of digits that the classifier reads."""
    part = ... if where is None else where
    read = metrics.classifier.predict(restored)[1].argmax(1) == labels
    return metrics.psnr(restored[part], x[part]).mean(), metrics.ssim(restored[part], x[part]).mean(), read.mean()
