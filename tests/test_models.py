"""The shipped networks: sizes by hand, shapes by running them, hyper-parameters of their sources."""

import numpy as np
import pytest

from tinygan import losses, models
from tinygan.errors import ConfigError, ShapeError
from tinygan.layers import LeakyReLU

# Parameters counted by hand: weights, then biases or γ and β.
COUNTS = {
    "mlp": (100 * 256 + 256 + 256 * 512 + 512 + 512 * 784 + 784, 784 * 256 + 256 + 256 + 1),
    "dcgan": (100 * 12544 + 2 * 12544 + 25 * 256 * 128 + 2 * 128 + 25 * 128 * 64 + 2 * 64 + 25 * 64,
              25 * 64 + 64 + 25 * 64 * 128 + 128 + 7 * 7 * 128 + 1),
    "dcgan_deep": (100 * 12544 + 2 * 12544 + 25 * 256 * 128 + 2 * 128 + 25 * 128 * 64 + 2 * 64 + 25 * 64 * 32 + 2 * 32
                   + 25 * 32, 25 * 64 + 64 + 25 * 64 * 128 + 128 + 7 * 7 * 128 + 1),
    "dcgan_small": (100 * 3136 + 2 * 3136 + 25 * 64 * 32 + 2 * 32 + 25 * 32 * 16 + 2 * 16 + 25 * 16,
                    25 * 16 + 16 + 25 * 16 * 32 + 32 + 7 * 7 * 32 + 1),
    "dcgan64": (100 * 2048 + 2 * 2048 + 25 * 128 * 64 + 2 * 64 + 25 * 64 * 32 + 2 * 32 + 25 * 32 * 16 + 2 * 16
                + 25 * 16 * 3, 25 * 3 * 16 + 16 + 25 * 16 * 32 + 2 * 32 + 25 * 32 * 64 + 2 * 64 + 25 * 64 * 128
                + 2 * 128 + 4 * 4 * 128 + 1),
    "dcgan128": (100 * 2048 + 2 * 2048 + 25 * (128 * 64 + 64 * 32 + 32 * 16 + 16 * 8 + 8 * 3)
                 + 2 * (64 + 32 + 16 + 8),
                 25 * (3 * 8 + 8 * 16 + 16 * 32 + 32 * 64 + 64 * 128) + 8 + 2 * (16 + 32 + 64 + 128) + 4 * 4 * 128 + 1),
    "mixture": (2 * 256 + 256 + 256 * 256 + 256 + 256 * 2 + 2, 18 * 256 + 256 + 256 * 256 + 256 + 256 + 1),
    "points": (2 * 128 + 128 + 128 * 128 + 128 + 128 * 2 + 2, 2 * 128 + 128 + 128 * 128 + 128 + 128 + 1),
}
SIZES = {"dcgan64": {"width": 0.25}, "dcgan128": {"width": 0.125}}      # the others at full width


def run(G, D, n=2):
    z = np.random.default_rng(0).standard_normal((n, *G.input_shape)).astype(np.float32)
    x, _ = G.forward(z)
    return x, D.forward(x)[0]


@pytest.mark.parametrize("name", models.names)
def test_sizes(name):
    G, D = models.get(name).build(rng=0, **SIZES.get(name, {}))
    assert (G.theta.size, D.theta.size) == COUNTS[name]
    x, logits = run(G, D)
    assert x.shape == (2, *D.input_shape) and logits.shape == (2, 1) and x.dtype == np.float32
    image = {"dcgan64": (64, 64, 3), "dcgan128": (128, 128, 3)}.get(name, (28, 28, 1))
    assert len(D.input_shape) == 1 or (x.shape[1:] == image and abs(x).max() <= 1)


@pytest.mark.parametrize("name", ["mlp", "dcgan", "dcgan_deep"])
@pytest.mark.parametrize("image", [(32, 32, 3), (16, 12, 1)])
def test_other_images_and_widths(name, image):
    x, logits = run(*models.get(name).build(rng=0, width=0.1, image=image, latent=7))
    assert x.shape == (2, *image) and logits.shape == (2, 1)


@pytest.mark.parametrize("name, image", [("dcgan64", (48, 80, 1)), ("dcgan128", (64, 32, 4))])
def test_other_images_for_the_stages(name, image):
    x, logits = run(*models.get(name).build(rng=0, width=0.02, image=image, latent=7))
    assert x.shape == (2, *image) and logits.shape == (2, 1)


def test_the_model_for_samples_of_a_shape():
    assert [models.for_samples(shape) for shape in ((2,), (28, 28, 1), (44, 60, 3), (48, 48, 3), (96, 96, 1))] == [
        "points", "dcgan_small", "dcgan_small", "dcgan64", "dcgan128"]


def test_seeds_reproduce_and_the_two_networks_differ():
    (G, D), (G2, D2) = models.dcgan(rng=5, width=0.1), models.dcgan(rng=5, width=0.1)
    assert (G.theta == G2.theta).all() and (D.theta == D2.theta).all()
    assert (models.dcgan(rng=6, width=0.1)[0].theta != G.theta).any()


def test_hyper_parameters_of_the_sources():
    assert models.get("mlp")[1:] == (128, 200, 2e-4, 0.5)
    assert models.get("dcgan")[1:] == models.get("dcgan-deep")[1:] == (64, 20, 2e-4, 0.5)
    G, D = models.dcgan()
    assert all(layer.slope == 0.2 for net in (G, D) for layer in net.layers if type(layer).__name__ == "LeakyReLU")
    assert [layer.rate for layer in D.layers if type(layer).__name__ == "Dropout"] == [0.3, 0.3]
    assert not any(name.endswith(".b") for name in G.params)


@pytest.mark.parametrize("name", models.names)
def test_slopes_and_initial_weights_of_the_sources(name):
    """Images: Glorot's uniform, slope 0.2 in both networks. 2-D: He's normal but in the last layers; G with ReLU."""
    flat = name in ("points", "mixture")
    for net, slope in zip(models.get(name).build(rng=0, **SIZES.get(name, {})), (0.0 if flat else 0.2, 0.2)):
        assert {layer.slope for layer in net.layers if isinstance(layer, LeakyReLU)} == {slope}
        weights = [layer.params["W"].astype("float64") for layer in net.layers if "W" in layer.params]
        for W in weights:
            fan_in, fan_out = W[..., 0].size, W[..., 0, :].size
            he = flat and W is not weights[-1]
            variance = 2 / fan_in if he else 2 / (fan_in + fan_out)
            assert abs(W.var() / variance - 1) < 6 * (2 / W.size)**0.5              # of a normal's variance
            assert he == (abs(W).max() > (3 * variance)**0.5 * (1 + 1e-6))          # where a uniform one ends


def test_dcgan_initialisation_is_an_option():
    G, D = models.dcgan(rng=0, init="dcgan")
    assert abs(G.params["4.W"].std() - 0.02) < 1e-3 and abs(D.params["3.W"].std() - 0.02) < 1e-3


def test_dropout_is_an_option_of_the_convolutional_ones():
    rates = lambda **options: [layer.rate for layer in models.dcgan_small(**options)[1].layers
                               if type(layer).__name__ == "Dropout"]
    assert rates(dropout=0.1) == [0.1, 0.1] and rates(dropout=0) == [] and rates() == [0.3, 0.3]
    D = models.dcgan64(width=0.02, dropout=0.2)[1]
    assert [layer.rate for layer in D.layers if type(layer).__name__ == "Dropout"] == [0.2] * 4
    with pytest.raises(ConfigError, match="rate of at least 0 and below 1, got 1.5"):
        models.dcgan(dropout=1.5)
    with pytest.raises(ConfigError, match="unknown option 'dropout' of this model"):
        models.mlp(dropout=0.1)


@pytest.mark.parametrize("name", models.names)
def test_options_of_the_discriminator(name):
    small = {"width": 0.1 if name not in SIZES else 0.02, "pack": 2, "spectral": True, "minibatch_std": True}
    images = len(models.get(name).build(width=0.02)[1].input_shape) == 3
    small.update({"augment": "translation,cutout"} if images else {})
    G, D = models.get(name).build(rng=0, **small)
    x, logits = run(G, D, 6)
    assert logits.shape == (3, 1)
    kinds = [type(layer).__name__ for layer in D.layers]
    assert kinds[-2:] == ["MinibatchStd", "SpectralNorm"] and kinds.count("Pack") == 1 and "Dense" not in kinds
    with pytest.raises(ShapeError, match="a multiple of 2, got 5"):
        run(G, D, 5)
    with pytest.raises(ConfigError, match="unknown option 'depth'"):
        models.get(name).build(depth=3)


def test_a_fresh_discriminator_is_undecided():
    G, D = models.mlp(rng=0)
    x, logits = run(G, D, 64)
    assert abs(float(losses.get("minimax").d_loss(logits, logits)[0]) - 2 * np.log(2)) < 0.5


def test_errors():
    with pytest.raises(ConfigError, match="unknown model 'vae'; choose one of: mlp, dcgan"):
        models.get("vae")
    with pytest.raises(ConfigError, match="multiples of 4, got .30, 28, 1."):
        models.dcgan(image=(30, 28, 1))
    with pytest.raises(ConfigError, match="multiples of 16, got .64, 56, 3."):
        models.dcgan64(image=(64, 56, 3))
