"""Image classification datasets, each decoded once into a memory-mapped store.

`load(name)` gives a `Dataset`; `pipeline.BatchPlan` and `pipeline.evaluation` make its batches.
"""

from kd_keras.data.datasets import LABEL_MODES, RESIZES, cache_folder, describe, load, names

__all__ = ["LABEL_MODES", "RESIZES", "cache_folder", "describe", "load", "names"]
