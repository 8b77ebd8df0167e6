"""The library under its own check: no right layer, loss or network raises an alarm."""

import numpy as np
import pytest

from tinygan import Sequential, gradcheck, models
from tinygan.gradcheck import suite
from tinygan.layers import (Affine, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, LeakyReLU, ReLU, Sigmoid,
                            Softplus, Tanh)

from .helpers import CASES, IDS, x_of


@pytest.mark.parametrize("layer, shape, train", CASES, ids=IDS)
def test_no_alarm_over_seeds(layer, shape, train):
    for seed in range(2):
        report = gradcheck.check_layer(layer, x_of(shape, seed), rng=seed, train=train)
        assert report.raise_if_wrong().worst <= 1e-8 and report["adjoint"] <= 1e-12


@pytest.mark.parametrize("name, options", [("mlp", {}), ("dcgan", {"width": 0.05})])
def test_networks_end_to_end(name, options):
    for seed in range(1):
        net = Sequential([*models.get(name).build(rng=seed, **options)])
        report = gradcheck.check_layer(net, x_of((3, 100), seed), rng=seed, directions=1, limit=0).raise_if_wrong()
        assert {f"d{name}" for name in net.params} | {f"second d{name}" for name in net.params} <= set(report)


def test_one_wrong_layer_in_a_network_is_found():
    G, D = models.mlp(rng=0, width=0.05)
    wrong = D.layers[1]
    original = type(wrong).wgrad
    type(wrong).wgrad = lambda self, x, dy, ctx: x.T @ dy * (1.001 if self.n_in == 784 else 1)
    try:
        report = gradcheck.check_backward(Sequential([G, D]), x_of((3, 100)), limit=0)
    finally:
        type(wrong).wgrad = original
    assert {str(text).split("[")[0] for text in report.failures} == {"d1.1.W"}


def random_network(rng):
    """A chain of up to five dense or three image layers, and x for it: batches of 2 to 5, of sizes 0.1 to 3."""
    image, c, layers = rng.random() < 0.5, int(rng.integers(1, 5)), []
    shape = (*map(int, rng.integers(3, 6, 2)), c) if image else (c,)
    for kind in rng.integers(0, 4, rng.integers(1, 4 if image else 6)):
        after = int(rng.integers(1, 5))
        if kind == 0:
            layers.append(BatchNorm(c))
        elif kind == 1:
            layers.append([Tanh, Sigmoid, Softplus, ReLU, LeakyReLU][rng.integers(5)]())
        elif kind == 2 and image:
            layers.append(ConvTranspose2D(c, after, 3, stride=2))
        elif kind == 2:
            layers.append(Dropout(0.3))
        else:
            layers.append(Conv2D(c, after, 3, stride=int(rng.integers(1, 3))) if image else Dense(c, after))
        c = after if isinstance(layers[-1], Affine) and not isinstance(layers[-1], Dropout) else c
    x = rng.standard_normal((int(rng.integers(2, 6)), *shape)) * rng.choice([0.1, 1, 3])
    return Sequential(layers, rng=rng), x


@pytest.mark.parametrize("seed", range(30))
def test_no_alarm_for_random_networks(seed):
    rng = np.random.default_rng(seed)
    net, x = random_network(rng)
    gradcheck.check_layer(net, x, rng=seed, limit=int(rng.choice([0, 24, 64]))).raise_if_wrong()


def test_the_whole_suite_over_seeds(monkeypatch):
    monkeypatch.setattr(suite, "NETWORKS", [("mlp", {"width": 0.05})])
    for seed in (11,):
        groups = set()
        for group, report in suite.run(seed):
            groups.add(group)
            assert report.raise_if_wrong().warnings == []
        assert groups == {"layer", "loss", "network"}
