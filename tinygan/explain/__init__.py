"""Explanations of layers, losses, penalties, optimisers and of one step of the game: `tinygan explain NAME`.

    print(explain.about("conv2d"))                 derivation, worked example, gradient check, file, chapter, source
    explain.about_layer(MyLayer(3), x)             the same for a layer of your own, at an x of small numbers
    explain.about("adam").to_dict()                plain Python values, for JSON
    explain.topics()                               what there is

The names come from the library and the derivations from its docstrings; no text about a layer or a loss stands here.
In this package: `topics` (names); `passages` (docstrings, files, sources, chapters); worked examples and their checks
of a `layer` (arrays: `cases`), a `loss`, a `penalty`, an `optimiser`, a step of the `game`; what these use: `sums`
(entries as sums) and `formulas` (of docstrings, with numbers); `gather`, which joins all; `numbers`, `page` (text).

    >>> found = about("dense")
    >>> found.ok, found.place
    (True, ('tinygan/layers/dense.py', (8, 42)))
"""

from .gather import about, about_layer
from .page import Explanation, catalogue, listed
from .topics import find, topics

__all__ = ["Explanation", "about", "about_layer", "catalogue", "find", "listed", "topics"]
