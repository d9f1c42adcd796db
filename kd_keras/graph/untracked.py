"""A holder for models that a Keras model uses but does not own."""

import types


class Untracked(types.SimpleNamespace):
    """Holds models and layers by name, without Keras tracking, saving or counting them.

    A model that is an attribute of a Keras model becomes a part of it: Keras trains, saves and
    counts it. Models in this holder do not.
    """
