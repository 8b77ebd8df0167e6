"""Fourier features: sines and cosines of the coordinates, beside the coordinates."""

from math import pi
from numbers import Integral

from ..backend import array_module
from ..errors import ConfigError
from .base import Layer


class Fourier(Layer):
    """y = [x, sin(ω₀x), cos(ω₀x), sin(ω₁x), …] with ω_k = π·2ᵏ, k < octaves: for points in the plane.

    Small networks learn low frequencies first; these inputs let D resolve narrow modes (Tancik et al. 2020).
    Each part is pointwise in x, so with p′ and p″ the derivatives of the part p:

        dx = Σ_p p′·dy_p        ty_p = p′·tx        dx = Σ_p p′·dy_p + p″·tx·dty_p,   dtx = Σ_p p′·dty_p

    x (N, d) -> y (N, d·(1 + 2·octaves)).
    """

    def __init__(self, octaves=4):
        if not (isinstance(octaves, Integral) and octaves >= 0):
            raise ConfigError(f"expected a number of octaves that is an integer ≥ 0, got {octaves!r}")
        self.omega = [pi * 2**k for k in range(octaves)]
        super().__init__()

    def forward(self, x, train=True, rng=None):
        self.expect(x, "N", "d")
        xp = array_module(x)
        waves = [(xp.sin(w * x), xp.cos(w * x)) for w in self.omega]
        y = self._row([x, *(part for wave in waves for part in wave)])
        first = [xp.ones_like(x)] + [d for w, (s, c) in zip(self.omega, waves) for d in (w * c, -w * s)]
        second = [xp.zeros_like(x)] + [d for w, (s, c) in zip(self.omega, waves) for d in (-w * w * s, -w * w * c)]
        return y, (self._row(first), self._row(second), x.shape)

    def backward(self, dy, cache, grads=None):
        first, _, shape = cache
        return self._sum(first * dy, shape)

    def jvp(self, tx, cache):
        first, _, _ = cache
        tx = self._repeat(tx)
        return first * tx, tx

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        first, second, shape = cache
        return self._sum(first * dy + second * tcache * dty, shape), self._sum(first * dty, shape)

    @staticmethod
    def _row(parts):
        """The parts side by side. CuPy's concatenate asks the host about more than eight, which no graph can."""
        n, d = parts[0].shape
        row = array_module(parts[0]).empty((n, len(parts) * d), dtype=parts[0].dtype)
        for i, part in enumerate(parts):
            row[:, i * d:(i + 1) * d] = part
        return row

    def _repeat(self, x):
        n, d = x.shape
        return array_module(x).broadcast_to(x[:, None], (n, 1 + 2 * len(self.omega), d)).reshape(n, -1)

    def _sum(self, d, shape):
        return d.reshape(len(d), -1, shape[1]).sum(1)

    def __repr__(self):
        return f"Fourier({len(self.omega)} octaves)"
