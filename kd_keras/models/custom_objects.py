"""Imports the user's modules, which register their layers with Keras."""

import importlib
import os
import sys
from collections.abc import Iterable


def register(modules: Iterable[str]) -> None:
    """Imports each module, also from the current folder, as `python -m` does.

    Keras can then open files of models with classes of these modules that are decorated with
    `keras.saving.register_keras_serializable`.

    Raises ValueError for a module that cannot be imported.
    """
    for name in modules:
        folder = os.getcwd()
        if folder not in sys.path:
            sys.path.insert(0, folder)
        try:
            importlib.import_module(name)
        except (ImportError, TypeError, ValueError) as error:  # the last two: no name of a module
            raise ValueError(
                f"--import is {name!r}, which cannot be imported ({error}); expected a Python "
                f"module that is installed or lies in {folder}. Give its name without .py, such "
                "as my_layers."
            ) from error
