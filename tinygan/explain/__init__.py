"""Explanations of layers, losses, penalties, optimisers and of one step of the game: `tinygan explain NAME`.

    print(explain.about("conv2d"))                 derivation, worked example, gradient check, file, chapter, source
    explain.about_layer(MyLayer(3), x)             the same for a layer of your own, at an x of small numbers
    explain.about("adam").to_dict()                plain Python values, for JSON
    explain.topics()                               what there is

The names come from the library and the derivations from its docstrings; no text about a layer or a loss stands here.
In this package: `topics` (names), `passages` (docstrings, files, sources, chapters); worked examples and their checks,
of a `layer` (arrays: `cases`), a `loss`, a `penalty`, an `optimiser` and a step of the `game`; for these `sums`, entries
as sums, and `formulas`, those of docstrings with numbers; `numbers` and `page` (text).

    >>> str(about("dense")).split("\n")[0]
    'Dense, a layer: tinygan/layers/dense.py:8-42'
"""

from .page import Explanation, about, about_layer, catalogue, listed
from .topics import find, topics

__all__ = ["Explanation", "about", "about_layer", "catalogue", "find", "listed", "topics"]
