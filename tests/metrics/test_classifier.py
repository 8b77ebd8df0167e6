"""The digit classifier: its loss, its weights and what it takes."""

import hashlib

import numpy as np
import pytest

from tinygan import data, gradcheck
from tinygan.errors import ShapeError
from tinygan.metrics import classifier


def test_cross_entropy():
    labels, logits = np.array([1, 0, 2]), np.random.default_rng(0).standard_normal((3, 4))
    loss, _ = classifier.cross_entropy(logits, labels)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(loss, -np.log(p[range(3), labels]).mean())
    gradcheck.check_loss(lambda l: classifier.cross_entropy(l, labels), logits).raise_if_wrong()
    assert np.isfinite(classifier.cross_entropy(1e4 * logits, labels)[0])


def test_the_bundled_classifier():
    images, labels = data.load("mnist5k")
    features, p = classifier.predict(images[::10])
    assert features.shape == (500, classifier.FEATURES) and np.allclose(p.sum(1), 1)
    assert (p.argmax(1) == labels[::10]).mean() > 0.985      # held-out accuracy is in classifier.txt
    text = classifier.WEIGHTS.with_suffix(".txt").read_text()
    assert hashlib.sha256(classifier.WEIGHTS.read_bytes()).hexdigest() in text and "10,000 test images" in text
    with pytest.raises(ShapeError, match="it was trained on MNIST"):
        classifier.predict(np.zeros((2, 32, 32, 1), np.float32))
