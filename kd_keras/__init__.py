"""Knowledge distillation for Keras image classifiers.

`Distiller` trains a student on labels and on a teacher's soft targets and hints; `methods`,
`models` and `data` hold what it is made from; `run` does the whole job that `kdk train` does.
Names are resolved when first used, so that importing the package costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Distiller": "kd_keras.distill.distiller",
    "Recipe": "kd_keras.job.recipe.recipe_files",
    "evaluate": "kd_keras.job.evaluate",
    "export": "kd_keras.job.export",
    "predict": "kd_keras.job.predict",
    "run": "kd_keras.job.train",
    "data": None,
    "methods": None,
    "models": None,
    "optimizers": None,
}
_ON_TENSORFLOW = ("Distiller", "evaluate", "export", "run")  # their modules import it
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kd_keras' has no attribute {name!r}; it has {__all__}.")
    home = _HOME[name]
    if name in _ON_TENSORFLOW:
        importlib.import_module("kd_keras.graph.backend").require_tensorflow()
        importlib.import_module("kd_keras.graph.quiet_import").import_keras()
    if home is None:
        return importlib.import_module(f"kd_keras.{name}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
