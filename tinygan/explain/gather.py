"""From a name, or a layer of your own, to its explanation: the example of its kind, and what is written beside it."""

import inspect

from . import game, layer, loss, optimiser, penalty
from .cases import case
from .page import Explanation
from .passages import chapters, code, derivations, family, passage, sources
from .topics import Topic, find, topics


def about(name):
    """The Explanation of a topic, by a name in any case, such as "conv2d", "wgan-gp" or "r1+r2".

    Raises ConfigError for a name that is none.
    """
    topic = find(name)
    return _EXAMPLES[topic.kind](topic)


def about_layer(layer, x, dy=None, train=True):
    """The Explanation of a layer of your own at x (N, …), an array of small numbers; dy: a cotangent of y's shape."""
    return _of_layer(Topic(type(layer).__name__, "layer", type(layer)), repr(layer), layer, x, dy, train)


def _layer(topic):
    return _of_layer(topic, *case(topic.thing))


def _operation(topic):
    """By the first layer whose derivation it is."""
    return _of_layer(topic, *case(next(one.thing for one in topics() if one.kind == "layer"
                                       and topic.thing in derivations(one.thing))))


def _of_layer(topic, call, instance, x, dy, train, seed=0):
    modules = [topic.thing] if topic.kind == "operation" else derivations(topic.thing)
    files = [f"ops{sign}{module.__name__.rpartition('.')[2]}" for module in modules for sign in "./"]
    return _explanation(topic, call if train else f"{call}, train=False",
                        layer.example(instance, x, dy, train, seed), [topic.name, *files])


def _loss(topic):
    if inspect.isclass(topic.thing):
        return _explanation(topic, "two real logits r, two logits f of fakes", loss.example(topic.thing()))
    return _explanation(topic, "two samples, target t = 1", loss.example(topic.thing))


def _penalty(topic):
    return _explanation(topic, "D(x) = xW with ‖W‖ = 5, so ∇D = W at each x", penalty.example(topic.name),
                        topic.name.split("+"))


def _optimiser(topic):
    return _explanation(topic, "three steps of one parameter θ, which begins at 1", optimiser.example(topic.thing))


def _game(topic):
    return _explanation(topic, "G(z) = zW + b on numbers, D with a hidden layer of two; SGD", game.example(),
                        ["step", "GAN"], ["non_saturating"])


_EXAMPLES = {"layer": _layer, "operation": _operation, "loss": _loss, "penalty": _penalty, "optimiser": _optimiser,
             "game": _game}


def _explanation(topic, title, example, words=None, more=()):
    """title, example: of the worked example, and its parts and report.

    words: names by which chapters speak of the topic; more: names that its passages may be about too.
    """
    thing, kept = topic.thing, [*topic.name.split("+"), *more]
    classes = [thing, *family(thing)] if inspect.isclass(thing) else [thing]
    things = [*classes, *(module for one in classes for module in derivations(one)), inspect.getmodule(thing)]
    passages = []
    for one in dict.fromkeys(one for one in things if one):     # a class made in an interactive session has no module
        others = [other.name for other in topics() if inspect.getmodule(other.thing) is one and other.name not in kept]
        found = passage(one, kept, others)
        only_a_title = one is not thing and inspect.ismodule(one) and "\n\n" not in found.text
        if found.text and not only_a_title:
            passages.append(found)
    return Explanation(topic, title, *example, passages, code(thing), chapters(words or [topic.name]),
                       sources([text.text for text in passages]))
