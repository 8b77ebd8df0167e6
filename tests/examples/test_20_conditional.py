"""The conditional game: its best D, both objectives' gradients through networks with labels, and the masked D."""

import numpy as np
import pytest

from tinygan import Sequential, gradcheck, losses, models
from tinygan.errors import ConfigError, DataError
from tinygan.layers import WithLabels, with_classes

LABELS = np.array([0, 2, 1])


@pytest.fixture
def conditional(chapter):
    return chapter("20_conditional").names


@pytest.fixture
def narrow(conditional):
    """G, a D that sees the labels and one that does not, of three classes in float64; pictures and latent vectors."""
    G, D = models.dcgan(rng=0, width=0.03, latent=4, classes=3, dropout=0, dtype="float64")
    mask = conditional["Mask"](np.broadcast_to(np.arange(4) == 0, (28, 28, 4)))
    blind = Sequential([WithLabels(3), mask, D.copy()], dtype="float64")
    rng = np.random.default_rng(1)
    return G, {"both": D, "G only": blind}, rng.uniform(-1, 1, (3, 28, 28, 1)), rng.standard_normal((3, 4))


def test_the_best_d_is_the_ratio_of_the_densities(conditional):
    x, h = np.linspace(-3, 3, 13), 1e-5
    p = {y: np.exp(-(x - (2 * y - 1))**2 / 2) for y in (0, 1)}
    both, best = (p[0] + p[1]) / 2, conditional["best"]
    np.testing.assert_allclose(best(x), p[1] / (p[1] + both), rtol=1e-12)
    np.testing.assert_allclose(best(-x), p[0] / (p[0] + both), rtol=1e-12)
    slope = (np.log(best(x + h)) - np.log(best(x - h))) / (2 * h)
    sigmoid = conditional["sigmoid"]
    np.testing.assert_allclose(slope, 2 * sigmoid(-2 * x) / (1 + 2 * sigmoid(2 * x)), rtol=1e-6)


def test_a_label_selects_a_row_and_has_no_gradient(conditional):
    out, labels, dx, dy, dW = (conditional[name] for name in ("out", "labels", "dx", "dy", "dW"))
    np.testing.assert_array_equal(out, np.outer([0.5, 0.5, -1], [1, 2]) + np.array([[10, 20], [30, 40]])[labels])
    np.testing.assert_array_equal(dx, np.pad(dy @ [[1], [2]], ((0, 0), (0, 2))))
    for k in (0, 1):
        np.testing.assert_array_equal(dW[1 + k], dy[labels == k].sum(0))


@pytest.mark.parametrize("seen", ["both", "G only"])
def test_the_gradient_of_d(conditional, narrow, seen):
    G, D, x, z = narrow[0], narrow[1][seen], *narrow[2:]
    fake = with_classes(G.forward(with_classes(z, LABELS, 3))[0], LABELS, 3)

    def loss(theta):
        D.theta = theta
        value, grads = conditional["d_objective"](D, with_classes(x, LABELS, 3), fake)
        return value, grads.vector
    assert max(gradcheck.check_loss(loss, D.theta.copy(), limit=24).raise_if_wrong().values()) <= 1e-8


@pytest.mark.parametrize("seen", ["both", "G only"])
def test_the_gradient_of_g_in_its_parameters_and_in_z(narrow, seen):
    G, D, z = narrow[0], narrow[1][seen], narrow[3]

    def loss(theta, z):
        G.theta = theta
        x, g_cache = G.forward(with_classes(z, LABELS, 3))
        logits, d_cache = D.forward(with_classes(x, LABELS, 3))
        value, dlogits = losses.get("non_saturating").g_loss(logits)
        grads = G.zero_grads()
        dz = G.backward(D.backward(dlogits, d_cache)[..., :1], g_cache, grads)
        return value, grads.vector, dz[:, :4]
    assert max(gradcheck.check_loss(loss, G.theta.copy(), z, limit=6, directions=2).raise_if_wrong().values()) <= 1e-8


def test_only_one_d_sees_the_label(narrow):
    x = narrow[2]
    for seen, D in narrow[1].items():
        a, b = (D.forward(with_classes(x, labels, 3))[0] for labels in (LABELS, LABELS[::-1].copy()))
        assert (a[[0, 2]] != b[[0, 2]]).all() if seen == "both" else (a == b).all()


def test_bad_input(conditional):
    with pytest.raises(DataError, match="^expected labels in 0 … 9, got .*10; number the classes from 0 on"):
        conditional["games"]["labels for both"][0].sample(2, labels=[3, 10])
    with pytest.raises(ConfigError, match="^expected the labels of the batch .* give labels"):
        conditional["games"]["labels for both"][0].step(conditional["x"][:4])
