"""Games on labels: both networks are told the class, and G makes what it is asked for."""

import numpy as np
import pytest

from tinygan import GAN, backend, cli, data, models, run
from tinygan.errors import ConfigError, DataError
from tinygan.layers import WithLabels, with_classes


def test_labels_are_channels(xb):
    x = backend.to(np.arange(8.0).reshape(2, 2, 1, 2), xb)
    both = with_classes(x, np.array([2, 0]), 3)
    y = backend.asnumpy(WithLabels(3).forward(both)[0])
    np.testing.assert_array_equal(y, backend.asnumpy(both))
    np.testing.assert_array_equal(y[..., :2], backend.asnumpy(x))
    np.testing.assert_array_equal(y[0, :, :, 2:], [[[0, 0, 1]]] * 2)
    np.testing.assert_array_equal(y[1, :, :, 2:], [[[1, 0, 0]]] * 2)


def test_a_class_has_no_gradient():
    """So that a penalty's norm is of the sample alone, and the mean of two equal classes is the class."""
    layer, x = WithLabels(2), with_classes(np.ones((3, 2)), [0, 1, 1], 2)
    y, cache = layer.forward(0.7 * x)
    np.testing.assert_array_equal(y[:, 2:], x[:, 2:])
    dy = np.random.default_rng(0).standard_normal(y.shape)
    for d in (layer.backward(dy, cache), layer.jvp(dy, cache)[0], *layer.jvp_backward(dy, dy, cache, None)):
        np.testing.assert_array_equal(d, np.concatenate([dy[:, :2], np.zeros((3, 2))], axis=1))


@pytest.mark.parametrize("labels", [np.array([0]), np.array([0, 3]), np.array([-1, 0]), np.array([0.0, 1.0]), [[0, 1]]])
def test_labels_that_do_not_fit(labels):
    with pytest.raises(DataError, match="expected"):
        with_classes(np.zeros((2, 4)), labels, 3)
    with pytest.raises(ConfigError, match="labels of the batch .* got none"):
        with_classes(np.zeros((2, 4)), None, 3)
    with pytest.raises(ConfigError, match="3 channels of classes after those of the sample"):
        WithLabels(3).forward(np.zeros((2, 3)))
    for classes in (0, 1.5, None):
        with pytest.raises(ConfigError):
            WithLabels(classes)


@pytest.mark.parametrize("name", ["mlp", "dcgan_small", "points", "mixture"])
def test_every_model_can_be_told(name):
    G, D = models.get(name).build(rng=0, classes=4, width=0.1)
    gan = GAN(G, D, "relativistic", rng=1, penalty="r1+r2", gamma=0.1, average=0.9)
    x = np.random.default_rng(0).uniform(-1, 1, (6, *D.input_shape[:-1], D.input_shape[-1] - 4)).astype("float32")
    labels = np.arange(6) % 4
    metrics = gan.step(x, labels)
    assert all(np.isfinite(float(value)) for value in metrics.values())
    z = gan.noise(1, np.random.default_rng(2)).repeat(4, axis=0)
    a = gan.sample(z=z, labels=np.arange(4))
    assert len(np.unique(a.reshape(4, -1), axis=0)) == 4                    # one latent, four classes
    np.testing.assert_array_equal(gan.sample(z=z), a)                       # by default each in turn
    with pytest.raises(ConfigError, match="labels of the batch in a game with 4 classes, got none"):
        gan.step(x)


def test_one_network_alone_cannot_be_told():
    G, _ = models.mlp(rng=0, classes=3, width=0.1)
    _, D = models.mlp(rng=0, width=0.1)
    with pytest.raises(ConfigError, match="WithLabels alike in both networks, got 3 and 0 classes"):
        GAN(G, D)
    with pytest.raises(ConfigError, match="packs or classes"):
        models.mlp(rng=0, classes=3, pack=2)


def test_it_learns_which_class_is_asked_for():
    """Four points, each a class: after a short game a sample lies nearest to the point of its class."""
    means = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)
    G, D = models.points(rng=0, classes=4, width=0.25)
    gan, rng = GAN(G, D, "relativistic", rng=1, penalty="r1", gamma=0.1), np.random.default_rng(2)
    for opt in (gan.g_opt, gan.d_opt):
        opt.lr, opt.beta1 = 2e-3, 0.0
    for _ in range(500):
        labels = rng.integers(4, size=64)
        gan.step((means[labels] + 0.1 * rng.standard_normal((64, 2))).astype("float32"), labels)
    labels = np.arange(400) % 4
    nearest = ((gan.sample(400, labels=labels)[:, None] - means)**2).sum(-1).argmin(1)
    assert (nearest == labels).mean() > 0.9


def test_batches_bring_their_labels():
    images, labels = data.load("mnist5k")
    batches = data.Batches(images, 7, 0, labels)
    x, y = next(batches)
    plain = next(data.Batches(images, 7, 0))
    np.testing.assert_array_equal(x, plain)
    for image, label in zip(x, y):
        assert label in labels[(images == image).all(axis=(1, 2, 3))]
    with pytest.raises(DataError, match="a label for each"):
        data.Batches(images, 7, 0, labels[:9])


def test_a_conditional_run_from_the_command_line(tmp_path, few_digits, no_curves, capsys):
    options = ["--model", "mlp", "--width", "0.1", "--batch", "50", "--steps", "8", "--quiet", "--conditional"]
    assert cli.main(["train", *options, "--no-report", "--out", str(tmp_path / "r")]) == 0
    assert cli.main(["report", str(tmp_path / "r"), "-n", "100"]) == 0      # train's own has 1,000 samples
    assert run.read_config(tmp_path / "r/config.json")[0]["classes"] == 10
    assert (tmp_path / "r/report.html").stat().st_size > 1000
    seven = run.sample(tmp_path / "r", 12, 0, label=7)
    turns = run.sample(tmp_path / "r", 12, 0)
    assert seven.shape == turns.shape and np.array_equal(seven[7], turns[7]) and not np.array_equal(seven[0], turns[0])
    assert cli.main(["sample", str(tmp_path / "r"), "-n", "4", "--label", "3"]) == 0
    for bad, words in ((["sample", str(tmp_path / "r"), "--label", "10"], "0 … 9"),
                       (["train", "--conditional", "--data", "ring"], "has none")):
        capsys.readouterr()
        assert cli.main(bad) == 2
        assert words in capsys.readouterr().err


def test_a_conditional_run_resumes(tmp_path, no_curves):
    options = dict(model="mlp", width=0.1, batch=50, steps=6, conditional=True)
    run.train(tmp_path / "whole", quiet=True, **options)
    r = run.Run(run.Config(**options))
    r.open(tmp_path / "parts")
    train = r.gan.train
    r.gan.train = lambda batches, steps, callbacks: train(batches, 3, callbacks)
    r.train(quiet=True)
    run.resume(tmp_path / "parts", quiet=True)
    assert (tmp_path / "whole/samples.png").read_bytes() == (tmp_path / "parts/samples.png").read_bytes()


def test_batches_of_labels_and_labels_below_zero(tmp_path):
    gan = GAN(*models.points(rng=0, classes=3, width=0.1), rng=0, k=2)
    x = np.zeros((4, 2), "float32")
    gan.step(x, [0, 1, 2, 0])                   # a list of numbers is one batch
    gan.step([x, x], [np.array([0, 1, 2, 0]), [2, 1, 0, 0]])
    with pytest.raises(ConfigError, match="k = 2 batches, and labels for each, got 2 and labels for 1"):
        gan.step([x, x], [np.zeros(4, int)])
    np.savez(tmp_path / "a.npz", images=np.zeros((40, 28, 28), np.uint8), labels=np.arange(40) - 1)
    with pytest.raises(ConfigError, match="labels from 0 on in .*got -1"):
        run.Run(run.Config(data=str(tmp_path / "a.npz"), conditional=True, model="mlp", width=0.1, batch=20))
