"""Metrics: known answers, floors, and what each is there to see."""

import numpy as np
import pytest

from tinygan import classifier, cli, data, gradcheck, metrics, run
from tinygan.errors import DataError, ShapeError


def test_perfect_samples_of_a_mixture_reach_the_published_floor():
    for name, modes in (("ring", 8), ("grid", 25)):
        model = data.stream(name)
        figures = [metrics.mixture(model.sample(2500, np.random.default_rng(s))[0], model) for s in range(10)]
        mean = {key: np.mean([f[key] for f in figures]) for key in figures[0]}
        assert mean["modes"] == modes and abs(mean["high_quality"] - 0.989) < 0.002
        assert abs(mean["reverse_kl"] - (modes - 1) / 5000) < 0.001      # χ² of K − 1 degrees over 2n
        assert mean["worst_covariance"] < (1.4 if modes == 8 else 1.8) and abs(mean["energy"]) < 0.002


def test_a_mixture_that_misses():
    model = data.ring()
    points, component = model.sample(4000, np.random.default_rng(0))
    half = metrics.mixture(points[component < 4], model)
    assert half["modes"] == 4 and half["worst_covariance"] == np.inf and half["energy"] > 0.1
    np.testing.assert_allclose(half["reverse_kl"], np.log(2), atol=0.01)
    blurred = metrics.mixture(points + 0.03 * np.random.default_rng(1).standard_normal(points.shape), model)
    assert blurred["high_quality"] < 0.5 and blurred["modes"] == 8
    narrow = metrics.mixture(model.means[component] + 0.5 * (points - model.means[component]), model)
    assert narrow["high_quality"] == 1.0 and narrow["worst_covariance"] > 3


def test_a_mixture_is_measured_on_points():
    for shape in ((0, 2), (1, 2), (5, 3), (4,)):
        with pytest.raises(DataError, match="at least two points"):
            metrics.mixture(np.zeros(shape), data.ring())


def test_energy_distance():
    x = np.random.default_rng(0).standard_normal((400, 2))
    y = np.random.default_rng(1).standard_normal((500, 2))
    pairs = lambda a, b: np.linalg.norm(a[:, None] - b, axis=2)
    expected = 2 * pairs(x, y).mean() - pairs(x, x).sum() / 400 / 399 - pairs(y, y).sum() / 500 / 499
    np.testing.assert_allclose(metrics.energy_distance(x, y), expected, rtol=1e-6)
    assert metrics.energy_distance(x, y + 1) > 0.2


def test_frechet_distance_of_gaussians():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((3, 3))
    x = rng.standard_normal((2000, 3)) @ A
    assert abs(metrics.frechet_distance(x, x)) < 1e-9
    np.testing.assert_allclose(metrics.frechet_distance(x, x + [1, 2, 0]), 5, rtol=1e-9)
    scaled = metrics.frechet_distance(x, 2 * x)     # ‖μ‖² + tr(C + 4C − 4C) = ‖μ‖² + tr C
    np.testing.assert_allclose(scaled, (x.mean(0)**2).sum() + np.trace(np.cov(x.T)), rtol=1e-9)


def test_kernel_distance_is_unbiased():
    rng = np.random.default_rng(0)
    same = [metrics.kernel_distance(*rng.standard_normal((2, 100, 4))) for _ in range(200)]
    assert abs(np.mean(same)) < 4 * np.std(same) / 200**0.5 and min(same) < 0
    assert metrics.kernel_distance(rng.standard_normal((100, 4)), rng.standard_normal((100, 4)) + 1) > 1


def test_precision_and_recall():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 1, (600, 2)), rng.uniform(0, 1, (600, 2))
    precision, recall = metrics.precision_recall(a, b)
    assert precision > 0.9 and recall > 0.9
    precision, recall = metrics.precision_recall(a[a[:, 0] < 0.5], b)         # half is not drawn
    assert precision > 0.9 and 0.4 < recall < 0.6
    precision, recall = metrics.precision_recall(np.r_[a, a + 10], b)          # half is not real
    assert 0.45 < precision < 0.55 and recall > 0.9


def test_cross_entropy():
    labels, logits = np.array([1, 0, 2]), np.random.default_rng(0).standard_normal((3, 4))
    loss, _ = classifier.cross_entropy(logits, labels)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(loss, -np.log(p[range(3), labels]).mean())
    gradcheck.check_loss(lambda l: classifier.cross_entropy(l, labels), logits).raise_if_wrong()
    assert np.isfinite(classifier.cross_entropy(1e4 * logits, labels)[0])


def test_the_bundled_classifier():
    images, labels = data.load("mnist5k")
    features, p = classifier.look(images[::10])
    assert features.shape == (500, classifier.FEATURES) and np.allclose(p.sum(1), 1)
    assert (p.argmax(1) == labels[::10]).mean() > 0.985      # held-out accuracy is in classifier.txt
    text = classifier.WEIGHTS.with_suffix(".txt").read_text()
    import hashlib
    assert hashlib.sha256(classifier.WEIGHTS.read_bytes()).hexdigest() in text and "10,000 test images" in text
    with pytest.raises(ShapeError, match="it knows MNIST only"):
        classifier.look(np.zeros((2, 32, 32, 1), np.float32))


def test_digits():
    images, labels = data.load("mnist5k")
    a, b = images[::2][:1000 * 5:3], images[1::2][::3]
    same = metrics.digits(a, b)
    assert same["classes"] == 10 and same["total_variation"] < 0.05 and same["precision"] > 0.8 < same["recall"]
    threes = metrics.digits(images[labels == 3], b)
    assert threes["classes"] == 1 and abs(threes["total_variation"] - 0.9) < 0.03
    assert threes["frechet"] > 10 * same["frechet"] and threes["recall"] < 0.4
    copies = metrics.digits(b, b)
    assert copies["nearest"] < 0.1 * same["nearest"] and abs(copies["frechet"]) < 1e-6
    noise = metrics.digits(np.random.default_rng(0).uniform(-1, 1, (300, 28, 28, 1)).astype("float32"), b)
    assert noise["precision"] < 0.2 and noise["kid"] > 10 * abs(same["kid"])
    with pytest.raises(DataError, match="at least 100 digits"):
        metrics.digits(a[:50], b)


def test_evaluate_prints_figures_beside_floors(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run.train("ring", quiet=True, data="ring", steps=5)
    run.train("mlp", quiet=True, model="mlp", width=0.1, steps=5)
    for folder, names in [("ring", ("modes", "reverse_kl")), ("mlp", ("frechet", "precision", "nearest"))]:
        assert cli.main(["evaluate", folder, "-n", "300"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["run", "floor"]
        table = {line.split()[0]: list(map(float, line.split()[1:])) for line in lines[1:]}
        assert set(names) <= set(table) and all(len(row) == 2 for row in table.values())
    assert table["frechet"][0] > 5 * table["frechet"][1]      # five steps are not enough
    assert cli.main(["evaluate", "gone"]) == 2
    assert cli.main(["evaluate", "ring", "--held-out", "mnist5k"]) == 2 and "drawn anew" in capsys.readouterr().err


def test_stacked_digits_show_their_modes():
    images, labels = data.load("mnist5k")
    source = data.Stacked(images, labels)
    stacks, modes = source.sample(1500, np.random.default_rng(0))
    assert stacks.shape == (1500, 28, 28, 3) and stacks.dtype == np.float32 and modes.min() >= 0 and modes.max() < 1000
    found = metrics.stacked(stacks)
    share = np.bincount(modes, minlength=1000) / len(modes)
    assert abs(found["modes"] - (share > 0).sum()) < 15
    np.testing.assert_allclose(found["kl"], (share[share > 0] * np.log(1000 * share[share > 0])).sum(), atol=0.03)
    one = metrics.stacked(np.repeat(stacks[:1], 50, axis=0))
    assert one["modes"] == 1 and abs(one["kl"] - np.log(1000)) < 1e-9
    np.testing.assert_array_equal(next(data.Stream(source, 4, 7)), next(data.Stream(source, 4, 7)))
    with pytest.raises(DataError, match="stacked digits"):
        metrics.stacked(images[:3])
    for wrong in (lambda: data.Stacked(stacks), lambda: data.Stacked(images, labels[:5])):
        with pytest.raises(ShapeError):
            wrong()


def test_the_formulas_of_features():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 3)), rng.standard_normal((200, 3)) + 1
    cx, cy = np.cov(x.T), np.cov(y.T)       # they do not commute
    frechet = ((x.mean(0) - y.mean(0))**2).sum() + np.trace(cx + cy - 2 * _root(cx @ cy))
    np.testing.assert_allclose(metrics.frechet_distance(x, y), frechet, rtol=1e-10)
    k = lambda a, b: (a @ b.T / 3 + 1)**3
    within = lambda a: k(a, a)[~np.eye(len(a), dtype=bool)].mean()
    np.testing.assert_allclose(metrics.kernel_distance(x, y), within(x) + within(y) - 2 * k(x, y).mean(), rtol=1e-10)
    distance = lambda a, b: np.linalg.norm(a[:, None] - b, axis=2)
    reach = lambda a: np.sort(distance(a, a), 1)[:, 3]
    precision, recall = ((distance(a, b) <= reach(b)).any(1).mean() for a, b in ((x, y), (y, x)))
    assert metrics.precision_recall(x, y) == (precision, recall) and precision != recall
    with pytest.raises(DataError, match="more than k = 3"):
        metrics.precision_recall(x[:3], y)


def _root(matrix):
    values, vectors = np.linalg.eig(matrix)
    return ((vectors * np.sqrt(values)) @ np.linalg.inv(vectors)).real


def test_the_formulas_of_mixtures():
    model = data.Mixture([[0, 0], [10, 0]], 1.0)
    found = metrics.mixture(np.array([[2.999, 0], [3.001, 0], [0, 0.1], [10, 4]]), model)
    assert found["modes"] == 1 and found["high_quality"] == 0.5
    np.testing.assert_allclose(found["reverse_kl"], 0.75 * np.log(1.5) + 0.25 * np.log(0.5), rtol=1e-12)
    with pytest.raises(DataError, match="two real points"):
        metrics.mixture(np.zeros((4, 2)), model, real=np.zeros((1, 2)))
    # Angles on a grid, radii at the quantiles of a Gaussian cut off at 3σ: the ratio is 1, to quadrature.
    radii = np.sqrt(-2 * np.log(1 - (np.arange(400) + 0.5) / 400 * (1 - np.exp(-4.5))))
    angles = 2 * np.pi * np.arange(64) / 64
    exact = (radii[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], 1)).reshape(-1, 2)
    for scale, ratio in (([1, 1], 1), ([2, 1], 4), ([1, 0.5], 4)):
        np.testing.assert_allclose(metrics._covariance_ratio(exact * scale, 1.0), ratio, rtol=0.005)


def test_the_formulas_of_digits(monkeypatch):
    """A classifier that reads the class from the first pixel and the features from the next."""
    def look(images, net=None):
        flat = images.reshape(len(images), -1)
        return flat[:, 1:4], np.eye(10)[np.rint(4.5 * (flat[:, 0] + 1)).astype(int)]
    monkeypatch.setattr(metrics.classifier, "look", look)
    rng = np.random.default_rng(0)
    images, real = rng.uniform(-1, 1, (2, 200, 28, 28, 1))
    images[:, 0, 0, 0], real[:, 0, 0, 0] = -1, np.where(np.arange(200) % 4, -1, 1)      # a quarter are nines
    found = metrics.digits(images, real)
    assert found["classes"] == 1 and found["total_variation"] == 0.25
    nearest = np.linalg.norm(images.reshape(200, 1, -1) - real.reshape(1, 200, -1), axis=2).min(1)
    np.testing.assert_allclose(found["nearest"], nearest.mean(), rtol=1e-6)


def test_each_triple_of_digits_is_a_mode(monkeypatch):
    look = lambda images, net=None: (None, np.eye(10)[np.rint(images[:, 0, 0, 0]).astype(int)])
    monkeypatch.setattr(metrics.classifier, "look", look)
    digit = np.indices((10, 10, 10)).reshape(3, -1).T
    images = np.broadcast_to(digit[:, None, None], (1000, 28, 28, 3))
    found = metrics.stacked(images)
    assert found["modes"] == 1000 and abs(found["kl"]) < 1e-12
    assert metrics.stacked(images[:100]) == {"modes": 100.0, "kl": pytest.approx(np.log(10))}
