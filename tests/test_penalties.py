"""Penalties: exact for every parameter and for the input, through every layer, by differences and by torch."""

import numpy as np
import pytest

from tinygan import GAN, Sequential, backend, gradcheck, models, optim, penalties
from tinygan.errors import ConfigError, ShapeError
from tinygan.layers import (AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, Flatten, Fourier, LeakyReLU,
                            MaxPool2D, Pack, ReLU, Reshape, Sigmoid, Softplus, Tanh, UpSampling2D)

EPS = np.array([0.2, 0.9, 0.5, 0.4])


def images():
    """A D with every kind of layer between image and logit."""
    return Sequential([Conv2D(1, 3, 3, 2), Softplus(), MaxPool2D(2, 1, "same"), ConvTranspose2D(3, 2, 2, 2), Tanh(),
                       BatchNorm(2), UpSampling2D(2), AvgPool2D(2), Dropout(0.2), Flatten(), Dense(72, 6), Sigmoid(),
                       Reshape((2, 3)), Flatten(), LeakyReLU(), Dense(6, 4), ReLU(), Dense(4, 1)], 3, "float64")


def points():
    return Sequential([Fourier(1), Dense(6, 8), Softplus(), Dense(8, 5), Tanh(), Dense(5, 1)], 0, "float64")


def batches(D, seed=1):
    shape = (4, 2) if isinstance(D.layers[0], Fourier) else (4, 6, 6, 1)
    return np.random.default_rng(seed).standard_normal((2, *shape))


PENALTIES = {
    "r1": lambda D, x, xf, g: penalties.r1(D, x, 0.7, g, rng=5),
    "r2": lambda D, x, xf, g: penalties.r2(D, xf, 0.7, g, rng=5),
    "wgan_gp": lambda D, x, xf, g: penalties.wgan_gp(D, x, xf, 10.0, g, eps=EPS, rng=5),
    "wgan_lp": lambda D, x, xf, g: penalties.wgan_gp(D, x, xf, 10.0, g, eps=EPS, rng=5, one_sided=True),
    "zero_gp": lambda D, x, xf, g: penalties.zero_gp(D, x, xf, 2.0, g, eps=EPS, rng=5),
    "dragan": lambda D, x, xf, g: penalties.dragan(D, x, 3.0, g, rng=5),
}


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("build", [points, images])
def test_every_parameter_against_differences(name, build):
    D = build()
    x, x_fake = batches(D)
    D.params[list(D.params)[-2]][...] *= 30     # norms above 1, so that the one-sided penalty has something to do
    grads, theta = D.zero_grads(), D.theta
    value = PENALTIES[name](D, x, x_fake, grads)
    assert value > 0 and value.shape == ()

    def moved(i):
        origin = theta[i]

        def f(h):
            theta[i] = origin + h
            try:
                return np.asarray(PENALTIES[name](D, x, x_fake, D.zero_grads()))
            finally:
                theta[i] = origin
        return f
    # Of each array of parameters an element; where there are few arrays, more.
    choose, tried, start = np.random.default_rng(0), [], 0
    for shape in D.params.shapes.values():
        size = int(np.prod(shape))
        tried += list(start + choose.permutation(size)[:1 if build is images else 3])
        start += size
    numerical = np.array([gradcheck.derivative(moved(i))[0] for i in tried])
    scale = max(abs(grads.vector).max(), 1e-3)
    assert abs(grads.vector[tried] - numerical).max() <= 1e-8 * scale
    assert np.count_nonzero(numerical) > 0.7 * len(tried)
    # Along a direction in all parameters at once.
    r = np.sign(grads.vector) * np.random.default_rng(1).uniform(0.5, 1.5, theta.size) / theta.size**0.5
    origin = theta.copy()

    def along(h):
        theta[...] = origin + h * r
        value = np.asarray(PENALTIES[name](D, x, x_fake, D.zero_grads()))
        theta[...] = origin
        return value
    estimate, _ = gradcheck.derivative(along)
    assert abs(estimate - grads.vector @ r) <= 1e-8 * max(abs(estimate), 1e-3)


@pytest.mark.parametrize("build", [points, images])
def test_the_free_oracle(build):
    """The dtx of jvp_backward(0, 1) is v itself, and dx is the derivative of the penalty in the input."""
    D = build()
    x, u = batches(D)
    y, cache = D.forward(x, rng=np.random.default_rng(5))
    v = D.backward(np.ones_like(y), cache)
    _, tcache = D.jvp(u, cache)
    dx, dtx = D.jvp_backward(np.zeros_like(y), np.ones_like(y), cache, tcache)
    np.testing.assert_allclose(dtx, v, rtol=1e-12, atol=1e-14)

    def moved(h):
        logits, cache = D.forward(x + h * direction, rng=np.random.default_rng(5))
        return np.asarray((D.backward(np.ones_like(logits), cache) * u).sum())
    direction = np.random.default_rng(2).standard_normal(x.shape) / x.size**0.5
    estimate, _ = gradcheck.derivative(moved)
    assert abs(estimate - (dx * direction).sum()) <= 1e-8 * max(abs(estimate), 1e-3)


def test_values():
    D = Sequential([Dense(3, 1)], 0, "float64")
    w, x = D.params["0.W"][:, 0], np.random.default_rng(0).standard_normal((5, 3))
    square, norm = (w * w).sum(), np.sqrt((w * w).sum())
    for f, expected, gradient in [
            (lambda g: penalties.r1(D, x, 0.8, g), 0.4 * square, 0.8 * w),       # (γ/2)‖w‖²
            (lambda g: penalties.wgan_gp(D, x, -x, 10.0, g, rng=0), 10 * (norm - 1)**2, 20 * (1 - 1 / norm) * w)]:
        np.testing.assert_allclose(f(grads := D.zero_grads()), expected, rtol=1e-12)
        np.testing.assert_allclose(grads["0.W"][:, 0], gradient, rtol=1e-12)
        assert not grads["0.b"].any()


def test_norms_are_of_samples_not_of_the_batch_and_eps_is_one_a_sample():
    v = np.zeros((2, 2, 2, 1))
    v[0, 0, 0] = 3.0
    value, u = penalties.one_centred(v, 1.0)
    assert value == ((3 - 1)**2 + (0 - 1)**2) / 2 and u[0, 0, 0, 0] == 2 / 2 * (1 - 1 / 3) * 3
    assert np.isfinite(u).all() and not u[1].any()          # ‖v‖ = 0
    assert penalties.one_centred(v, 1.0, one_sided=True)[0] == 4 / 2
    x = penalties.between(np.ones((500, 2, 2, 1)), np.zeros((500, 2, 2, 1)), rng=0)
    assert (x == x[:, :1, :1]).all() and len(np.unique(x)) == 500 and 0 <= x.min() and x.max() <= 1
    assert abs(x.mean() - 0.5) < 0.06
    near = penalties.around(np.random.default_rng(0).normal(0, 2, (50, 3)), rng=1) - np.random.default_rng(0).normal(
        0, 2, (50, 3))
    assert near.min() >= 0 and near.max() <= 0.5 * 2 * 1.2


@pytest.mark.parametrize("pack", [1, 2])
def test_generator_penalty_in_x(pack):
    """The gradient in x by differences, also where D judges packs of samples."""
    D = Sequential([Pack(pack), Dense(2 * pack, 6), Softplus(), Dense(6, 1)], 0, "float64")
    x, _ = batches(points())

    def value(h):
        logits, cache = D.forward(x + h * r)
        return np.asarray(penalties.generator_penalty(D, cache, logits, 0.3)[0])
    logits, cache = D.forward(x)
    _, dx = penalties.generator_penalty(D, cache, logits, 0.3)
    r = np.random.default_rng(0).standard_normal(x.shape)
    np.testing.assert_allclose(gradcheck.derivative(value)[0], (dx * r).sum(), rtol=1e-8)


def test_generator_penalty():
    D = points()
    x, _ = batches(D)

    def value(h):
        logits, cache = D.forward(x + h * r)
        return np.asarray(penalties.generator_penalty(D, cache, logits, 0.3)[0])
    logits, cache = D.forward(x)
    phi, dx = penalties.generator_penalty(D, cache, logits, 0.3)
    for seed in range(5):
        r = np.random.default_rng(seed).standard_normal(x.shape)
        np.testing.assert_allclose(gradcheck.derivative(value)[0], (dx * r).sum(), rtol=1e-8)
    # Its meaning: λ·mean‖∇ log σ(D)‖², by differences of log σ(D) sample by sample.
    log_d = lambda x: -np.logaddexp(0, -D.forward(x)[0])[:, 0]
    h, square = 1e-5, 0
    for e in np.eye(2):
        square = square + ((log_d(x + h * e) - log_d(x - h * e)) / (2 * h))**2
    np.testing.assert_allclose(phi, 0.3 * square.mean(), rtol=1e-7)


def _sum_of_passes(names, D, real, fake, rng):
    grads = D.zero_grads()
    for _, d, cache in (real, fake):
        D.backward(d, cache, grads)
    if "r1" in names:
        penalties.r1(D, real[0], 0.5, grads)
    if "r2" in names:
        penalties.r2(D, fake[0], 0.5, grads)
    if "wgan_gp" in names:
        penalties.wgan_gp(D, real[0], fake[0], 0.5, grads, rng=rng)
    return grads


@pytest.mark.parametrize("names", ["r1", "r2", "r1+r2", "r1+wgan_gp", "wgan-gp"])
def test_the_fused_pass_is_the_sum_of_the_single_ones(names):
    D = points()
    x, x_fake = batches(D)
    pair = []
    for k, data in enumerate((x, x_fake)):
        logits, cache = D.forward(data)
        pair.append((data, np.random.default_rng(k).standard_normal(logits.shape), cache))
    grads = D.zero_grads()
    penalties.Penalty(names, 0.5).backward(D, *pair, grads, np.random.default_rng(9))
    expected = _sum_of_passes(names.replace("-", "_").split("+"), D, *pair, np.random.default_rng(9))
    np.testing.assert_allclose(grads.vector, expected.vector, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("names", penalties.names)
def test_in_the_game(names, xb):
    """A whole step with each penalty, on every backend; R2 and the rest leave G's gradient alone."""
    import strict
    thetas = {}
    for name in {"numpy", xb}:
        G, D = models.points(rng=0, width=0.1, backend=name)
        gan = GAN(G, D, "relativistic", rng=1, penalty=names, gamma=0.3)
        x = backend.to(np.random.default_rng(0).standard_normal((8, 2)).astype("float32"), name)
        gan.step(x)
        with strict.no_synchronization():
            metrics = gan.step(x)
        assert float(metrics["penalty"]) > 0 and metrics["penalty"].dtype == gan.D.theta.dtype == np.float32
        thetas[name] = np.concatenate([backend.asnumpy(net.theta) for net in (G, D)])
    np.testing.assert_allclose(thetas[xb], thetas["numpy"], rtol=1e-3, atol=1e-5)


def test_gamma_follows_its_schedule():
    seen, D = [], points()
    x, x_fake = batches(D)
    gan = GAN(models.points(rng=0, width=0.1, dtype="float64")[0], D, penalty="r1", d_opt=optim.SGD(1e-9), rng=0,
              gamma=lambda t: seen.append(t) or 0.5)
    for _ in range(3):
        gan.step(x)
    assert seen == [0, 1, 2]


def test_errors():
    D, (x, x_fake) = points(), batches(points())
    grads = D.zero_grads()
    for bad, words in [(lambda: penalties.r1(D, x, -1, grads), "gamma to be ≥ 0, got -1"),
                       (lambda: penalties.Penalty("r1", -0.1), "got -0.1"),
                       (lambda: penalties.Penalty("r3"), "unknown penalty 'r3'; choose one of: r1, r2, wgan_gp"),
                       (lambda: penalties.Penalty("r1+r1"), "each penalty once"),
                       (lambda: penalties.r1(Sequential([Dense(2, 1), Sigmoid()]), x, 1, grads), "Sigmoid"),
                       (lambda: penalties.r1(Sequential([Sequential([Dense(2, 1), Sigmoid()])]), x, 1, grads),
                        "Sigmoid")]:
        with pytest.raises(ConfigError, match=words):
            bad()
    with pytest.raises(ConfigError, match="ends in Sigmoid"):
        GAN(models.points()[0], Sequential([Dense(2, 1), Sigmoid()], 0), penalty="r1")
    with pytest.raises(ShapeError, match="batches of one size"):
        penalties.wgan_gp(D, x, x_fake[:2], 1, grads)
    with pytest.raises(ShapeError, match="one eps a sample, 4 of them"):
        penalties.wgan_gp(D, x, x_fake, 1, grads, eps=np.ones(1))


@pytest.mark.parametrize("name", ["r1", "wgan_gp", "wgan_lp", "zero_gp", "generator"])
def test_against_double_backward_of_torch(name):
    """A convolutional D; autograd differentiates the penalty written as a formula."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    D = Sequential([Conv2D(2, 4, 4, 2, 1), Softplus(), Conv2D(4, 3, 3, 1, 1), BatchNorm(3), Tanh(), Flatten(),
                    Dense(27, 5), LeakyReLU(), Dense(5, 1)], 0, "float64")
    rng = np.random.default_rng(0)
    x, x_fake = rng.standard_normal((2, 4, 6, 6, 2))
    P = {key: torch.tensor(array, requires_grad=True) for key, array in D.params.items()}

    def theirs(x):
        x = x.permute(0, 3, 1, 2)
        x = F.softplus(F.conv2d(x, P["0.W"].permute(3, 2, 0, 1), P["0.b"], 2, 1))
        x = F.conv2d(x, P["2.W"].permute(3, 2, 0, 1), P["2.b"], 1, 1).permute(0, 2, 3, 1)
        x = (x - x.mean((0, 1, 2))) / (x.var((0, 1, 2), unbiased=False) + 1e-5)**0.5 * P["3.gamma"] + P["3.beta"]
        x = torch.tanh(x).reshape(4, -1)
        return F.leaky_relu(x @ P["6.W"] + P["6.b"], 0.2) @ P["8.W"] + P["8.b"]
    at = x if name in ("r1", "generator") else EPS.reshape(-1, 1, 1, 1) * x + (1 - EPS).reshape(-1, 1, 1, 1) * x_fake
    X = torch.tensor(at, requires_grad=True)
    logits = theirs(X)
    v, = torch.autograd.grad(logits.sum(), X, create_graph=True)
    if name == "generator":
        v = torch.sigmoid(-logits).reshape(-1, 1, 1, 1) * v
    norm = (v * v).sum((1, 2, 3))**0.5
    value = {"r1": 0.35 * (norm**2).mean(), "wgan_gp": 10 * ((norm - 1)**2).mean(), "zero_gp": (norm**2).mean(),
             "wgan_lp": 10 * (F.relu(norm - 1)**2).mean(), "generator": 0.3 * (norm**2).mean()}[name]
    if name == "generator":
        logits, cache = D.forward(x)
        phi, dx = penalties.generator_penalty(D, cache, logits, 0.3)
        expected, = torch.autograd.grad(value, X)
        assert abs(dx - expected.numpy()).max() <= 1e-11 * abs(expected).max().item()
        return
    grads = D.zero_grads()
    ours = PENALTIES[name](D, x, x_fake, grads)
    assert abs(float(ours) - value.item()) <= 1e-12 * value.item()
    expected = torch.autograd.grad(value, list(P.values()), allow_unused=True)
    scale = max(e.abs().max().item() for e in expected if e is not None)
    for key, e in zip(P, expected):
        difference = abs(grads[key] - (0 if e is None else e.numpy())).max()
        assert difference <= 1e-11 * scale, key


@pytest.mark.parametrize("name", penalties.names)
def test_each_name_is_its_own_penalty(name):
    D, rng = models.points(rng=0, dtype="float64")[1], np.random.default_rng(0)
    x, x_fake = rng.standard_normal((2, 60, 2))
    logits, cache = D.forward(penalties.between(x, x_fake, rng=3))
    norms = np.linalg.norm(D.backward(np.ones_like(logits), cache), axis=1)
    D.params["4.W"][...] /= np.median(norms)        # about 1: one-sided is then another than two-sided
    single = {"r1": lambda weight, g: penalties.r1(D, x, weight, g),
              "r2": lambda weight, g: penalties.r2(D, x_fake, weight, g),
              "wgan_gp": lambda weight, g: penalties.wgan_gp(D, x, x_fake, weight, g, rng=3),
              "wgan_lp": lambda weight, g: penalties.wgan_gp(D, x, x_fake, weight, g, rng=3, one_sided=True),
              "dragan": lambda weight, g: penalties.dragan(D, x, weight, g, rng=3),
              "zero_gp": lambda weight, g: penalties.zero_gp(D, x, x_fake, weight, g, rng=3)}
    batches = [(b, np.zeros((60, 1)), D.forward(b)[1]) for b in (x, x_fake)]

    def play(names, weight):
        grads = D.zero_grads()
        return penalties.Penalty(names, weight).backward(D, *batches, grads, np.random.default_rng(3)), grads.vector
    for weight in (0.7, None):
        expected, grads = D.zero_grads(), D.zero_grads()
        value, vector = play(name, weight)
        expected = single[name](weight or (1.0 if name in ("r1", "r2") else 10.0), grads)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        np.testing.assert_allclose(vector, grads.vector, rtol=1e-10, atol=1e-13)
    names = dict.fromkeys(["r1", "r2", name])
    np.testing.assert_allclose(play("+".join(names), 0.7)[0], sum(single[n](0.7, D.zero_grads()) for n in names))


def test_dragans_points():
    x, rng = np.random.default_rng(0).normal(0, 2, (5, 3, 2)), np.random.default_rng(1)
    alpha, delta = rng.random((5, 1, 1)), rng.random((5, 3, 2))
    np.testing.assert_allclose(penalties.around(x, 1), x + alpha * 0.5 * x.std() * delta, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_gradient_has_no_direction(dtype):
    value, u = penalties.one_centred(np.zeros((2, 3), dtype), 1.0)
    assert value == 1 and not u.any()
