"""A place for models that a Keras model uses and does not own."""

import types


class Untracked(types.SimpleNamespace):
    """Holds models and layers by name. Keras neither tracks, saves nor counts what it holds.

    An attribute of a Keras model that is a model itself becomes a part of it: it is trained, saved
    and counted with it. What is held here is not.
    """
