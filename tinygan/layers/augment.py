"""Differentiable augmentation: the discriminator sees real and generated images through the same random changes."""

from ..backend import array_module
from ..errors import ConfigError
from ..ops.random import source
from .affine import Affine


class Augment(Affine):
    """Random translation, cutout and brightness, drawn for each image; before the first convolution of D.

        y = mask·shift(x − fill) + fill + brightness

    shift moves an image by up to an eighth of its size in each direction, mask is 0 on a square of half the size,
    brightness ~ U(−½, ½) is added to all of it; `fill` (−1 is the digits' background) is what comes into view. The
    draws are constants to every gradient, so y is affine in x and the adjoint is shift back after mask. The
    generator's gradient passes through. train=False is the identity.

    kinds: some of "translation", "cutout", "brightness", joined by ",".  channels: how many are the image; the others
    (of a class, say) stay as they are (None: all are the image).  x (N, H, W, C) -> y of the same shape.
    Source: Zhao et al. 2020 (DiffAugment).
    """

    KINDS = ("translation", "cutout", "brightness")

    def __init__(self, kinds="translation,cutout,brightness", fill=-1.0, channels=None):
        self.kinds, self.channels = tuple(kind.strip() for kind in kinds.split(",")), channels
        if not set(self.kinds) <= set(self.KINDS):
            raise ConfigError(f"expected augmentations among {', '.join(self.KINDS)}, got {kinds!r}")
        self.fill = float(fill)
        super().__init__()

    def prepare(self, x, train, rng):
        self.expect(x, "N", "H", "W", "C")
        if not train:
            return None
        rng, (n, h, w, _), xp = source(rng), x.shape, array_module(x)
        shift, mask, light = None, None, 0.0
        if "translation" in self.kinds:
            shift = tuple(rng.integers(-(size // 8), size // 8 + 1, (n, 1), x) for size in (h, w))
        if "cutout" in self.kinds:
            inside = []
            for size in (h, w):
                start = rng.integers(-(size // 4), size - size // 4 + 1 - size // 2 % 2, (n, 1), x)
                at = xp.arange(size)
                inside.append((at >= start) & (at < start + size // 2))
            mask = (~(inside[0][:, :, None] & inside[1][:, None])).astype(x.dtype)[..., None]
        if "brightness" in self.kinds:
            light = rng.draw(lambda g, shape: g.random(shape).astype(x.dtype), (n, 1, 1, 1), x) - 0.5
        return shift, mask, light

    def forward(self, x, train=True, rng=None):
        ctx = self.prepare(x, train, rng)
        if ctx is None:
            return x, (x, ctx)
        return self._on_image(lambda image: _mapped(image - self.fill, ctx) + self.fill + ctx[2], x), (x, ctx)

    def map(self, x, ctx):
        return x if ctx is None else self._on_image(lambda image: _mapped(image, ctx), x)

    def adjoint(self, dy, ctx):
        return dy if ctx is None else self._on_image(lambda image: _adjoint(image, ctx), dy)

    def _on_image(self, f, x):
        """f of the image; the other channels as they are."""
        if self.channels is None:
            return f(x)
        return array_module(x).concatenate([f(x[..., :self.channels]), x[..., self.channels:]], axis=-1)

    def __repr__(self):
        return f"Augment({', '.join(self.kinds)})"


def _mapped(x, ctx):
    shift, mask, _ = ctx
    y = x if shift is None else _moved(x, *shift)
    return y if mask is None else y * mask


def _adjoint(dy, ctx):
    shift, mask, _ = ctx
    d = dy if mask is None else dy * mask
    return d if shift is None else _moved(d, -shift[0], -shift[1])


def _moved(x, rows, columns):
    """y[n,i,j] = x[n, i + rowsₙ, j + columnsₙ], zero outside; its adjoint is the move by the opposite."""
    n, h, w, _ = x.shape
    xp = array_module(x)
    i, j = xp.arange(h) + rows, xp.arange(w) + columns
    inside = ((i >= 0) & (i < h))[:, :, None] & ((j >= 0) & (j < w))[:, None]
    y = x[xp.arange(n)[:, None, None], xp.clip(i, 0, h - 1)[:, :, None], xp.clip(j, 0, w - 1)[:, None]]
    return y * inside.astype(x.dtype)[..., None]
