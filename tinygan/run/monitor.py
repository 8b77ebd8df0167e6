"""The monitor of a run: stops it when a number is not finite; warns about mode collapse, and about a D that separates
real from fake samples almost perfectly.
"""

import math

from .. import backend
from ..errors import TinyganError


class Diverged(TinyganError, ArithmeticError):
    """Training produced a number that is not finite; the networks have their last finite weights again."""


class Monitor:
    """Monitors a GAN.  warn: function of one line of text; each warning is given once.

    Call check(step, metrics) with metrics read from the device (mapping name -> float), at any interval. It stores the
    weights if they are finite; if not, it restores those of the last check.
    """

    def __init__(self, gan, warn):
        self.gan, self.warn, self.warned, self.recent = gan, warn, set(), []
        self._store()

    def _arrays(self):
        nets = [self.gan.G, self.gan.D, *([self.gan.average.net] if self.gan.average else [])]
        return [array for net in nets for array in (net.theta, *net.state.values())]

    def _store(self):
        self.stored = [array.copy() for array in self._arrays()]

    def _restore(self):
        for array, stored in zip(self._arrays(), self.stored):
            array[...] = stored

    def check(self, step, metrics):
        """Raise Diverged if a metric or a weight is not finite; warn if D has won for a hundred checks in a row."""
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        where = self._where()
        if bad or where:
            self._restore()
            what = f"{bad[0]} is {metrics[bad[0]]}" if bad else "a weight is not finite"
            raise Diverged(f"step {step}: {what}; first in {where or 'the loss'}; the likely cause is a learning rate "
                           f"that is too high for this loss, or data out of range: lower --lr, or add --penalty r1; "
                           f"the last finite weights were kept")
        self._store()
        self.recent = [*self.recent[-99:], metrics["d_real"] - metrics["d_fake"]]
        if len(self.recent) == 100 and min(self.recent) > 0.98:
            self._warn_once("won", f"step {step}: the discriminator has won (D(x) − D(G(z)) has stayed above 0.98), so "
                                   f"G learns little; lower --d-lr, or add --penalty r1, --smoothing or --noise-std")

    def check_samples(self, step, samples, real):
        """Warn if the standard deviation among samples (N, …) is far below that among real ones; host arrays.

        Not before step 100: the samples of an untrained G may all be alike.
        """
        deviation = lambda x: float(x.std(0).mean())
        if step >= 100 and deviation(samples) < 0.05 * deviation(real):
            self._warn_once("collapse", f"step {step}: the samples are nearly all alike (mode collapse); try --loss "
                                        f"relativistic --penalty r1+r2, --pack 2 or --minibatch-std")

    def _warn_once(self, kind, text):
        if kind not in self.warned:
            self.warned.add(kind)
            self.warn(text)

    def _where(self):
        """The name of the first parameter that is not finite, or None."""
        for name, net in (("D", self.gan.D), ("G", self.gan.G)):
            isfinite = backend.array_module(net.theta).isfinite
            if not bool(isfinite(net.theta).all()):
                key = next(key for key, array in net.params.items() if not bool(isfinite(array).all()))
                return f"{name}'s {key}, of layer {net.layers[int(key.split('.')[0])]}"
        return None
