"""Where an op and the maps of a network are computed: by the formulas of this package, unless others are registered.

    @op
    def sigmoid(x): ...                          the formula; `sigmoid.formula` is it, without the registry

    register("pointwise.sigmoid", choose)        choose(x) -> a function that takes the formula's place, or None
    with executors(G, D) as (G, D): ...          objects with the maps of a network, while one training step lasts

Without registered functions each op is its formula, and a network runs itself.
"""

from contextlib import contextmanager
from functools import wraps
from threading import RLock

_choices = {}
_executors = None
_pending = []       # to be called before the first op
_loading = RLock()


def op(formula):
    """Let a function that is registered under "file.name" compute this one for the arguments that it serves."""
    name = f"{formula.__module__.rsplit('.', 1)[-1]}.{formula.__name__}"

    @wraps(formula)
    def call(*args):
        if _pending:
            _load()
        choose = _choices.get(name)
        return (choose and choose(*args) or formula)(*args)
    call.formula = formula
    return call


def before_first_op(load):
    """Call the function load(), which registers others, before the first op or executor is used."""
    _pending.append(load)


def _load():
    with _loading:      # a second thread waits until all is registered
        for load in tuple(_pending):
            load()
        _pending.clear()


def register(name, choose):
    """From now on the function choose(*args), where it is not None, computes the op of this name."""
    _choices[name] = choose


def register_executors(factory):
    """From now on factory(*networks), a context manager, gives the objects that run networks in a training step."""
    global _executors
    _executors = factory


@contextmanager
def _networks(*networks):
    yield networks


def executors(*networks):
    """A context manager: objects that run the maps of these networks while it lasts, with the results of the networks.

    A map that is given `grads` may leave out dx and dtx (None in their place): a training step uses one or the other.
    """
    _load()
    return (_executors or _networks)(*networks)
