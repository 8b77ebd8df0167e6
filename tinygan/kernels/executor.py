"""The executor: runs the maps of networks during a training step, with the results of the networks themselves.

    with executors(G, D) as (G, D):         what `tinygan.ops.registry.executors` gives while kernels/ is there

It adds these optimisations, which the layers leave out for readability:

    dx            a map that is given `grads` stops at the first layer with parameters: its dx is not used
    weights       transforms of weights are kept until an optimiser moves the weights
    cotangents    adjoint and weight gradient of a layer share one transform of dy
    second order  jvp_backward takes the dtx of each layer from the backward pass that had its dty as dy (a penalty's v)
    threads       a network with convolutions, at any depth, is split among the library's threads (`threads.py`)

Only layers of exactly the known classes, with no method replaced, are run in another way than they are written.
"""

import threading
from contextlib import contextmanager, nullcontext

from ..layers import Conv2D, ConvTranspose2D, Dense, Parallel, Sequential, SpectralNorm
from ..layers.parallel import total
from ..layers.sequential import check_cotangent
from ..ops.products import sum_rows
from .threads import own_threads
from .workspace import caching, reusing

_here = threading.local()       # running: the executors of the step that this thread is in


class Executor:
    """A network (`.net`) run by nodes. Its four maps; everything else is the network's own.

    With `grads`, backward returns None in the place of dx, and jvp_backward in the place of dx and dtx.
    """

    def __init__(self, net):
        vars(self).update(net=net, node=_node(net), cache={}, moves=False)

    def forward(self, x, train=True, rng=None):
        """As the network."""
        with self._caching():
            return self.node.forward(x, train, rng)

    def backward(self, dy, cache, grads=None):
        """As the network, without dx if grads are given."""
        with self._caching():
            return self.node.backward(dy, cache, grads, grads is None)

    def jvp(self, tx, cache):
        """As the network."""
        with self._caching():
            return self.node.jvp(tx, cache)

    def jvp_backward(self, dy, dty, cache, tcache, grads=None):
        """As the network, without dx and dtx if grads are given."""
        with self._caching():
            return self.node.jvp_backward(dy, dty, cache, tcache, grads, grads is None, None)

    def _caching(self):
        return caching(self.cache, self.net.theta)

    # An optimiser asks for the parameters to change them; one that has kept views of them has asked for zero_grads.

    @property
    def params(self):
        """The parameters. Invalidates the cached transforms."""
        self.cache.clear()
        return self.net.params

    @property
    def theta(self):
        """The parameter vector. Invalidates the cached transforms."""
        self.cache.clear()
        return self.net.theta

    def zero_grads(self):
        """As the network. The cached transforms are invalidated when the step of this player ends (`leave`)."""
        vars(self)["moves"] = True
        return self.net.zero_grads()

    def leave(self):
        """The end of one player's step."""
        if self.moves:
            self.cache.clear()
        vars(self)["moves"] = False

    def __getattr__(self, name):
        return getattr(self.net, name)

    def __setattr__(self, name, value):
        self.cache.clear()
        setattr(self.net, name, value)


@contextmanager
def executors(*networks):
    """Executors of these networks, in threads of our own if one of them has convolutions.

    Within `executors` of the same networks it gives the same ones, with what they have cached.
    """
    running = getattr(_here, "running", None)
    if running is not None and [executor.net for executor in running] == [*networks]:
        try:
            yield running
        finally:
            for executor in running:
                executor.leave()
        return
    _here.running = [Executor(net) for net in networks]
    try:
        with own_threads() if any(map(_convolves, networks)) else nullcontext():
            yield _here.running
    finally:
        _here.running = running


def _convolves(layer):
    """Whether a layer is a convolution, or has one inside."""
    inside = [*getattr(layer, "layers", ()), *([layer.inner] if isinstance(layer, SpectralNorm) else [])]
    return isinstance(layer, (Conv2D, ConvTranspose2D)) or any(map(_convolves, inside))


# Nodes: the maps of one layer, told whether dx is needed.

def _node(layer):
    node, maps = _KNOWN.get(type(layer), (_AsWritten, None))
    return (node if maps == _maps(layer) else _AsWritten)(layer)


def _maps(layer):
    """The functions that are the maps of a layer, or of a class of layers."""
    found = (getattr(layer, name) for name in ("forward", "backward", "jvp", "jvp_backward"))
    return [getattr(method, "__func__", method) for method in found]


class _AsWritten:
    """Any layer."""

    def __init__(self, layer):
        self.layer, self.forward, self.jvp = layer, layer.forward, layer.jvp

    def backward(self, dy, cache, grads, dx):
        return self.layer.backward(dy, cache, grads)

    def jvp_backward(self, dy, dty, cache, tcache, grads, dx, dtx):
        return self.layer.jvp_backward(dy, dty, cache, tcache, grads)

    def __repr__(self):
        return repr(self.layer)


class _Affine(_AsWritten):
    """The rules of `layers.affine`."""

    def backward(self, dy, cache, grads, dx):
        (x, ctx), layer = cache, self.layer
        with reusing(dy):
            if grads is not None:
                grads["W"] += layer.wgrad(x, dy, ctx)
                if "b" in grads:
                    grads["b"] += sum_rows(dy)
            return layer.adjoint(dy, ctx) if dx else None

    def jvp_backward(self, dy, dty, cache, tcache, grads, dx, dtx):
        (_, ctx), layer = cache, self.layer
        with reusing(dty):
            if grads is not None:
                grads["W"] += layer.wgrad(tcache, dty, ctx)
            if dx and dtx is None:
                dtx = layer.adjoint(dty, ctx)
        return self.backward(dy, cache, grads, dx), dtx


class _Network(_AsWritten):
    def __init__(self, layer):
        self.layer, self.layers = layer, [_node(part) for part in layer.layers]

    def __getattr__(self, name):
        return getattr(self.layer, name)


class _Chain(_Network):
    """The rules of `layers.sequential`."""

    forward, jvp = Sequential.forward, Sequential.jvp

    def __init__(self, layer):
        super().__init__(layer)
        self.first = next((i for i, part in enumerate(layer.layers) if len(part.params)), len(self.layers))
        self.passed = None, None, {}        # dy and cache of the last backward pass to dx, and each layer's dx

    def _needed(self, dx):
        """Index of each layer that backward runs, and whether its dx is needed."""
        return [(i, dx or i > self.first) for i in reversed(range(0 if dx else self.first, len(self.layers)))]

    def backward(self, dy, cache, grads, dx):
        caches = check_cotangent(self, "dy", dy, cache)
        self.passed = _, _, found = dy, cache, {}
        for i, needed in self._needed(dx):
            dy = self.layers[i].backward(dy, caches[i], self.part(grads, i), needed)
            if grads is None:
                found[i] = dy
        return dy if dx else None

    def jvp_backward(self, dy, dty, cache, tcache, grads, dx, dtx):
        check_cotangent(self, "dy", dy, cache)
        caches, (of, at, found) = check_cotangent(self, "dty", dty, cache), self.passed
        found = found if of is dty and at is cache else {}
        for i, needed in self._needed(dx):
            dy, dty = self.layers[i].jvp_backward(dy, dty, caches[i], tcache[i], self.part(grads, i), needed,
                                                  found.get(i))
        return (dy, dty) if dx else (None, None)


class _Branches(_Network):
    """The rules of `layers.parallel`."""

    forward, jvp = Parallel.forward, Parallel.jvp

    def backward(self, dy, cache, grads, dx):
        caches, widths = cache
        dxs = [node.backward(d, caches[i], self.part(grads, i), dx)
               for i, (node, d) in enumerate(zip(self.layers, self.split(dy, widths)))]
        return total(dxs) if dx else None

    def jvp_backward(self, dy, dty, cache, tcache, grads, dx, dtx):
        caches, widths = cache
        pairs = [node.jvp_backward(d, dt, caches[i], tcache[i], self.part(grads, i), dx, None) for i, (node, d, dt)
                 in enumerate(zip(self.layers, self.split(dy, widths), self.split(dty, widths)))]
        return tuple(map(total, zip(*pairs))) if dx else (None, None)


_KNOWN = {known: (node, _maps(known)) for known, node in [
    (Sequential, _Chain), (Parallel, _Branches),
    *((affine, _Affine) for affine in (Dense, Conv2D, ConvTranspose2D, SpectralNorm))]}
