"""A holder for what a Keras model or layer uses but does not own."""

import types


class Untracked(types.SimpleNamespace):
    """Holds models, layers and random generators by name, without Keras tracking them.

    A model that is an attribute of a Keras model becomes a part of it: Keras trains, saves and
    counts it. What is in this holder does not.
    """
