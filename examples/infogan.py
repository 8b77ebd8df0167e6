"""What chapter 27 uses: the layer Slide, its networks, Q's answer as a function of pictures, and k-means."""

import numpy as np

from tinygan import Parallel, Sequential
from tinygan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, Flatten, LeakyReLU, ReLU, Reshape, Tanh
from tinygan.layers.affine import Affine
from tinygan.ops.random import source

i, u = np.arange(28), np.random.default_rng(0).uniform(-1, 1, (4, 2000, 1))
across = np.rint(0.6 * u[0] * (i - 13.5) + 2 * u[1]).astype(int)                # (2000, 28): of each row
rows = (i[:, None] + np.rint(0.3 * u[2] * (i - 13.5) + 2 * u[3]).astype(int)[:, None]) % 28
SLIDES = (28 * rows + (i + across[np.arange(2000)[:, None, None], rows]) % 28).reshape(2000, 784)


class Slide(Affine):
    """y = P x: one of 2,000 permutations P of the pixels, which slide rows and columns. train=False: y = x."""

    def prepare(self, x, train, rng):
        self.expect(x, "N", 28, 28, 1)
        return SLIDES[source(rng).integers(0, len(SLIDES), (len(x),), x)] if train else None

    def map(self, x, P):
        return x if P is None else np.take_along_axis(x.reshape(len(x), 784), P, 1).reshape(x.shape)

    def adjoint(self, dy, P):
        return self.map(dy, None if P is None else P.argsort(1))


def networks(seed, c=16, dtype="float32"):
    """G: 74 → 16c → 14×14×c/2 → 28×28. D and Q: two convolutions, a dense layer, and two heads: ℓ, and q, m."""
    norm = lambda n, f: [BatchNorm(n), f]
    G = Sequential([Dense(74, 16 * c, bias=False), *norm(16 * c, ReLU()),
                    Dense(16 * c, 98 * c, bias=False), *norm(98 * c, ReLU()), Reshape((14, 14, c // 2)),
                    ConvTranspose2D(c // 2, 1, 4, stride=2), Tanh()], seed, dtype, input_shape=(74,))
    Q = [Dense(8 * c, 8 * c, bias=False), *norm(8 * c, LeakyReLU(0.1)), Dense(8 * c, 12)]
    D = Sequential([Slide(), Conv2D(1, c, 4, stride=2), LeakyReLU(0.1),
                    Conv2D(c, 2 * c, 3, stride=2, bias=False), *norm(2 * c, LeakyReLU(0.1)), Flatten(),
                    Dense(98 * c, 8 * c, bias=False), *norm(8 * c, LeakyReLU(0.1)),
                    Parallel([Dense(8 * c, 1), Sequential(Q, dtype=dtype)])],
                   seed + 100, dtype, input_shape=(28, 28, 1))
    return {f"G{seed}": G, f"D{seed}": D}


def read(D):
    """Q's category of each picture (N,), as a function of pictures."""
    return lambda x: np.concatenate([D.forward(part, train=False)[0][:, 1:11].argmax(1)
                                     for part in np.array_split(x, 20)])


def k_means(x, seed, steps=30):
    """The nearest of ten means (Lloyd's algorithm), as a function of pictures."""
    means = x[np.random.default_rng(seed).choice(len(x), 10, replace=False)].reshape(10, 784)
    nearest = lambda x: ((means**2).sum(1) - 2 * x.reshape(len(x), 784) @ means.T).argmin(1)
    for _ in range(steps):
        k = nearest(x)
        means = np.stack([x[k == j].mean(0).ravel() for j in range(10)])
    return nearest
