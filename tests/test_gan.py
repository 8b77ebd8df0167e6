"""The game: whose gradient is whose, in which order, and the same bits from the same seed."""

import copy
import pickle

import numpy as np
import pytest

import strict
from tinygan import GAN, Sequential, backend, data, losses, models, optim, penalties
from tinygan.errors import ConfigError, DtypeError, ShapeError
from tinygan.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, LeakyReLU, Reshape, Sigmoid, SpectralNorm, Tanh


def tiny(dtype="float64", loss="non_saturating", lr=1.0, **options):
    """A GAN on 4×4 images with every kind of layer; SGD, so that an update is −lr·gradient."""
    G = Sequential([Dense(3, 4), BatchNorm(4), LeakyReLU(), Dense(4, 16), Tanh(), Reshape((4, 4, 1))], 0, dtype)
    D = Sequential([Conv2D(1, 3, 3, 2), LeakyReLU(), Dropout(0.3), Flatten(), Dense(12, 1)], 1, dtype)
    return GAN(G, D, loss, optim.SGD(lr), optim.SGD(lr), rng=7, **options)


def real(n=6, dtype="float64", seed=5):
    return np.random.default_rng(seed).standard_normal((n, 4, 4, 1)).astype(dtype)


def numerical(theta, f):
    """∂f/∂θ by five-point differences, one parameter at a time."""
    gradient, h = np.empty_like(theta), 1e-4
    for i in range(theta.size):
        before, values = theta[i], []
        for k in (1, -1, 2, -2):
            theta[i] = before + k * h
            values.append(f())
        theta[i] = before
        gradient[i] = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)
    return gradient


def repeated(gan, step):
    """A function that sets all parameters of the game to copies of moving["G"] and moving["D"], its random numbers to
    where they were, and returns step(gan): as of a new game from the same seed, which takes longer to build."""
    start = gan.rng.generator.bit_generator.state

    def again(moving):
        gan.rng.generator.bit_generator.state = start
        for name in "GD":
            getattr(gan, name).theta = moving[name]
        return step(gan)
    return again


@pytest.mark.parametrize("loss", losses.names)
def test_each_step_follows_the_gradient_of_its_own_loss(loss):
    """The update of all parameters equals −∂loss/∂θ by differences, through fresh noise, masks and all."""
    for step, player in [(lambda gan: gan.d_step(real())["d_loss"], "D"),
                         (lambda gan: gan.g_step(6, real())["g_loss"], "G")]:
        gan = tiny(loss=loss)
        before = {name: getattr(gan, name).theta.copy() for name in "GD"}
        step(gan)
        again = repeated(tiny(loss=loss, lr=1e-300), step)      # the optimiser asleep
        value = lambda: float(again(moving))
        moving = {name: array.copy() for name, array in before.items()}
        expected = numerical(moving[player], value)
        scale = max(abs(expected).max(), 1e-3)
        assert abs(before[player] - getattr(gan, player).theta - expected).max() <= 1e-8 * scale
        other = "G" if player == "D" else "D"
        assert (getattr(gan, other).theta == before[other]).all()
        assert abs(expected).max() > 1e-4   # a generator whose gradient is always zero would pass otherwise


def test_the_generators_step_computes_no_weight_gradient_of_d(monkeypatch):
    gan, calls = tiny(), []
    for layer in gan.D.layers:
        monkeypatch.setattr(layer, "wgrad", lambda *args: calls.append(args), raising=False)
    gan.g_step(4)
    assert not calls


def test_parameters_change_only_after_every_backward_pass_that_reads_them(monkeypatch):
    gan, order = tiny(), []
    for name in "GD":
        net = getattr(gan, name)
        monkeypatch.setattr(net, "backward", lambda *a, f=net.backward, name=name: order.append(name) or f(*a))
    for name in ("g_opt", "d_opt"):
        opt = getattr(gan, name)
        monkeypatch.setattr(opt, "step", lambda *a, f=opt.step, name=name: order.append(name) or f(*a))
    gan.step(real())
    assert order == ["D", "D", "d_opt", "D", "G", "g_opt"]


def test_fresh_noise_and_batches_for_each_of_k_and_m(monkeypatch):
    gan, seen, batches = tiny(k=3, m=2), [], []
    monkeypatch.setattr(gan, "noise", lambda n, f=gan.noise: seen.append(f(n)) or seen[-1])
    monkeypatch.setattr(gan, "d_step", lambda x, labels, f=gan.d_step: batches.append(x) or f(x))
    gan.step([real(seed=s) for s in range(3)])
    assert len(seen) == 5 and len({z.tobytes() for z in seen}) == 5
    assert len({x.tobytes() for x in batches}) == 3
    gan.step(real())
    assert len(batches) == 6
    with pytest.raises(ConfigError, match="k = 3 batches, and labels for each, got 2"):
        gan.step([real(), real()])


@pytest.mark.parametrize("build, steps", [(lambda: models.mlp(rng=0, width=0.1), 50),
                                          (lambda: models.dcgan(rng=0, width=0.05), 5)])
def test_same_seed_same_bits(build, steps):
    def weights(seed):
        gan = GAN(*build(), rng=seed)
        batches = data.Batches(np.random.default_rng(0).standard_normal((40, 28, 28, 1)).astype("float32"), 8, rng=1)
        gan.train(batches, steps=steps)
        return np.concatenate([gan.G.theta, gan.D.theta, *gan.G.state.values()])
    first = weights(3)
    assert np.isfinite(first).all() and (weights(3) == first).all() and (weights(4) != first).any()


def test_looking_does_not_change_what_follows():
    plain, watched = tiny(), tiny()
    for _ in range(3):
        plain.step(real())
        watched.step(real())
        watched.sample(5)
    assert (plain.G.theta == watched.G.theta).all() and (plain.D.theta == watched.D.theta).all()
    assert watched.sample(2).shape == (2, 4, 4, 1) and (watched.sample(2) != watched.sample(2)).any()


@pytest.mark.parametrize("loss", losses.names)
def test_float32_stays_float32_on_every_backend_and_nothing_waits(loss, xb):
    def run(name):
        gan = tiny("float32", loss, lr=0.01)
        gan = GAN(gan.G.to(name), gan.D.to(name), loss, rng=7)
        x = backend.to(real(dtype="float32"), name)
        gan.step(x)                                  # Adam makes its moments at the first step
        with strict.no_synchronization():
            metrics = gan.step(x)
        return [gan.G.theta, gan.D.theta, *gan.G.state.values(), *gan.g_opt.state.values(), *gan.d_opt.state.values(),
                gan.sample(2), *metrics.values()]
    here = run(xb)
    assert all(a.dtype == np.float32 and backend.name_of(a) == xb for a in here)
    for ours, numpys in zip(here, run("numpy")):
        np.testing.assert_allclose(backend.asnumpy(ours), numpys, rtol=1e-3, atol=1e-3)   # Adam makes steps of rounding


@pytest.mark.parametrize("name", ["mlp", "dcgan", "dcgan_deep", "points"])
def test_shipped_models_take_a_step_on_every_backend(name, xb):
    G, D = models.get(name).build(rng=0, width=0.05, backend=xb)
    gan = GAN(G, D, rng=0)
    x = np.random.default_rng(0).standard_normal((4, *D.input_shape)).astype("float32")
    metrics = gan.step(backend.to(x, xb))
    assert set(metrics) == {"d_loss", "g_loss", "d_real", "d_fake"}
    assert all(v.shape == () and np.isfinite(float(v)) for v in metrics.values())


def test_train_ends_by_steps_or_a_condition():
    batches = data.Batches(real(20), 6, rng=0)
    for end, steps in [(100, 4), (3, 3), (0, 0)]:
        gan, calls = tiny(), []
        last = gan.train(batches, end, [lambda gan, metrics: gan.steps == 4,
                                        lambda gan, metrics: calls.append(metrics)])
        assert gan.steps == len(calls) == steps and (last is calls[-1] if steps else last == {})
    gan = tiny(k=3)
    gan.train(batches, 2)
    assert gan.steps == 2 and gan.d_opt.t == 6 and gan.g_opt.t == 2
    gan = tiny()
    gan.train([real(), real(seed=6)], 2)            # a list is read from its start to its end
    assert gan.steps == 2
    with pytest.raises(ConfigError, match="k = 1 batches, .* got 0"):
        gan.train([], 1)


def test_the_generators_step_with_its_penalty_follows_the_gradient():
    """−log D(G(z)) + λ‖∇ log D‖², all of G's parameters, by differences of both parts."""
    lam = 0.7
    gan = tiny(g_penalty=lam)
    before = gan.G.theta.copy()
    gan.g_step(6)

    def value(gan):
        x, _ = gan.G.forward(gan.noise(6), rng=gan.rng)
        logits, cache = gan.D.forward(x, rng=gan.rng)
        phi, _ = penalties.generator_penalty(gan.D, cache, logits, lam)
        return float(gan.loss.g_loss(logits)[0] + phi)
    again = repeated(tiny(), value)
    moving = {"G": before.copy(), "D": gan.D.theta.copy()}
    expected = numerical(moving["G"], lambda: again(moving))
    assert abs(before - gan.G.theta - expected).max() <= 1e-8 * abs(expected).max()
    plain = tiny()
    plain.g_step(6)
    assert abs(plain.G.theta - gan.G.theta).max() > 1e-4


def test_averaged_weights_draw_the_samples():
    gan = tiny(lr=0.1, average=0.9)
    average, mean = gan.G.theta.copy(), gan.G.state["1.mean"].copy()
    for t in range(1, 6):
        gan.step(real())
        d = min(0.9, (1 + t) / (10 + t))
        average, mean = (d * a + (1 - d) * new for a, new in [(average, gan.G.theta), (mean, gan.G.state["1.mean"])])
    np.testing.assert_allclose(gan.average.net.theta, average, rtol=1e-12)
    np.testing.assert_allclose(gan.average.net.state["1.mean"], mean, rtol=1e-12)
    z = np.random.default_rng(0).standard_normal((3, 3))
    np.testing.assert_array_equal(gan.sample(z=z), gan.average.net.forward(z, train=False)[0])
    assert (gan.sample(z=z) != gan.G.forward(z, train=False)[0]).any()


def test_averages_leave_unit_vectors_alone():
    """Averaged singular vectors would no longer be of unit length, and σ of the averaged weights far too small."""
    G = Sequential([SpectralNorm(Dense(3, 16)), Reshape((4, 4, 1))], rng=0, dtype="float64")
    gan = GAN(G, tiny().D, g_opt=optim.Adam(1e-2), rng=1, average=0.9, latent_dim=3)
    for _ in range(20):
        gan.step(real())
    W, (u, v) = gan.average.net.params["0.W"], (gan.average.net.state[name] for name in ("0.u", "0.v"))
    assert (u == G.state["0.u"]).all() and (v == G.state["0.v"]).all()
    assert v @ W @ u > 0.8 * np.linalg.svd(W)[1][0]


def test_instance_noise_is_on_all_that_d_sees_and_anneals(monkeypatch):
    gan, seen = tiny(lr=1e-9, noise_std=optim.anneal(0.5, 0.0, 2)), []
    monkeypatch.setattr(gan.D, "forward", lambda x, f=gan.D.forward, **k: seen.append(x) or f(x, **k))
    x = np.zeros((400, 4, 4, 1))
    for _ in range(3):
        gan.step(x)
    noise = [seen[3 * k] for k in range(3)]     # the real batches: zeros, so what is left is the noise
    assert [round(float(n.std()), 2) for n in noise] == [0.5, 0.25, 0.0]
    assert abs(seen[1] - seen[2]).max() > 0.1 and not x.any()


def test_weight_clipping():
    gan = tiny(lr=5.0, clip=0.01, loss="wasserstein")
    gan.step(real())
    assert -gan.D.theta.min() == gan.D.theta.max() == 0.01 < abs(gan.G.theta).max()
    for bad in ({"clip": 0}, {"noise_std": -1}, {"g_penalty": -1}, {"average": 1.0}):
        with pytest.raises(ConfigError):
            tiny(**bad)


def test_errors():
    with pytest.raises(ConfigError, match="got 0"):
        tiny(k=0)
    with pytest.raises(ConfigError, match="unknown latent distribution 'cauchy'"):
        tiny(latent="cauchy")
    with pytest.raises(ConfigError, match="unknown loss 'magic'"):
        tiny(loss="magic")
    with pytest.raises(ConfigError, match="the same one twice"):
        GAN(*models.mlp(rng=0), g_opt=(adam := optim.Adam()), d_opt=adam)
    with pytest.raises(DtypeError, match="expected float64, got float32"):
        tiny().step(real(dtype="float32"))
    with pytest.raises(ShapeError, match=r"Conv2D expected \(N, H, W, 1\), got \(6, 16\)"):
        tiny().step(real().reshape(6, 16))
    with pytest.raises(ConfigError, match=r"expected real logits too, got None; .* g_step\(n, x_real\)"):
        tiny(loss="relativistic").g_step(4)
    with pytest.raises(ConfigError, match="give latent_dim"):
        GAN(Sequential([Tanh()]), Sequential([Dense(2, 1)]))


def test_it_learns():
    """A generator of points finds the mean and the spread of a Gaussian."""
    rng = np.random.default_rng(0)
    gan = GAN(*models.points(rng=0, width=0.25), g_opt=optim.Adam(2e-3), d_opt=optim.Adam(2e-3), rng=1)
    for _ in range(600):
        gan.step(rng.normal([2.0, -1.0], 0.5, (64, 2)).astype(np.float32))
    samples = gan.sample(2000)
    assert abs(np.median(samples, 0) - [2, -1]).max() < 0.7   # it began near (0, 0)


def test_an_optimiser_of_one_s_own_changes_what_the_next_pass_reads():
    """Kernels keep what they made of weights during a step; weights that change in any way must be made anew."""
    class Plain:
        def step(self, net, grads):
            for name in net.params:
                net.params[name][...] -= 0.1 * grads[name]
    x = np.random.default_rng(0).uniform(-1, 1, (4, 28, 28, 1)).astype("float32")
    whole, apart = (GAN(*models.dcgan(rng=0, width=0.5), g_opt=Plain(), d_opt=Plain(), rng=1) for _ in range(2))
    whole.step(x), apart.d_step(x), apart.g_step(4)
    assert np.abs(whole.G.theta - apart.G.theta).max() < 1e-5


def test_numpy_s_scalars_promote_nothing():
    one = np.float64(1)
    G, D = models.mlp(rng=0, width=0.05)
    gan = GAN(G, D, rng=0, g_penalty=one, penalty="r1", gamma=one)
    metrics = gan.step(np.zeros((4, 28, 28, 1), "float32"))
    assert {value.dtype for value in metrics.values()} == {np.dtype("float32")}
    assert penalties.r1(D, np.zeros((4, 28, 28, 1), "float32"), one, D.zero_grads()).dtype == np.float32
    with pytest.raises(ConfigError, match="gamma to be ≥ 0, got np.float64"):
        penalties.r1(D, np.zeros((4, 28, 28, 1), "float32"), -one, D.zero_grads())
    for name in ("g_penalty", "noise_std", "clip"):
        with pytest.raises(ConfigError, match=f"{name} .* nan"):
            GAN(G, D, **{name: float("nan")})


def test_borders():
    gan = tiny(k=np.int64(1), m=np.int32(1))
    with pytest.raises(ConfigError, match="k = 1 batches, .* got 0"):
        gan.train(iter([real(), real()]), steps=3)
    for wrong in ({}, dict(n=2, z=gan.noise(2))):
        with pytest.raises(ConfigError, match="either n"):
            gan.sample(**wrong)
    for wrong in (dict(gamma=1.0), dict(penalty=penalties.Penalty("r1", 1.0), gamma=2.0)):
        with pytest.raises(ConfigError, match="gamma beside the name of a penalty"):
            tiny(**wrong)


def test_instance_noise_is_on_all_that_d_sees():
    seen = []
    G, D = Sequential([Dense(2, 2)], 0, "float64"), Sequential([Dense(2, 1)], 1, "float64")
    gan = GAN(G, D, "relativistic", optim.SGD(1e-12), optim.SGD(1e-12), rng=0, noise_std=0.3)
    G.theta = 0.0
    forward = D.forward
    D.forward = lambda x, **options: seen.append(x) or forward(x, **options)
    gan.step(np.zeros((20_000, 2)))
    assert len(seen) == 4 and all(abs(x.std() / 0.3 - 1) < 0.008 and abs(x.mean()) < 0.01 for x in seen)


def test_losses_take_logits():
    G, D = Sequential([Dense(2, 2)], 0), Sequential([Dense(2, 1), Sigmoid()], 1)
    for loss in losses.names:
        with pytest.raises(ConfigError, match="a D that gives logits, got one that ends in Sigmoid"):
            GAN(G, D, loss)

    class OfProbabilities:
        def d_loss(self, p, q):
            (real, d_real), (fake, d_fake) = losses.bce(p, 1.0), losses.bce(q, 0.0)
            return real + fake, d_real, d_fake

        def g_loss(self, q, p=None):
            return losses.bce(q, 1.0)
    x = np.random.default_rng(0).standard_normal((4, 2)).astype("float32")
    bare = Sequential([Dense(2, 1)])
    bare.theta = D.theta
    of_p, of_l = (GAN(G.copy(), net, loss, rng=2).step(x) for net, loss in ((D, OfProbabilities()), (bare, "minimax")))
    assert abs(of_p["d_loss"] - of_l["d_loss"]) < 1e-5      # the same game


def test_what_d_thinks():
    G, D = Sequential([Dense(2, 2)], 0, "float64"), Sequential([Dense(2, 1)], 1, "float64")
    gan = GAN(G, D, rng=0)
    G.theta, D.theta = np.array([0, 0, 0, 0, 1.0, 1.0]), 1.0        # G(z) = (1, 1), D(x) = σ(x₁ + x₂ + 1)
    found = gan.d_step(np.zeros((4, 2)))
    sigmoid = lambda logit: 1 / (1 + np.exp(-logit))
    np.testing.assert_allclose([found["d_real"], found["d_fake"]], [sigmoid(1.0), sigmoid(3.0)], rtol=1e-12)


@pytest.mark.parametrize("options", [
    {}, dict(penalty="r1+r2", loss="relativistic"), dict(penalty="wgan_gp", loss="wasserstein"), dict(g_penalty=0.5),
    dict(loss="relativistic_average"), dict(penalty="dragan", loss="hinge"), dict(loss="least_squares", clip=0.2)])
def test_the_first_column_is_the_logit(options):
    """Twelve further columns change nothing: not losses, penalties, D(x), nor any update of what is shared."""
    one = tiny(**options)
    layers = [layer.copy() for layer in one.D.layers[:-1]]
    wide = Sequential([*layers, Dense(12, 13)], None, "float64")
    for name in ("W", "b"):
        wide.layers[-1].params[name][..., :1] = one.D.layers[-1].params[name]
    other = GAN(one.G.copy(), wide, options.get("loss", "non_saturating"), optim.SGD(1.0), optim.SGD(1.0), rng=7,
                **{name: value for name, value in options.items() if name != "loss"})
    before = wide.layers[-1].params["W"].copy()
    a, b = one.step(real()), other.step(real())
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-12)
    np.testing.assert_allclose(one.G.theta, other.G.theta, rtol=1e-10, atol=1e-14)
    for name, array in one.D.params.items():
        np.testing.assert_allclose(other.D.params[name][..., :array.shape[-1]], array, rtol=1e-10, atol=1e-14)
    if "clip" not in options:
        np.testing.assert_array_equal(wide.layers[-1].params["W"][:, 1:], before[:, 1:])


def test_an_auxiliary_loss_reaches_both_players():
    """A head that tells z from G(z): its gradient, with that of the game, by differences, for both players."""
    def auxiliary(columns, z):
        gap = columns - z
        return 0.5 * (gap * gap).sum() / len(z), gap / len(z)

    def game(lr):
        gan = tiny()
        D = Sequential([Conv2D(1, 3, 3, 2), LeakyReLU(), Dropout(0.3), Flatten(), Dense(12, 4)], 1, "float64")
        return GAN(gan.G, D, "non_saturating", optim.SGD(lr), optim.SGD(lr), rng=7, auxiliary=auxiliary)
    for step, player, own in [(lambda gan: gan.d_step(real()), "D", "d_loss"),
                              (lambda gan: gan.g_step(6), "G", "g_loss")]:
        gan = game(1.0)
        moving = {name: getattr(gan, name).theta.copy() for name in "GD"}
        before = moving[player].copy()
        assert {own, "auxiliary"} <= step(gan).keys()
        again = repeated(game(1e-300), step)

        def value():
            found = again(moving)
            return float(found[own] + found["auxiliary"])
        expected = numerical(moving[player], value)
        assert abs(before - getattr(gan, player).theta - expected).max() <= 1e-8 * abs(expected).max()


def test_it_can_be_copied_and_pickled():
    """With schedules and all: both go on as the game itself."""
    gan = tiny("float32", lr=optim.cosine(0.1, 9), penalty="r1", gamma=optim.anneal(1, 0.1, 9), average=0.9,
               noise_std=optim.anneal(0.1, 0, 5))
    gan.step(real(dtype="float32"))
    others = copy.deepcopy(gan), pickle.loads(pickle.dumps(gan))
    for each in (gan, *others):
        each.step(real(dtype="float32"))
    for other in others:
        for name in ("G", "D"):
            np.testing.assert_array_equal(getattr(other, name).theta, getattr(gan, name).theta)
    samples = [each.sample(3) for each in (gan, *others)]
    np.testing.assert_array_equal(samples[1:], [samples[0]] * 2)
