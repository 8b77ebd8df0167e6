"""Spoken digits: both players' objectives, the transform and its inverse, the inception score, wav files."""

import wave

import numpy as np
import pytest

from tinygan import gradcheck
from tinygan.errors import DataError, ShapeError
from tinygan.layers import with_classes

LABELS = np.array([3, 0, 9, 3])


@pytest.fixture
def speech(chapter):
    return chapter("29_spoken_digits").names


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class Labelled:
    """G, told LABELS, whose samples have them as channels, as D sees both."""

    def __init__(self, G):
        self.net, self.zero_grads = G, G.zero_grads

    @property
    def theta(self):
        return self.net.theta

    @theta.setter
    def theta(self, value):
        self.net.theta = value

    def forward(self, z):
        y, cache = self.net.forward(with_classes(z, LABELS, 10))
        return with_classes(y, LABELS, 10), cache

    def backward(self, dy, cache, grads):
        return self.net.backward(dy[..., :1], cache, grads)[:, :-10]


@pytest.mark.parametrize("player", ["D", "G"])
def test_objectives(speech, check_player, player, rng):
    G, D = (net.astype("float64") for net in speech["networks"](0, c=2))
    x = with_classes(speech["x"][LABELS * 300].astype("float64"), LABELS, 10)
    check_player(player, Labelled(G), D, x, rng.standard_normal((4, 20)))


def test_layers(speech, rng):
    code = with_classes(rng.standard_normal((4, 10)), LABELS, 10)
    part, pick = speech["Part"](np.s_[:, 0, 1:]), speech["Pick"](10)
    np.testing.assert_array_equal(pick.forward(code)[0][:, 0], code[np.arange(4), LABELS])
    gradcheck.check_layer(part, rng.standard_normal((4, 3, 5))).raise_if_wrong()
    report = gradcheck.check_loss(lambda x: (pick.forward(with_classes(x, LABELS, 10))[0].sum(), pick.backward(
        np.ones((4, 1)), pick.forward(with_classes(x, LABELS, 10))[1])[:, :10]), rng.standard_normal((4, 10)))
    assert max(report.raise_if_wrong().values()) <= 1e-8


def test_the_transform(speech, rng):
    """Parseval; the adjoint; F⁺ is the least-squares inverse; Griffin–Lim keeps a signal whose norms are given."""
    F, inverse, width = speech["stft"], speech["istft"], speech["width"]
    x, c = rng.standard_normal((2, 4096)), rng.standard_normal((2, 32, 129)) + 1j * rng.standard_normal((2, 32, 129))
    c[..., [0, 128]] = c[..., [0, 128]].real                            # as of real frames
    np.testing.assert_allclose(inverse(F(x)), x, atol=1e-12)
    frames = speech["window"] * np.pad(x, ((0, 0), (64, 64)))[:, 128 * np.arange(32)[:, None] + np.arange(256)]
    assert (abs(F(x))**2).sum() == pytest.approx((frames**2).sum(), rel=1e-12)
    adjoint = speech["overlap_add"](np.fft.irfft(c / speech["scale"], 256))
    assert (F(x) * c.conj()).real.sum() == pytest.approx((x * adjoint).sum(), rel=1e-10)
    residual = F(inverse(c)) - c
    assert abs((F(x) * residual.conj()).sum().real) < 1e-9 * np.linalg.norm(c)**2
    S = speech["pairs"](F(x))
    assert (S**2).sum() == pytest.approx((abs(F(x))**2).sum(), rel=1e-12) and width.sum() == 129
    y, errors = speech["griffin_lim"](S, 40, rng=1)
    assert (np.diff(errors) < 0).all() and errors[-1] < -15
    np.testing.assert_allclose(inverse(F(y) * np.repeat(S / S, width, axis=-1)), y, atol=1e-12)


def test_the_scale(speech, rng):
    """norms is the inverse of picture between the floor and three deviations."""
    S = 10**rng.uniform(-2.2, -1.6, (3, 32, 64))
    S[:, 0, 8] = 1
    np.testing.assert_allclose(speech["norms"](speech["picture"](S)), S, rtol=1e-4)


def test_inception_score(speech):
    score = speech["inception_score"]
    assert score(np.eye(10)) == pytest.approx(10) and score(np.full((5, 10), 0.1)) == pytest.approx(1)
    p = np.array([[0.75, 0.25], [0.25, 0.75]])
    assert score(p) == pytest.approx(np.exp(0.75 * np.log(1.5) + 0.25 * np.log(0.5)))


def test_the_classifier_reads_what_it_was_not_trained_on(speech):
    held_out = ~speech["train"]
    assert held_out.sum() == 300
    assert (speech["read"](speech["x"][held_out])[1].argmax(1) == speech["labels"][held_out]).mean() > 0.98


def test_wav_files(speech, chapter, tmp_path):
    signal = speech["read_wav"](chapter("29_spoken_digits").folder / "29_spoken_digits-samples.wav")
    assert signal.shape == (40960,) and abs(signal).max() == 1
    speech["write_wav"](tmp_path / "again.wav", signal)
    np.testing.assert_array_equal(speech["read_wav"](tmp_path / "again.wav"), signal)
    with wave.open(str(tmp_path / "fast.wav"), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
    with pytest.raises(DataError, match="^expected a wav file of 1 channel, .* got 2, 2 and 44100; convert it"):
        speech["read_wav"](tmp_path / "fast.wav")


def test_bad_input(speech):
    with pytest.raises(ShapeError, match=r"^expected norms \(n, 32, 64\) of 32 frames, got \(1, 31, 64\)"):
        speech["picture"](np.ones((1, 31, 64)))
    with pytest.raises(DataError, match="^expected labels in 0 … 9, got int64 in 10 … 10"):
        speech["trained"](0).sample(1, labels=np.array([10]))
