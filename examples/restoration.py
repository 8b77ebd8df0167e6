"""What the chapters on restoration share: measurements, classical methods, scores, and a U-Net with its two losses.

Pictures: (N, 28, 28, 1) in [−1, 1]. `where`: the index of the pixels that are restored; by default all.
"""

from pathlib import Path

import numpy as np

from tinygan import Parallel, Sequential, data, losses, metrics, models, optim, penalties
from tinygan.data.files import read_npz
from tinygan.errors import ShapeError
from tinygan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, Flatten, Identity, LeakyReLU, Reshape, Tanh

HOLE = (slice(None), slice(7, 21), slice(7, 21))      # the middle 14×14 pixels
adversarial = losses.get("non_saturating")


def measure(x, A, sigma, rng=0):
    """A x + σ n."""
    y, _ = A.forward(x)
    return y + sigma * np.random.default_rng(rng).standard_normal(y.shape).astype(x.dtype)


def held_out(n, file="held_out_digits"):
    """The first n of 200 held-out digits, 20 of each class: (n, 28, 28, 1) in [−1, 1], and their labels."""
    stored = read_npz(Path(__file__).parent / f"data/{file}.npz")
    return data.scale(stored["images"][:n, ..., None]), stored["labels"][:n]


def test_digits(n):
    """The first n of 2,000 held-out digits, every fifth of MNIST's test set, and their labels."""
    return held_out(n, "test_digits")


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
    """The best linear estimate for the mean and covariance of train."""
    flat, M = train.reshape(len(train), 784), A.forward(np.eye(784, dtype="float32").reshape(784, 28, 28, 1))[0]
    M, m, C = M.reshape(784, -1), flat.mean(0), np.cov(flat.T)
    gain = np.linalg.solve(M.T @ C @ M + (sigma**2 or 0.1) * np.eye(M.shape[1]), M.T @ C)
    return (m + (y.reshape(len(y), -1) - m @ M) @ gain).astype("float32").reshape(-1, 28, 28, 1)


def finish(restored, y, where=...):
    """The restored pixels among those of y that were measured."""
    if where is ...:
        return restored
    whole = y.copy()
    whole[where] = restored[where]
    return whole


def scores(restored, x, labels, where=..., classifier=None):
    """PSNR and SSIM of the restored pixels, and the share of pictures that the classifier reads."""
    read = metrics.classifier.predict(restored, classifier)[1].argmax(1) == labels
    return metrics.psnr(restored[where], x[where]).mean(), metrics.ssim(restored[where], x[where]).mean(), read.mean()


def unet(rng, c=16, d=128, skip=True, dtype="float32"):
    """28 → 14 → 7 → a Dense layer of d numbers → 7 → 14 → 28, the levels of 14 and 7 with a skip connection."""
    after = lambda n: [BatchNorm(n), LeakyReLU(0.2)]
    down = lambda a, b: [Conv2D(a, b, 4, stride=2, bias=False, init="he"), *after(b)]
    up = lambda a, b: [ConvTranspose2D(a, b, 4, stride=2, bias=False, init="he"), *after(b)]
    level = lambda layers: Parallel([*[Identity()] * skip, Sequential(layers, dtype=dtype)])
    whole = level([*down(2 * c, 2 * c), Flatten(), Dense(32 * c, d, bias=False, init="he"), *after(d),
                   Dense(d, 49 * c), Reshape((7, 7, c))])                           # it sees the whole picture
    inner = level([*down(c, 2 * c), whole, *up(c + 2 * c * skip, c)])
    return Sequential([*down(1, c), inner, ConvTranspose2D(c + c * skip, 1, 4, stride=2), Tanh()], rng, dtype)


def g_objective(G, D, seen, x, w, where=...):
    """mean |x̂ − x| + w·mean(−log D(x̂, seen)) for x̂ = G(seen): the loss, its gradient in θ_G, and x̂."""
    drawn, g_cache = G.forward(seen)
    if drawn.shape != x.shape:
        raise ShapeError(f"expected originals of shape {drawn.shape}, as G gives them, got {x.shape}; resize them")
    restored, dx = finish(drawn, x, where), np.zeros_like(x)
    error = (restored - x)[where]
    loss, dx[where] = abs(error).mean(), np.sign(error) / error.size
    if w:
        logits, d_cache = D.forward(np.concatenate([restored, seen], -1))
        fooled, dlogits = adversarial.g_loss(logits)
        loss = loss + w * fooled
        dx[where] += w * D.backward(dlogits, d_cache)[..., :1][where]
    grads = G.zero_grads()
    G.backward(dx, g_cache, grads)
    return loss, grads, restored


def d_objective(D, seen, x, restored, gamma):
    """mean(−log D(x, seen)) + mean(−log(1 − D(x̂, seen))) + R1, and the gradient in θ_D."""
    pairs, others = np.concatenate([x, seen], -1), np.concatenate([restored, seen], -1)
    (real, real_cache), (fake, fake_cache) = D.forward(pairs), D.forward(others)
    loss, dreal, dfake = adversarial.d_loss(real, fake)
    grads = D.zero_grads()
    D.backward(dreal, real_cache, grads)
    D.backward(dfake, fake_cache, grads)
    return loss + penalties.r1(D, pairs, gamma, grads), grads


def fit(see, train, w, seed, steps, where=..., batch=32, gamma=0.1, skip=True):
    """G trained on pairs (see(x), x)."""
    G, (_, D) = unet(seed, skip=skip), models.dcgan_small(rng=seed, image=(28, 28, 2), dropout=0)
    g_opt, d_opt = optim.Adam(optim.cosine(2e-3, steps, 0.02)), optim.Adam(optim.cosine(1e-3, steps, 0.1), beta2=0.99)
    batches = data.Batches(train, batch, rng=seed)
    for _ in range(steps):
        x = next(batches)
        seen = see(x)
        _, grads, restored = g_objective(G, D, seen, x, w, where)
        if w:
            d_opt.step(D, d_objective(D, seen, x, restored, gamma)[1])
        g_opt.step(G, grads)
    return G
