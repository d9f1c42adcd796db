"""Knowledge distillation for Keras image classifiers.

`Distiller` trains a student on labels and on a teacher's soft targets and hints; `methods` and
`models` hold what it is made from. `run` does the whole job of `kdk train`; `evaluate`, `predict`,
`export`, `compare` and `report` do what the commands of these names do.
Names are resolved when first used, so that importing the package costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Distiller": "kd_keras.distill.distiller",
    "Recipe": "kd_keras.job.recipe.recipe_files",
    "compare": "kd_keras.job.compare_command.compare",
    "evaluate": "kd_keras.job.prediction.evaluate_model_file",
    "export": "kd_keras.job.export_command.export",
    "predict": "kd_keras.job.prediction.predict",
    "report": "kd_keras.results.report.report",
    "run": "kd_keras.job.train",
}
_PACKAGES = ("data", "methods", "models", "optimizers")  # modules of this package
_ON_TENSORFLOW = ("Distiller", "evaluate", "export", "run")  # their modules import it
__all__ = sorted([*_HOME, "methods", "models"])


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"kd_keras.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'kd_keras' has no attribute {name!r}; it has {__all__}.")
    if name in _ON_TENSORFLOW:
        importlib.import_module("kd_keras.graph.backend").require_tensorflow()
        importlib.import_module("kd_keras.graph.quiet_import").import_keras()
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
