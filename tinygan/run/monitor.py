"""Guards of a run: numbers that are no longer finite stop it; collapse and a D that has won are warned about, once."""

import math

from .. import backend
from ..errors import TinyganError


class Diverged(TinyganError, ArithmeticError):
    """Training produced a number that is not finite; the networks were put back to their last good weights."""


class Monitor:
    """Watches a GAN.  warn: function of one line of text, for what does not stop the run.

    check(step, metrics) is called with metrics that have been read (mapping name -> float), as often as one likes:
    between two calls the last good weights are what `check` saw last.
    """

    def __init__(self, gan, warn):
        self.gan, self.warn, self.warned, self.recent = gan, warn, set(), []
        self._keep()

    def _arrays(self):
        nets = [self.gan.G, self.gan.D, *([self.gan.average.net] if self.gan.average else [])]
        return [array for net in nets for array in (net.theta, *net.state.values())]

    def _keep(self):
        self.good = [array.copy() for array in self._arrays()]

    def _put_back(self):
        for array, good in zip(self._arrays(), self.good):
            array[...] = good

    def check(self, step, metrics):
        """Raise Diverged if a metric or a weight is not finite; warn once if D has won for a hundred checks."""
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        where = self._where()
        if bad or where:
            self._put_back()
            what = f"{bad[0]} is {metrics[bad[0]]}" if bad else "a weight is not finite"
            raise Diverged(f"step {step}: {what}; first in {where or 'the loss'}; the likely cause is a learning rate "
                           f"that is too high for this loss, or data out of range: lower --lr, or add --penalty r1; "
                           f"the last good weights were kept")
        self._keep()
        self.recent = [*self.recent[-99:], metrics["d_real"] - metrics["d_fake"]]
        if len(self.recent) == 100 and min(self.recent) > 0.98:
            self._once("won", f"step {step}: the discriminator has won (D(x) − D(G(z)) above 0.98 for a while), so G "
                              f"learns little; lower --d-lr, or add --penalty r1, --smoothing or --noise-std")

    def check_samples(self, step, samples, real):
        """Warn once if the samples (N, …) differ among themselves far less than real ones do; host arrays.

        Not before step 100: a G that has learned little may well draw the same grey everywhere.
        """
        spread = lambda x: float(x.std(0).mean())
        if step >= 100 and spread(samples) < 0.05 * spread(real):
            self._once("collapse", f"step {step}: the samples are nearly all alike (mode collapse); try --loss "
                                   f"relativistic --penalty r1+r2, --pack 2 or --minibatch-std")

    def _once(self, kind, text):
        if kind not in self.warned:
            self.warned.add(kind)
            self.warn(text)

    def _where(self):
        """The first parameter that is not finite, as words, or None."""
        for name, net in (("D", self.gan.D), ("G", self.gan.G)):
            isfinite = backend.array_module(net.theta).isfinite
            if not bool(isfinite(net.theta).all()):
                key = next(key for key, array in net.params.items() if not bool(isfinite(array).all()))
                return f"{name}'s {key}, of layer {net.layers[int(key.split('.')[0])]}"
        return None
