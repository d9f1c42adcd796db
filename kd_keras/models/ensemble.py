"""Several classifiers as one model, which returns the mean of their logits."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from kd_keras.graph import heads, taps
from kd_keras.tensor_types import Tensor


def mean_of_logits(
    models: Sequence[keras.Model],
    weights: Sequence[float] | None = None,
    *,
    multi_label: bool = False,
) -> keras.Model:
    """One teacher from several: a model of stock layers that returns the mean of their logits.

    Args:
        models: at least two classifiers of the same inputs and classes, each with logits or a
            softmax as output. Log-probabilities of a softmax count as logits. Weights are shared.
        weights: one per model, finite, >= 0 and not all 0; divided by their sum. None: all equal.
        multi_label: whether an image may have several classes, see `heads.output_type`.

    Returns:
        keras.Model from the members' input to (B, classes) float32. Member k, from 1, is its layer
        `teacher_k`, so a Functional member's tap "stage2" is "teacher_1/stage2".

    Raises:
        ValueError: fewer than two models, inputs or classes that differ, a head that cannot be
            distilled, or invalid weights.

    Source: You et al. 2017, "Learning from Multiple Teacher Networks", KDD. Departure: they average
    the softmaxes; the softmax of the mean of logits is their geometric mean, normalised.
    """
    members = list(models)
    if len(members) < 2:
        raise ValueError(
            f"got {len(members)} model; expected two or more. Use a single model as it is."
        )
    shares = _shares(weights, len(members))
    output_types = [heads.output_type(model, multi_label=multi_label) for model in members]
    _check_alike(members, output_types)
    inputs = keras.tree.map_structure(_new_input, _ends(members[0])[0])
    total = None
    for number, (model, output_type, share) in enumerate(
        zip(members, output_types, shares, strict=True), 1
    ):
        logits = taps.logits_of(_with_name(model, f"teacher_{number}")(inputs))
        term = heads.logits_of_teacher(logits, output_type) * share
        total = term if total is None else total + term
    return keras.Model(inputs, total, name="mean_of_teachers")


def _shares(weights: Sequence[float] | None, num_models: int) -> list[float]:
    numbers = [1.0] * num_models if weights is None else list(weights)
    are_valid = all(isinstance(w, (int, float)) and math.isfinite(w) and w >= 0 for w in numbers)
    if len(numbers) != num_models or not are_valid or not sum(numbers) > 0:
        raise ValueError(
            f"weights are {numbers} for {num_models} models; expected one finite number >= 0 for "
            "each, not all 0. They are divided by their sum, so only their proportions matter."
        )
    return [float(weight) / sum(numbers) for weight in numbers]


def _check_alike(models: list[keras.Model], output_types: list[str]) -> None:
    """Raises ValueError unless all models have the same inputs and number of classes."""
    for model in models:
        if not taps.is_graph(model):
            raise ValueError(
                f"model {model.name!r} is a {type(model).__name__}; expected a Functional or built "
                "Sequential model. Wrap it: keras.Model(images, model(images))."
            )
    classes = [
        _classes(model, output_type)
        for model, output_type in zip(models, output_types, strict=True)
    ]
    for what, values in (("inputs", [_inputs(model) for model in models]), ("classes", classes)):
        if any(value != values[0] for value in values):
            value_list = ", ".join(f"{m.name!r} {v}" for m, v in zip(models, values, strict=True))
            raise ValueError(
                f"the models' {what} differ: {value_list}; expected the same {what}. Adapt the "
                "models (kd_keras.models.adapt), or leave out those that differ."
            )


def _inputs(model: keras.Model) -> Any:
    return keras.tree.map_structure(lambda tensor: tuple(tensor.shape[1:]), _ends(model)[0])


def _classes(model: keras.Model, output_type: str) -> int:
    shapes = heads.shapes_of_teacher(taps.output_shapes(model), output_type)
    classes: int = shapes[taps.LOGITS][-1]
    return classes


def _new_input(tensor: Tensor) -> Tensor:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


def _with_name(model: keras.Model, name: str) -> keras.Model:
    """The same layers and weights as a model with a different name."""
    return keras.Model(*_ends(model), name=name)


def _ends(model: keras.Model) -> tuple[Any, Any]:
    """The model's own inputs and outputs; a Sequential has one of each."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output
