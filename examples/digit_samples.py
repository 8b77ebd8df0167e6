"""What chapters 18 and 19 share: a split of the digits, the baselines and the measures. Pictures: (N, 28, 28, 1)."""

import numpy as np

from tinygan import data, metrics


def split(short=False):
    """4,000 digits to train on and 1,000 others, as many of each class; labels of both. short: a tenth of each."""
    x, labels = data.load("mnist5k")
    other, step = np.arange(len(x)) % 5 == 0, 10 if short else 1
    return x[~other][::step], x[other][::step], labels[~other][::step], labels[other][::step]


def draw(G, n, seed):
    """n samples of G, with running statistics."""
    z = np.random.default_rng(seed).standard_normal((n, *G.input_shape))
    return G.forward(z.astype(G.theta.dtype), train=False)[0]


def gaussian(train, n, rng):
    """n draws of the Gaussian with the pixels' means and covariances, clipped to [−1, 1]."""
    flat = train.reshape(len(train), -1)
    mean = flat.mean(0)
    _, s, axes = np.linalg.svd(flat - mean, full_matrices=False)
    drawn = mean + rng.standard_normal((n, len(s))) * s / np.sqrt(len(flat)) @ axes
    return drawn.clip(-1, 1).astype("float32").reshape(n, *train.shape[1:])


def differences(a):
    """The mean squared difference of neighbouring pixels: right and left, upper and lower."""
    return (np.diff(a, axis=1)**2).mean() / 2 + (np.diff(a, axis=2)**2).mean() / 2


def isolated(a):
    """The number of isolated pixels in a picture, on average: brighter by 0.5 than each of their 8 neighbours."""
    padded = np.pad(a[..., 0], ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    around = [padded[:, 1 + i:29 + i, 1 + j:29 + j] for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    return (a[..., 0] > np.max(around, axis=0) + 0.5).sum((1, 2)).mean()


def spread(rows, *places):
    """"mean ± standard deviation" over rows (one for each seed), for each column with so many decimals."""
    columns = zip(np.mean(rows, 0), np.std(rows, 0), places)
    return " ".join(f"{mean:7.{k}f} ± {deviation:.{k}f}" for mean, deviation, k in columns)


def table(pictures, other):
    """Print the measures of pictures, name: [those of each seed], against the other digits."""
    against = metrics.digits_against(other)
    print(f"{'mean ± spread over seeds':24}    Fréchet      precision      recall       differences   isolated pixels")
    for name, seeds in pictures.items():
        rows = [[*map(against(a).get, ("frechet", "precision", "recall")), differences(a), isolated(a)] for a in seeds]
        print(f"{name:24}", spread(rows, 2, 2, 2, 3, 2))


def sheet(rows):
    """Pictures, a list of rows, as one array."""
    return np.concatenate([np.concatenate(list(row[..., 0]), 1) for row in rows])
