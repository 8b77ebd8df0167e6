"""Differentiable augmentation: the discriminator sees real and generated images through the same random changes."""

from .. import backend
from ..backend import array_module
from ..errors import ConfigError
from ..ops.init import generator
from .base import Affine


class Augment(Affine):
    """Random translation, cutout and brightness, anew for each image; the first layer of D.

        y = mask·shift(x − fill) + fill + brightness

    shift moves an image by up to an eighth of its size in each direction, mask is 0 on a square of half the size,
    brightness ~ U(−½, ½) is added to all of it; `fill` (−1 is the digits' background) is what comes into view. The
    draws are constants to every gradient, so y is affine in x and the adjoint is shift back after mask. The
    generator's gradient passes through. train=False is the identity.

    kinds: some of "translation", "cutout", "brightness", joined by ",".  x (N, H, W, C) -> y of the same shape.
    Source: Zhao et al. 2020 (DiffAugment).
    """

    KINDS = ("translation", "cutout", "brightness")

    def __init__(self, kinds="translation,cutout,brightness", fill=-1.0):
        self.kinds = tuple(kind.strip() for kind in kinds.split(","))
        if not set(self.kinds) <= set(self.KINDS):
            raise ConfigError(f"expected augmentations among {', '.join(self.KINDS)}, got {kinds!r}")
        self.fill = float(fill)
        super().__init__()

    def prepare(self, x, train, rng):
        self.expect(x, "N", "H", "W", "C")
        if not train:
            return None
        rng, (n, h, w, _), xp = generator(rng), x.shape, array_module(x)
        drawn = lambda draw: backend.fresh(draw, backend.name_of(x))
        shift, mask, light = None, None, 0.0
        if "translation" in self.kinds:
            shift = tuple(drawn(lambda size=size: rng.integers(-(size // 8), size // 8 + 1, size=(n, 1)))
                          for size in (h, w))
        if "cutout" in self.kinds:
            inside = []
            for size in (h, w):
                end = size - size // 4 + 1 - size // 2 % 2
                start = drawn(lambda size=size, end=end: rng.integers(-(size // 4), end, size=(n, 1)))
                at = xp.arange(size)
                inside.append((at >= start) & (at < start + size // 2))
            mask = (~(inside[0][:, :, None] & inside[1][:, None])).astype(x.dtype)[..., None]
        if "brightness" in self.kinds:
            light = drawn(lambda: rng.random((n, 1, 1, 1)).astype(x.dtype)) - 0.5
        return shift, mask, light

    def forward(self, x, train=True, rng=None):
        ctx = self.prepare(x, train, rng)
        if ctx is None:
            return x, (x, ctx)
        return self.map(x - self.fill, ctx) + self.fill + ctx[2], (x, ctx)

    def map(self, x, ctx):
        if ctx is None:
            return x
        shift, mask, _ = ctx
        y = x if shift is None else _moved(x, *shift)
        return y if mask is None else y * mask

    def adjoint(self, dy, ctx):
        if ctx is None:
            return dy
        shift, mask, _ = ctx
        d = dy if mask is None else dy * mask
        return d if shift is None else _moved(d, -shift[0], -shift[1])

    def __repr__(self):
        return f"Augment({', '.join(self.kinds)})"


def _moved(x, rows, columns):
    """y[n,i,j] = x[n, i + rowsₙ, j + columnsₙ], zero outside; its adjoint is the move by the opposite."""
    n, h, w, _ = x.shape
    xp = array_module(x)
    i, j = xp.arange(h) + rows, xp.arange(w) + columns
    seen = ((i >= 0) & (i < h))[:, :, None] & ((j >= 0) & (j < w))[:, None]
    y = x[xp.arange(n)[:, None, None], xp.clip(i, 0, h - 1)[:, :, None], xp.clip(j, 0, w - 1)[:, None]]
    return y * seen.astype(x.dtype)[..., None]
