"""Stacked digits: three random digits as the red, green and blue channel of one image, so 1,000 modes.

Source: Metz et al. 2017 (Unrolled GANs), section 3.3.1; the protocol of Srivastava et al. 2017 and Lin et al. 2018.
"""

import numpy as np

from tinygan.errors import DataError, ShapeError
from tinygan.metrics import classifier


class Stacked:
    """images (N, H, W, 1) -> an endless source of (H, W, 3), each channel an image drawn at random.

    labels (N,) in 0 … 9, or None. It holds the images, not the stacks. Raises ShapeError for other shapes.
    """

    def __init__(self, images, labels=None):
        if images.ndim != 4 or images.shape[-1] != 1 or not len(images):
            raise ShapeError(f"expected images (N, H, W, 1) to stack, got {images.shape}; give grey images")
        if labels is not None and labels.shape != (len(images),):
            raise ShapeError(f"expected a label for each of {len(images)} images, got {labels.shape}")
        self.images, self.labels = images, labels

    def sample(self, n, rng):
        """stacks (n, H, W, 3) of the images' dtype, and their modes (n,) 0 … 999 (hundreds: first channel), or None."""
        which = rng.integers(len(self.images), size=(n, 3))
        stacks = np.moveaxis(self.images[which][..., 0], 1, -1)
        modes = None if self.labels is None else self.labels[which] @ np.array([100, 10, 1])
        return np.ascontiguousarray(stacks), modes


def metrics(images, net=None):
    """Modes found, of 1,000, and KL(generated ‖ uniform) in nats, of stacked digits (N, 28, 28, 3) in [−1, 1].

    The classifier of `tinygan.metrics` classifies each channel. The protocol has N = 26,000.
    """
    if images.ndim != 4 or images.shape[-1] != 3:
        raise DataError(f"expected stacked digits (N, 28, 28, 3), got {images.shape}; draw them from a model of them")
    digits = [classifier.predict(images[..., c:c + 1], net)[1].argmax(1) for c in range(3)]
    share = np.bincount(100 * digits[0] + 10 * digits[1] + digits[2], minlength=1000) / len(images)
    return {"modes": float((share > 0).sum()),
            "kl": float((share * np.log(np.maximum(share, 1e-300) * 1000)).sum())}
