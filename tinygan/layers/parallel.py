"""Layers side by side: the same x into each of them, their outputs joined."""

from ..backend import array_module
from ..errors import ConfigError, ShapeError
from ..ops.random import source
from .container import Container


class Parallel(Container):
    """y = f₁(x) + … + fₖ(x), or the outputs side by side on the last axis; with the four maps of a layer.

    Copying x and joining outputs are linear, so all four maps follow from those of the parts. With dyᵢ the part of dy
    that belongs to fᵢ (join="concat": its columns; join="sum": all of dy), and dtyᵢ likewise:

        ty = join(tyᵢ)      dx = Σᵢ fᵢ.backward(dyᵢ)      (dx, dtx) = Σᵢ fᵢ.jvp_backward(dyᵢ, dtyᵢ)

    A residual block is Parallel([Identity(), f], "sum"); the skip connection of a U-Net is
    Parallel([Identity(), inner], "concat"); two heads on one trunk are Parallel([head, head], "concat").

    parts: a list of layers or networks, each for the same x (N, …). Parameters as in Sequential: "0.W", "1.0.b", …
    Raises ConfigError for no parts or another join, ShapeError for outputs that cannot be joined.
    Source: He et al. 2016 (sum); Ronneberger et al. 2015 (concat).
    """

    def __init__(self, parts, join="concat"):
        if join not in ("concat", "sum"):
            raise ConfigError(f"expected join as 'concat' or 'sum', got {join!r}")
        self.join = join
        super().__init__(parts)
        if not self.layers:
            raise ConfigError("Parallel expected at least one part, got none; give a list of layers")

    def forward(self, x, train=True, rng=None):
        rng = None if rng is None else source(rng)
        ys, caches = zip(*(part.forward(x, train, rng) for part in self.layers))
        return self.joined(ys), (caches, [y.shape[-1] for y in ys])

    def backward(self, dy, cache, grads=None):
        caches, widths = cache
        return total([part.backward(d, caches[i], self.part(grads, i))
                      for i, (part, d) in enumerate(zip(self.layers, self.split(dy, widths)))])

    def jvp(self, tx, cache):
        tys, tcaches = zip(*(part.jvp(tx, c) for part, c in zip(self.layers, cache[0])))
        return self.joined(tys), tcaches

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        caches, widths = cache
        dxs, dtxs = zip(*(part.jvp_backward(d, dt, caches[i], tcache[i], self.part(grads, i)) for i, (part, d, dt)
                          in enumerate(zip(self.layers, self.split(dy, widths), self.split(dty, widths)))))
        return total(dxs), total(dtxs)

    def joined(self, ys):
        """The outputs of the parts as one array."""
        same = slice(None) if self.join == "sum" else slice(-1)
        if len({y.shape[same] for y in ys}) > 1:
            raise ShapeError(f"Parallel expected outputs of one shape{' but for the last axis' * (self.join != 'sum')} "
                             f"to {self.join}, got {', '.join(str(y.shape) for y in ys)}; change strides or paddings")
        return total(ys) if self.join == "sum" else array_module(ys[0]).concatenate(ys, axis=-1)

    def split(self, d, widths):
        """The parts of a cotangent of y that belong to each output."""
        if self.join == "sum":
            return [d] * len(widths)
        ends = [sum(widths[:i + 1]) for i in range(len(widths))]
        return [array_module(d).ascontiguousarray(d[..., end - width:end]) for end, width in zip(ends, widths)]

    def __repr__(self):
        return f"Parallel([{', '.join(map(repr, self.layers))}], {self.join!r})"


def total(arrays):
    """The sum of a list of arrays."""
    return sum(arrays[1:], arrays[0])
