"""The bundled digits, mixtures, and iterators that can be taken up again."""

import json

import numpy as np
import pytest

from tinygan import data
from tinygan.data import digits
from tinygan.errors import ConfigError, DataError, DtypeError, MissingError, ShapeError


def test_bundled_digits():
    images, labels = data.load("mnist5k")
    assert images.shape == (5000, 28, 28, 1) and images.dtype == np.float32 and labels.dtype == np.int64
    assert images.min() == -1 and images.max() == 1 and np.bincount(labels).tolist() == [500] * 10
    assert len(np.unique(images.reshape(5000, -1), axis=0)) == 5000
    assert 0.1 < (images > 0).mean() < 0.2                        # white on black
    # Real digits: the mean image of each class is nearest to most of its own.
    means = np.stack([images[labels == d].mean(0) for d in range(10)]).reshape(10, -1)
    guess = ((images.reshape(5000, 1, -1)[::10] - means)**2).sum(-1).argmin(1)
    assert (guess == labels[::10]).mean() > 0.7


def test_damaged_or_missing_digits(tmp_path, monkeypatch):
    content = bytearray(digits._FILE.read_bytes())
    content[1000] ^= 1
    monkeypatch.setattr(digits, "_FILE", tmp_path / "mnist5k.npz")
    with pytest.raises(MissingError, match="reinstall tinygan"):
        data.load("mnist5k")
    (tmp_path / "mnist5k.npz").write_bytes(content)
    with pytest.raises(DataError, match="expected SHA-256 a726012be374"):
        data.load("mnist5k")


def test_origin_is_recorded():
    text = digits._FILE.with_name("mnist5k.txt").read_text()
    assert digits._SHA256 in text and "CC BY-SA 3.0" in text and "LeCun" in text


@pytest.mark.parametrize("name, modes, sigma", [("ring", 8, 0.01), ("grid", 25, 0.05)])
def test_mixtures(name, modes, sigma):
    mixture = data.stream(name)
    points, component = mixture.sample(20_000, np.random.default_rng(0))
    assert points.shape == (20_000, 2) and points.dtype == np.float32 and mixture.means.shape == (modes, 2)
    assert abs(np.bincount(component, minlength=modes) / 20_000 - 1 / modes).max() < 0.01
    offset = points - mixture.means[component]
    assert abs(offset.std() / sigma - 1) < 0.02 and abs(offset.mean()) < 0.01 * sigma + 1e-3 * sigma * 10
    assert abs(np.sqrt((points.astype(float)**2).mean()) / mixture.scale - 1) < 0.01
    if name == "ring":
        np.testing.assert_allclose(np.hypot(*mixture.means.T), 1)
    else:
        assert sorted(set(mixture.means[:, 0])) == [-4, -2, 0, 2, 4]


def test_scale_counts_the_spread_too():
    assert abs(data.Mixture([[0, 0]], 0.3).scale - 0.3) < 1e-12
    assert abs(data.Mixture([[3, 4]], 0.5).scale**2 - 12.75) < 1e-12


@pytest.mark.parametrize("means, sigma, error, words", [
    ([1, 2, 3], 0.1, ShapeError, r"\(K, 2\) with K ≥ 1, got shape \(3,\)"),
    ([[1, 2, 3]], 0.1, ShapeError, r"got shape \(1, 3\)"), (np.zeros((0, 2)), 0.1, ShapeError, r"got shape \(0, 2\)"),
    ([[np.nan, 0]], 0.1, ConfigError, "finite means"), ([[0, 0]], 0, ConfigError, "sigma above 0, got 0"),
    ([[0, 0]], -1, ConfigError, "got -1"), ([[0, 0]], np.nan, ConfigError, "got nan"),
    ([[0, 0]], np.inf, ConfigError, "got inf")])
def test_a_mixture_that_is_none(means, sigma, error, words):
    with pytest.raises(error, match=words):
        data.Mixture(means, sigma)


def test_an_epoch_shows_each_sample_once_in_a_new_order():
    x = np.arange(20, dtype=np.float32).reshape(10, 2)
    batches = data.Batches(x, 5, rng=0)
    epochs = [np.concatenate([next(batches) for _ in range(2)]) for _ in range(3)]
    assert batches.steps_per_epoch == 2 and batches.epoch == 2
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch[:, 0]), x[:, 0])
    assert (epochs[0] != epochs[1]).any() and (epochs[1] != epochs[2]).any()
    assert batches.samples is x                                    # not copied
    odd = data.Batches(x, 4, rng=0)
    seen = np.concatenate([next(odd) for _ in range(2)])[:, 0]
    assert len(set(seen)) == 8 and odd.steps_per_epoch == 2        # the incomplete batch is left out


@pytest.mark.parametrize("make", [lambda seed: data.Batches(np.arange(20, dtype=np.float32).reshape(10, 2), 3, seed),
                                  lambda seed: data.Stream(data.ring(), 3, seed)])
@pytest.mark.parametrize("done", [0, 1, 3, 5])
def test_taken_up_again_at_the_very_same_place(make, done):
    first, again = make(0), make(99)
    for _ in range(done):
        next(first)
    again.set_state(json.loads(json.dumps(first.state())))
    assert again.state() == first.state()
    for _ in range(8):
        np.testing.assert_array_equal(next(first), next(again))
    assert again.state() == first.state()


def test_a_state_that_does_not_fit_changes_nothing():
    few, many = np.zeros((10, 2), np.float32), np.zeros((100, 2), np.float32)
    few[:, 0] = range(10)
    batches, untouched, late = data.Batches(few, 3, 0), data.Batches(few, 3, 0), data.Batches(many, 3, 1)
    for _ in range(20):
        next(late)
    good = data.Batches(few, 3, 1).state()
    for bad, words in [
            (late.state(), "got {'samples': 100"), (data.Batches(many, 3, 1).state(), "got {'samples': 100"),
            (data.Batches(few, 2, 1).state(), "'batch': 2"), (good | {"step": 4}, "at most 3"), ({}, "saved state"),
            (None, "saved state"), (good | {"epoch": "x"}, "'epoch' as a number"), (good | {"step": -1}, "got -1"),
            (good | {"rng": {}}, "a damaged one"), (good | {"rng": None}, "a damaged one"),
            (good | {"rng": {k: v for k, v in good["rng"].items() if k != "uinteger"}}, "a damaged one"),   # half of it
            (good | {"rng": good["rng"] | {"bit_generator": "MT19937"}}, "a PCG64 generator"),
            (data.Stream(data.ring(), 3, 1).state(), "saved state")]:
        with pytest.raises(DataError, match=words):
            batches.set_state(bad)
    for _ in range(7):
        np.testing.assert_array_equal(next(batches), next(untouched))
    stream, same = data.Stream(data.ring(), 3, 0), data.Stream(data.ring(), 3, 0)
    for bad in ({}, None, {"rng": 3}):
        with pytest.raises(DataError, match="a saved state of a PCG64 generator"):
            stream.set_state(bad)
    np.testing.assert_array_equal(next(stream), next(same))


def test_errors():
    x = np.ones((4, 2), np.float32)
    for bad, error, words in [
            (x[:0], ShapeError, "is the data empty"), (x.astype(int), DtypeError, "got int64"),
            (np.where([[1, 0]] * 4, x, np.nan).astype("float32"), DataError, "NaN or infinity in sample 0"),
            (x * np.float32(np.inf), DataError, "NaN or infinity"), ([1.0], DataError, "got list")]:
        with pytest.raises(error, match=words):
            data.Batches(bad, 1)
    with pytest.raises(DataError, match="a batch of at most 4, the size of the data, got 5"):
        data.Batches(x, 5)
    for batch in (0, -1, 2.5):
        with pytest.raises(ConfigError, match="at least 1 sample"):
            data.Batches(x, batch)
    for name in ("cifar", "idx:", "", None, "idx", ["mnist5k"], "ring:8"):
        with pytest.raises(ConfigError, match="choose one of: mnist5k .*idx:FOLDER"):
            data.load(name)
    with pytest.raises(ConfigError, match=r"an endless mixture; .*data.stream\('ring'\)"):
        data.load("ring")
    with pytest.raises(ConfigError, match="unknown mixture 'spiral'"):
        data.stream("spiral")
    with pytest.raises(DataError, match="8 bits"):
        data.scale(np.ones((2, 3, 3)))


def test_where_the_ring_begins():
    np.testing.assert_allclose(data.ring().means[:3], [[1, 0], [0.5**0.5, 0.5**0.5], [0, 1]], atol=1e-12)
