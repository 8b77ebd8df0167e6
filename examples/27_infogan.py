# %%
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tinygan import GAN, Parallel, Sequential, data, optim
from tinygan.data.files import read_npz
from tinygan.errors import ConfigError
from tinygan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, Flatten, LeakyReLU, ReLU, Reshape, Tanh
from tinygan.layers.affine import Affine
from tinygan.ops.random import source

SHORT, here = "TINYGAN_SHORT" in os.environ, Path(__file__).parent if "__file__" in globals() else Path()
STEPS, SEEDS = 2 if SHORT else 10_000, 3
i, u = np.arange(28), np.random.default_rng(0).uniform(-1, 1, (4, 2000, 1))
across = np.rint(0.6 * u[0] * (i - 13.5) + 2 * u[1]).astype(int)                # (2000, 28): of each row
rows = (i[:, None] + np.rint(0.3 * u[2] * (i - 13.5) + 2 * u[3]).astype(int)[:, None]) % 28
columns = (i + across[np.arange(2000)[:, None, None], rows]) % 28
SLIDES = (28 * rows + columns).reshape(2000, 784)


class Slide(Affine):
    """y = P x: one of 2,000 permutations P of the pixels, which slide rows and columns. train=False: y = x."""

    def prepare(self, x, train, rng):
        self.expect(x, "N", 28, 28, 1)
        return SLIDES[source(rng).integers(0, len(SLIDES), (len(x),), x)] if train else None

    def map(self, x, P):
        return x if P is None else np.take_along_axis(x.reshape(len(x), 784), P, 1).reshape(x.shape)

    def adjoint(self, dy, P):
        if P is None:
            return dy
        dx = np.empty_like(dy, shape=(len(dy), 784))
        np.put_along_axis(dx, P, dy.reshape(len(dy), 784), 1)
        return dx.reshape(dy.shape)


def networks(seed, c=16, dtype="float32"):
    """G: 74 → 16c → 14×14×c/2 → 28×28. D and Q: two convolutions, a dense layer, and two heads: ℓ, and q, μ."""
    norm = lambda n, f: [BatchNorm(n), f]
    G = Sequential([Dense(74, 16 * c, bias=False), *norm(16 * c, ReLU()),
                    Dense(16 * c, 98 * c, bias=False), *norm(98 * c, ReLU()), Reshape((14, 14, c // 2)),
                    ConvTranspose2D(c // 2, 1, 4, stride=2), Tanh()], seed, dtype, input_shape=(74,))
    Q = [Dense(8 * c, 8 * c, bias=False), *norm(8 * c, LeakyReLU(0.1)), Dense(8 * c, 12)]
    D = Sequential([Slide(), Conv2D(1, c, 4, stride=2), LeakyReLU(0.1),
                    Conv2D(c, 2 * c, 3, stride=2, bias=False), *norm(2 * c, LeakyReLU(0.1)), Flatten(),
                    Dense(98 * c, 8 * c, bias=False), *norm(8 * c, LeakyReLU(0.1)),
                    Parallel([Dense(8 * c, 1), Sequential(Q)])], seed + 100, dtype, input_shape=(28, 28, 1))
    return G, D


def codes(k, u):
    """Categories k (N,) in 0…9 and numbers u (N, 2) in [−1, 1] as rows (N, 12)."""
    k, u = np.asarray(k), np.asarray(u)
    if k.min() < 0 or k.max() > 9 or not abs(u).max() <= 1:
        raise ConfigError(f"expected categories 0 to 9 and numbers in [-1, 1], got {k.min()} to {k.max()} and "
                          f"{u.min():g} to {u.max():g}; Q was trained on no others")
    return np.concatenate([np.eye(10)[k], u], axis=1)


def latent(rng, shape, dtype):
    """Rows (N, 74): 62 normal numbers, σ = 0.1, and a code, each category as often as the others."""
    n, _ = shape
    c = codes(rng.permutation(n) % 10, rng.uniform(-1, 1, (n, 2)))
    return np.concatenate([0.1 * rng.standard_normal((n, 62)), c], axis=1).astype(dtype)


def q_loss(columns, z, lam=0.5, lam_c=0.3):
    """−λ log Q of the category − λ_c log Q of the numbers, and its gradient in Q's columns (N, 12)."""
    k, gap, q = z[:, 62:72], columns[:, 10:] - z[:, 72:], columns[:, :10]
    logs = q - q.max(1, keepdims=True)
    logs = logs - np.log(np.exp(logs).sum(1, keepdims=True))
    loss = -lam * (k * logs).sum() + lam_c / 2 * (gap**2).sum()
    return loss / len(z), np.concatenate([lam * (np.exp(logs) - k), lam_c * gap], axis=1) / len(z)


def trained(seed, callbacks=()):
    """G and D, with Q, of this seed."""
    rate, (G, D) = optim.anneal(1e-3, 3e-4, STEPS), networks(seed)
    gan = GAN(G, D, "non_saturating", optim.Adam(rate), optim.Adam(rate), latent=latent, noise_std=0.2, rng=seed,
              auxiliary=q_loss)
    gan.train(data.Batches(train, 64, rng=seed), STEPS, callbacks)
    return G, D


train, labels = data.load("mnist5k")
