"""What chapter 27 uses: views of digits, its networks, Q's answer as a function of pictures, and k-means."""

import numpy as np

from tinygan import Parallel, Sequential
from tinygan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, Flatten, LeakyReLU, ReLU, Reshape, Tanh

# 4,000 random views: turned by up to 0.35 rad, slanted and zoomed by up to 0.3, moved by up to 2 pixels.
centre, u = np.indices((28, 28)) - 13.5, np.random.default_rng(0).uniform(-1, 1, (6, 4000, 1, 1))
turn, slant, zoom, wide, down, right = (size * part for size, part in zip((0.35, 0.3, 0.3, 0.3, 2, 2), u))
i = np.exp(zoom) * (np.cos(turn) * centre[0] - np.sin(turn) * centre[1])
j = np.exp(wide) * (np.sin(turn) * centre[0] + np.cos(turn) * centre[1]) + slant * i
i, j = (np.rint(at + 13.5).clip(0, 27).astype(int) for at in (i + down, j + right))
VIEWS = (28 * i + j).reshape(4000, 784)     # of each pixel of a view, the pixel that it shows


def view(x, rng):
    """Digits (N, 28, 28, 1), each turned, slanted, zoomed and moved at random, with noise; rng: a NumPy generator."""
    y = np.take_along_axis(x.reshape(len(x), 784), VIEWS[rng.integers(4000, size=len(x))], 1)
    return (y + 0.2 * rng.standard_normal(y.shape)).reshape(x.shape).astype(x.dtype)


def networks(seed, c=16, dtype="float32"):
    """G: 74 → 16c → 14×14×c/2 → 28×28. D and Q: two convolutions, a dense layer, and two heads: ℓ, and q, m."""
    norm = lambda n, f: [BatchNorm(n), f]
    G = Sequential([Dense(74, 16 * c, bias=False), *norm(16 * c, ReLU()),
                    Dense(16 * c, 98 * c, bias=False), *norm(98 * c, ReLU()), Reshape((14, 14, c // 2)),
                    ConvTranspose2D(c // 2, 1, 4, stride=2), Tanh()], seed, dtype, input_shape=(74,))
    Q = [Dense(8 * c, 8 * c, bias=False), *norm(8 * c, LeakyReLU(0.1)), Dense(8 * c, 12)]
    D = Sequential([Conv2D(1, c, 4, stride=2), LeakyReLU(0.1),
                    Conv2D(c, 2 * c, 3, stride=2, bias=False), *norm(2 * c, LeakyReLU(0.1)), Flatten(),
                    Dense(98 * c, 8 * c, bias=False), *norm(8 * c, LeakyReLU(0.1)),
                    Parallel([Dense(8 * c, 1), Sequential(Q, dtype=dtype)])],
                   seed + 100, dtype, input_shape=(28, 28, 1))
    return {f"G{seed}": G, f"D{seed}": D}


def log_softmax(q):
    """log(exp q / Σ exp q) over the last axis of logits q (N, K)."""
    shifted = q - q.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


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
