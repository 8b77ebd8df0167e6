"""DCGAN, layer by layer: both objectives' gradients, receptive fields by derivatives, the probe, the ablation."""

from pathlib import Path

import numpy as np
import pytest

from tinygan import Sequential, gradcheck, losses, models
from tinygan.errors import ShapeError

loss = losses.get("non_saturating")


@pytest.fixture
def dcgan(chapter):
    return chapter("19_dcgan_layers").names


@pytest.fixture
def pair():
    """A narrow G and D in float64."""
    return models.dcgan(rng=1, width=0.03, latent=5, image=(8, 8, 1), dropout=0, dtype="float64")


def test_the_gradient_in_the_parameters_of_g_and_in_z(pair):
    G, D = pair

    def objective(theta, z):
        G.theta = theta
        x, g_cache = G.forward(z)
        logits, d_cache = D.forward(x)
        (value, dl), grads = loss.g_loss(logits), G.zero_grads()
        dz = G.backward(D.backward(dl, d_cache), g_cache, grads)
        return value, grads.vector, dz

    z = np.random.default_rng(0).standard_normal((4, 5))
    assert max(gradcheck.check_loss(objective, G.theta.copy(), z, limit=24).raise_if_wrong().values()) <= 1e-8


def test_the_gradient_in_the_parameters_of_d(pair):
    G, D = pair
    rng = np.random.default_rng(0)
    x, (fake, _) = rng.uniform(-1, 1, (4, 8, 8, 1)), G.forward(rng.standard_normal((4, 5)))

    def objective(theta):
        D.theta = theta
        (real, real_cache), (logits, cache), grads = D.forward(x), D.forward(fake), D.zero_grads()
        value, d_real, d_fake = loss.d_loss(real, logits)
        D.backward(d_real, real_cache, grads)
        D.backward(d_fake, cache, grads)
        return value, grads.vector

    assert max(gradcheck.check_loss(objective, D.theta.copy()).raise_if_wrong().values()) <= 1e-8


@pytest.mark.parametrize("up, at, shape, r", [(False, 1, (14, 14, 16), 5), (False, 3, (7, 7, 32), 13),
                                              (True, 10, (14, 14, 16), 5), (True, 7, (7, 7, 32), 13),
                                              (True, 4, (7, 7, 64), 27)])
def test_receptive_fields_by_derivatives(dcgan, up, at, shape, r):
    """The rows of the picture that one unit sees or changes; 27 of the 29: the border cuts off the rest.

    In float64, by direct sums: by frequencies a derivative that is 0 has a rounding error.
    """
    net = dcgan["new"][0][0 if up else 1]
    net = Sequential([layer.copy() for layer in (net.layers[at:] if up else net.layers[:at])]).astype("float64")
    unit = np.zeros((1, *shape))
    unit[:, shape[0] // 2, shape[1] // 2, 0] = 1
    _, cache = net.forward(np.zeros_like(unit) if up else np.zeros((1, 28, 28, 1)), train=False)
    picture = net.jvp(unit, cache)[0] if up else net.backward(unit, cache)
    assert (picture != 0).any((0, 2, 3)).sum() == r


def test_the_table_counts_parameters_and_multiplications(chapter, dcgan):
    output = chapter("19_dcgan_layers").output
    lines = [line.split() for line in output.split("share")[0].split("\n") if "Dense" in line or "Conv" in line]
    for net, rows in zip(dcgan["new"][0], (lines[:4], lines[4:])):
        weights = [layer.params.vector.size for layer in net.layers if "W" in layer.params]
        assert [int(row[-2].replace(",", "")) for row in rows] == weights
    assert [row[-3] for row in lines] == ["all", "29", "13", "5", "5", "13", "all"]
    assert [int(row[-1].replace(",", "")) for row in lines] == [
        100 * 3136, 25 * 64 * 32 * 49, 25 * 32 * 16 * 49, 25 * 16 * 196, 25 * 16 * 196, 25 * 16 * 32 * 49, 1568]


def test_the_probe_finds_what_is_linear_and_nothing_in_noise(dcgan):
    rng, labels = np.random.default_rng(0), np.arange(600) % 10
    noise = rng.standard_normal((600, 20)).astype("float32")
    known = noise @ rng.standard_normal((20, 20)).astype("float32") / 20 + 3 * np.eye(20, dtype="float32")[labels]
    sets = lambda f: [(f[k::3], labels[k::3]) for k in range(3)]
    assert dcgan["probe"](*sets(known)) == [1.0]
    assert dcgan["probe"](*sets(noise))[0] < 0.25


def test_without_a_channel(dcgan):
    G, z = dcgan["new"][0][0], dcgan["z"][:3]
    x, changed = dcgan["without"](G, z, 10)
    np.testing.assert_allclose(x, G.forward(z, train=False)[0], atol=1e-6)
    small = G.copy()
    small.params["10.W"][:, :, :, 5] = 0
    np.testing.assert_allclose(changed[5], small.forward(z, train=False)[0], atol=1e-6)
    assert changed.shape == (16, 3, 28, 28, 1) and abs(changed[5] - x).max() > 1e-4


def test_the_figures_of_the_mlp_are_those_of_its_page(chapter):
    page = Path(__file__).parents[2] / "examples/18_mlp_gan.md"
    row = chapter("19_dcgan_layers").output.partition("MLP GAN of chapter 18")[2].split("\n")[0].split()
    found = page.read_text(encoding="utf-8").partition("    GAN, samples")[2].split("\n")[0].split()
    assert row == found and len(row) == 15


def test_bad_input(dcgan):
    with pytest.raises(ShapeError, match="expected"):
        dcgan["features"](dcgan["new"][0][1], np.zeros((3, 28, 28, 3), "float32"))
