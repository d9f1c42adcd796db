"""Modules of the user's own, imported for the layers that they register with Keras."""

import importlib
import os
import sys
from collections.abc import Iterable


def register(modules: Iterable[str]) -> None:
    """Imports each module, also from the current folder, as `python -m` would.

    A class of such a module that `keras.saving.register_keras_serializable` decorates is found
    when a model's file is opened.

    Raises ValueError for a module that cannot be imported.
    """
    for name in modules:
        folder = os.getcwd()
        if folder not in sys.path:
            sys.path.insert(0, folder)
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ValueError(
                f"--import is {name!r}, which cannot be imported ({error}); expected a Python "
                f"module that is installed or lies in {folder}. Give its name without .py, such "
                "as my_layers."
            ) from error
