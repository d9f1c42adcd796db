"""Freezes layers of a model by their names, for fine-tuning."""

import difflib
import fnmatch
from collections.abc import Iterator, Sequence

import keras


def freeze(model: keras.Model, patterns: Sequence[str]) -> list[str]:
    """Keeps the weights of the layers constant that a pattern names; batch norms their statistics.

    Args:
        model: the model, built.
        patterns: names of layers, or paths in nested models ("backbone/conv1"), with the wildcards
            * ? [..] of file names. A nested model stands for all its layers.

    Returns:
        Paths of the layers that are frozen, without those inside others.

    Raises:
        ValueError: a pattern names no layer with weights, or no weight is left to train.
    """
    layers_by_path = dict(_layers(model))
    for pattern in patterns:
        if not any(_matches(path, pattern) for path in layers_by_path):
            core = pattern.strip("*?")
            last_names = {path.rpartition("/")[2]: None for path in layers_by_path}
            names = [*last_names, *layers_by_path]
            (nearest_name,) = difflib.get_close_matches(core, names, n=1, cutoff=0.0) or ["none"]
            raise ValueError(
                f"freeze is {pattern!r}, and model {model.name!r} has no layer with weights of "
                f"such a name (nearest: {nearest_name!r}); expected a layer's name, with * for any "
                "text. Correct --freeze."
            )
    frozen_paths = _paths_to_freeze(model, patterns)
    for path in frozen_paths:
        layers_by_path[path].trainable = False
    if not model.trainable_variables:
        raise ValueError(
            f"freeze is {list(patterns)}, and no weight of model {model.name!r} is left to train; "
            "expected some. Name fewer layers with --freeze."
        )
    return frozen_paths


def thaw(model: keras.Model, patterns: Sequence[str]) -> None:
    """Makes layers trainable again that `freeze` froze, so that a file does not keep them so.

    Args:
        model: the model, built.
        patterns: those that `freeze` got.
    """
    layers_by_path = dict(_layers(model))
    for path in _paths_to_freeze(model, patterns):
        layers_by_path[path].trainable = True


def _paths_to_freeze(model: keras.Model, patterns: Sequence[str]) -> list[str]:
    paths = [path for path, _ in _layers(model) if any(_matches(path, p) for p in patterns)]
    return [
        path for path in paths if not any(path.startswith(f"{outer_path}/") for outer_path in paths)
    ]


def _layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.Layer]]:
    """Every layer with weights and its path, those of nested models too."""
    for layer in model.layers:
        if layer.weights:
            yield f"{prefix}{layer.name}", layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer, f"{prefix}{layer.name}/")


def _matches(path: str, pattern: str) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for text in (path, path.rpartition("/")[2]))
