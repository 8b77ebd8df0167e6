"""The checker is itself checked: each kind of mistake in a rule must be reported."""

import numpy as np
import pytest

from tinygan import gradcheck
from tinygan.layers import (Affine, AvgPool2D, BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, Flatten, LeakyReLU,
                            MaxPool2D, ReLU, Reshape, Sigmoid, Softplus, Tanh, UpSampling2D)
from tinygan.ops import norm as norm_ops
from tinygan.ops.windows import add_windows

from .helpers import CASES, Cube, IDS, caught, mutant, x_of


@pytest.mark.parametrize("layer, shape, train", CASES, ids=IDS)
def test_a_rule_that_is_wrong_by_a_thousandth(layer, shape, train):
    off = 1.001

    def second(f, dy, dty, cache, tcache, grads=None, which=0):
        d = list(f(dy, dty, cache, tcache, grads))
        d[which] = d[which] * off
        return tuple(d)
    how = dict(train=train, limit=8)        # small arrays by element, the others along directions
    caught(mutant(layer, backward=lambda f, *a: f(*a) * off), shape, "dx", "adjoint", **how)
    caught(mutant(layer, jvp=lambda f, *a: (f(*a)[0] * off, f(*a)[1])), shape, "ty", "adjoint", **how)
    how["check"] = gradcheck.check_second_order
    caught(mutant(layer, jvp_backward=second), shape, "second dx", **how)
    caught(mutant(layer, jvp_backward=lambda *a: second(*a, which=1)), shape, "second dtx", **how)


@pytest.mark.parametrize("layer, shape", [case[:2] for case in CASES if case[0].params and case[2]],
                         ids=[i for i, case in zip(IDS, CASES) if case[0].params and case[2]])
@pytest.mark.parametrize("map_, prefix", [("backward", "d"), ("jvp_backward", "second d")])
def test_parameter_gradients(layer, shape, map_, prefix):
    """Of each parameter: off by a thousandth, missing, or overwriting what was there instead of adding."""
    def spoil(name, rule):
        def method(f, *args):
            *args, grads = args if args[-1] is None or isinstance(args[-1], dict) else (*args, None)
            mine = None if grads is None else layer.zero_grads().__class__(grads.shapes, np.zeros_like(grads.vector))
            result = f(*args, mine)
            if grads is not None:
                for key in grads:
                    grads[key][...] = rule(grads[key], mine[key]) if key == name else grads[key] + mine[key]
            return result
        return method
    check = gradcheck.check_backward if map_ == "backward" else gradcheck.check_second_order
    for name in layer.params:
        for rule in (lambda g, d: g + 1.001 * d, lambda g, d: g, lambda g, d: d):
            wrong = mutant(layer, **{map_: spoil(name, rule)})
            if map_ == "jvp_backward" and type(layer).__name__ != "BatchNorm":
                wrong.backward = layer.backward   # jvp_backward calls it; spoil only once
            caught(wrong, shape, prefix + name, check=check, limit=8)


def test_dropped_masks():
    caught(mutant(Dropout(0.5), backward=lambda f, dy, cache, grads=None: dy), (4, 6), "dx")
    caught(mutant(LeakyReLU(), backward=lambda f, dy, cache, grads=None: dy), (4, 6), "dx")
    caught(mutant(ReLU(), jvp=lambda f, tx, cache: (tx, tx)), (4, 6), "ty")
    spread = lambda f, dy, cache, grads=None: np.repeat(np.repeat(dy, 2, 1), 2, 2)   # to all, not to the winner
    caught(mutant(MaxPool2D(2), backward=spread), (2, 4, 4, 2), "dx")
    nearest = lambda f, dy, cache, grads=None: dy[:, ::2, ::2]   # subsamples instead of summing blocks
    caught(mutant(UpSampling2D(2), backward=nearest), (2, 3, 3, 2), "dx")
    count = lambda f, dy, ctx: add_windows(np.broadcast_to(dy[:, :, :, None, None] / 9, (2, 3, 2, 3, 3, 2)), ctx[0])
    caught(mutant(AvgPool2D(3, 2, "same"), adjoint=count), (2, 5, 4, 2), "dx")   # counts the padding


def test_wrong_axes():
    def rows_only(f, dy, cache, grads=None):   # BatchNorm over the batch axis only, for images
        xhat, s, _ = cache
        return (dy - dy.mean(0) - xhat * (xhat * dy).mean(0)) / s
    caught(mutant(BatchNorm(3), backward=rows_only), (2, 3, 2, 3), "dx")
    square = Dense(3, 3)
    caught(mutant(square, adjoint=lambda f, dy, ctx: dy @ square.params["W"]), (3, 3), "dx")
    caught(mutant(square, wgrad=lambda f, x, dy, ctx: dy.T @ x), (3, 3), "dW")
    swap = lambda f, x, dy, g: f(x, dy, g).transpose(1, 0, 2, 3)
    caught(mutant(Conv2D(2, 3, 3), wgrad=swap), (2, 5, 4, 2), "dW")
    caught(mutant(ConvTranspose2D(2, 3, 3), wgrad=swap), (2, 5, 4, 2), "dW")
    roll = lambda f, dy, g: np.roll(f(dy, g), 1, axis=1)   # the padding off by one
    caught(mutant(Conv2D(2, 3, 3, 2), adjoint=roll), (2, 6, 4, 2), "dx")
    caught(mutant(ConvTranspose2D(2, 3, 3, 2), adjoint=roll), (2, 3, 4, 2), "dx")
    turn = lambda f, dy, cache, grads=None: np.swapaxes(f(dy, cache), -1, -2)
    caught(mutant(Reshape((3, 2)), backward=lambda f, dy, cache, grads=None: np.swapaxes(dy, 1, 2).reshape(2, 6)),
           (2, 6), "dx")
    caught(mutant(Flatten(), backward=turn), (2, 3, 3), "dx")


def test_missing_second_order_terms(monkeypatch):
    for layer in (Tanh(), Sigmoid(), Softplus()):   # exact for ReLU only
        new = layer.copy()
        new.d2 = None
        new.copy = lambda convert=None, new=new: new
        caught(new, (4, 6), "second dx")
    for layer, shape in [(Dense(4, 3), (3, 4)), (Conv2D(2, 3, 3), (2, 4, 4, 2)),
                         (ConvTranspose2D(2, 3, 3), (2, 4, 4, 2))]:
        first_only = lambda f, dy, dty, cache, tcache, grads=None, layer=layer: (
            layer.astype("float64").backward(dy, cache, grads), layer.backward(dty, cache))
        caught(mutant(layer, jvp_backward=first_only), shape, "second dW")
    monkeypatch.setattr("tinygan.layers.norm.project_backward", lambda c, *others: 0 * c)
    caught(BatchNorm(3), (5, 3), "second dx")
    right = norm_ops.project_backward
    for which in range(3):      # each of its three terms with the wrong sign: p, q or the first without the others
        def wrong(c, t, p, q, xhat, s):
            mean = lambda a: a.mean(0)
            terms = [xhat * mean(c * p), mean(xhat * c) * p, mean(xhat * t) * q]
            assert abs(right(c, t, p, q, xhat, s) + sum(terms) / s).max() < 1e-12
            terms[which] = -terms[which]
            return -sum(terms) / s
        monkeypatch.setattr("tinygan.layers.norm.project_backward", wrong)
        caught(BatchNorm(3), (5, 3), "second dx")


def test_other_sins():
    def mutating(f, dy, cache, grads=None):
        dy *= 2.0
        return f(dy, cache, grads) / 2
    caught(mutant(Dropout(0.5), backward=mutating), (4, 6), "unchanged")
    caught(mutant(Tanh(), backward=lambda f, dy, cache, grads=None: f(dy, cache).astype(np.float32)), (4, 6), "dx")
    caught(mutant(Tanh(), backward=lambda f, dy, cache, grads=None: f(dy, cache) * np.nan), (4, 6), "dx")
    flag = lambda f, dy, cache, grads=None: f(dy, cache, grads) * (1 if grads is not None else 0)
    caught(mutant(Dense(3, 2), backward=flag), (4, 3), "dx, no grads")


def test_what_the_initial_parameters_would_hide():
    class NoGamma(BatchNorm):           # right at γ = 1
        def backward(self, dy, cache, grads=None):
            return super().backward(dy, cache, grads) / self.param("gamma", dy)

    class WithBias(Dense):              # right at b = 0
        def wgrad(self, x, dy, ctx):
            return super().wgrad(x, dy, ctx) * (1 + self.param("b", x))

    class Zeros(Affine):                # right at W = 0, where it begins
        def __init__(self):
            super().__init__(W=(3, 3))

        def map(self, x, ctx):
            return x @ self.param("W", x)

        def adjoint(self, dy, ctx):
            return 1.001 * dy @ self.param("W", dy).T

        def wgrad(self, x, dy, ctx):
            return x.T @ dy
    caught(NoGamma(3), (5, 3), "dx")
    caught(WithBias(4, 3), (5, 4), "dW")
    caught(Zeros(), (5, 3), "dx")
    before = (layer := BatchNorm(3)).params.vector.copy()
    gradcheck.check_layer(layer, x_of((5, 3))).raise_if_wrong()
    np.testing.assert_array_equal(layer.params.vector, before)      # a copy was moved


def test_what_a_layer_keeps_of_a_pass_is_of_the_wrong_one():
    class Keeps(Dense):
        def forward(self, x, train=True, rng=None, slope=1):
            self.last = x.copy()
            return super().forward(x, train, rng)

        def backward(self, dy, cache, grads=None):
            if grads is not None:
                grads["W"] += self.last.T @ dy
                grads["b"] += dy.sum(0)
            return dy @ self.param("W", dy).T

        def jvp_backward(self, dy, dty, cache, tcache, grads=None):
            if grads is not None:
                grads["W"] += tcache.T @ dty
            return self.backward(dy, cache, grads), dty @ self.param("W", dty).T
    caught(Keeps(4, 3), (5, 4), "dW", "second dW")
    caught(Keeps(4, 3), (1, 4), "dW")

    class First(Cube):
        def forward(self, x, train=True, rng=None):
            self.x = x.copy()
            return x**3, None

        def backward(self, dy, cache, grads=None):
            return 3 * self.x**2 * dy
    assert "dx" in {str(text)[:2] for text in gradcheck.check_layer(First(), x_of((4, 3))).failures}


def test_what_only_some_calls_get_wrong():
    class Once(Dense):                              # spoils its cache
        def backward(self, dy, cache, grads=None):
            dx = super().backward(dy, cache, grads)
            if grads is not None:
                cache[0][...] = 0
            return dx

        def forward(self, x, train=True, rng=None):
            return super().forward(x.copy(), train, rng)

    class Alone(Dense):                             # another rule where no gradient is asked for
        def jvp_backward(self, dy, dty, cache, tcache, grads=None):
            dx, dtx = super().jvp_backward(dy, dty, cache, tcache, grads)
            return dx, dtx if grads is not None else 1.001 * dtx

    class Wide(Dense):
        def backward(self, dy, cache, grads=None):
            return super().backward(dy, cache, grads)[None]

    class Moves(Dense):
        def jvp(self, tx, cache):
            ty = super().jvp(tx, cache)
            tx *= 0.5
            return ty
    x = np.random.default_rng(0).standard_normal((4, 3))
    for layer, words in ((Once(3, 2), "dW, again"), (Alone(3, 2), "second dtx, no grads"),
                         (Wide(3, 2), r"dx: expected the shape of x, \(4, 3\), got \(1, 4, 3\)")):
        with pytest.raises(gradcheck.GradientError, match=words):
            gradcheck.check_layer(layer, x).raise_if_wrong()
    assert not gradcheck.check_jvp(Moves(3, 2), x).ok
