"""CPU against GPU: operations and bytes by hand and as the library counts them, the fit, the model and its crossing."""

import numpy as np
import pytest

from tinygan import bench
from tinygan.errors import ConfigError
from tinygan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, LeakyReLU, Reshape


@pytest.fixture
def gpu(chapter):
    return chapter("23_cpu_gpu").names


def multiplications(layer, x):
    """Of the direct sum, counted one by one: pairs of an output and an input that a weight joins, for all weights."""
    y, _ = layer.forward(x)
    if isinstance(layer, Dense):
        return x.size * layer.params["W"].shape[1]
    kh, kw = layer.params["W"].shape[:2]
    small, c = (x, y.shape[-1]) if isinstance(layer, ConvTranspose2D) else (y, x.shape[-1])
    return sum(1 for _ in np.ndindex(small.shape[:3]) for _ in range(kh * kw)) * small.shape[-1] * c


@pytest.mark.parametrize("layer, shape", [(Dense(6, 3), (6,)), (Conv2D(2, 3, 3, stride=2), (5, 7, 2)),
                                          (ConvTranspose2D(4, 2, 5, stride=2), (3, 4, 4))])
def test_operations_and_bytes_of_the_layers_with_weights(gpu, layer, shape):
    x, N = np.ones((3, *shape)), 3
    y, _ = layer.forward(x)
    found = gpu["costs"](layer, x[0].size, y[0].size)
    assert list(found) == ["map", "adjoint", "wgrad"] and len(set(found.values())) == 1
    f0, f1, b0, b1 = found["map"]
    assert f0 + f1 * N == 2 * multiplications(layer, x)
    assert b0 + b1 * N == 4 * (x.size + y.size + layer.params["W"].size)


def test_intensity_of_dense(gpu):
    _, f1, b0, b1 = gpu["costs"](Dense(100, 40), 100, 40)["map"]
    for N in (1, 7, 1000):
        assert f1 * N / (b0 + b1 * N) == pytest.approx(0.5 / (1 / 100 + 1 / 40 + 1 / N))


def test_costs_of_the_others(gpu):
    assert gpu["costs"](BatchNorm(5), 20, 20) == {"forward": (0, 160, 0, 320), "backward": (0, 160, 0, 400)}
    assert gpu["costs"](LeakyReLU(), 20, 20) == {"forward": (0, 20, 0, 160), "backward": (0, 20, 0, 240)}
    assert gpu["costs"](Reshape((4, 5)), 20, 20) == {}
    G, _ = bench.models.get("points").build(rng=0)
    assert gpu["step"]("points")["G Adam", "step"] == (1, 14 * G.theta.size, 0, 28 * G.theta.size, 0)


@pytest.mark.parametrize("model", ["points", "dcgan_small"])
def test_calls_and_operations_of_a_step_are_those_of_the_profile(gpu, monkeypatch, model):
    monkeypatch.setattr(bench, "rate", lambda timer: 1.0)
    work, N = gpu["step"](model), 2
    rows = {(row["layer"], row["map"]): row for row in bench.profile(model, N, 1)["rows"]}
    assert {key for key in rows if "Reshape" not in key[0] and "Flatten" not in key[0]} == set(work)
    for key, (calls, f0, f1, _, _) in work.items():
        assert rows[key]["calls"] == calls, key
        if key[1] in ("map", "adjoint", "wgrad"):
            assert rows[key]["flop"] == calls * (f0 + f1 * N), key


def test_fit_recovers_overhead_and_rate(gpu):
    work = np.array([1e3, 1e5, 1e7, 1e9])
    t0, rate = gpu["fit"](work, 2e-6 + work / 5e10)
    assert t0 == pytest.approx(2e-6, rel=1e-9) and rate == pytest.approx(5e10, rel=1e-9)
    noisy = (2e-6 + work / 5e10) * np.random.default_rng(0).uniform(0.95, 1.05, 4)
    np.testing.assert_allclose(gpu["fit"](work, noisy), (2e-6, 5e10), rtol=0.1)


def test_the_model_takes_the_slower_of_arithmetic_and_memory(gpu):
    device, work = (1e-6, 1e9, 1e9), [(3, 0, 1000, 500, 10)]
    assert gpu["seconds"](device, work, 2) == pytest.approx(3 * (1e-6 + 2e-6))
    assert gpu["seconds"](device, [(1, 0, 10, 5000, 0)], 1) == pytest.approx(1e-6 + 5e-6)
    np.testing.assert_allclose(gpu["seconds"](device, work * 2, [1, 4]), [6 * 2e-6, 6 * 5e-6])


def test_the_crossing_is_that_of_the_formula(gpu):
    slow, fast, f = (1e-6, 1e9, 1e30), (8e-6, 1e11, 1e30), 150.0
    formula = (8e-6 - 1e-6) / (f * (1 / 1e9 - 1 / 1e11))
    assert gpu["crossing"](slow, fast, [(1, 0, f, 0, 0)]) == int(np.ceil(formula)) == 48
    assert gpu["crossing"](fast, slow, [(1, 0, f, 0, 0)], limit=1) == 1     # at N = 1 the smaller overhead is faster
    assert gpu["crossing"](slow, fast, [(1, 0, f, 0, 0)], limit=47) == 0


def test_a_backend_is_measured(gpu, xb):
    (t0, rate, bandwidth), waits = gpu["measure"](xb)
    assert 0 < t0 and 0 < waits and np.isfinite([rate, bandwidth]).all()


def test_unknown_model(gpu):
    with pytest.raises(ConfigError, match="unknown model 'vgg'"):
        gpu["step"]("vgg")
