"""Whether a classifier returns logits or probabilities, and the logits of either."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kd_keras import losses
from kd_keras.graph import last_activation, taps
from kd_keras.graph.probability_rows import are_probabilities, in_range
from kd_keras.tensor_types import Logits


def output_type(model: keras.Model, *, multi_label: bool = False) -> str:
    """Returns "logits", "probabilities" or "sigmoid" (one output: the second class's probability).

    The model's last layer decides, or else the model's outputs for a batch of noise.

    With `multi_label`, an example may have several classes: "logits" or "sigmoids" (each class's
    probability).

    Args:
        model: the classifier, built.
        multi_label: whether an example may have several classes.

    Raises:
        ValueError: the output is not (B, C), has several sigmoids, or is one value without a
            sigmoid.
    """
    shape = taps.output_shapes(model)[taps.LOGITS]
    if len(shape) != 2 or not shape[-1]:
        raise ValueError(
            f"model {model.name!r} gives outputs of shape {shape}; expected (batch, classes) with "
            "two classes or more. Pass a model that gives one row of scores for each example."
        )
    activation = activation_name(model)
    if multi_label:
        return _multi_label_output_type(model, activation, shape[-1])
    if shape[-1] == 1:
        return _one_output_type(model, activation)
    if "sigmoid" in activation:
        raise ValueError(
            f"model {model.name!r} ends in a sigmoid; expected logits, one class per image. "
            "If an image may have several classes, use label_mode='multi' (--label-mode multi); if "
            "it has one, remove the sigmoid (activation=None)."
        )
    if activation == "linear":
        return "logits"
    is_softmax = activation == "softmax" or are_probabilities(_rows_of_noise(model))
    return "probabilities" if is_softmax else "logits"


def activation_name(model: keras.Model) -> str:
    """The activation of the last layer: "linear", "softmax", …; its class's name if it has none.

    Only a layer with weights counts as "linear": any other may pass on the outputs of a softmax.

    Args:
        model: the classifier, built.
    """
    layer = next(iter(taps.tail(model)), None)
    activation = getattr(getattr(layer, "activation", None), "__name__", None)
    has_weights = isinstance(layer, keras.Layer) and layer.weights
    if activation is None or (activation == "linear" and not has_weights):
        return type(layer).__name__.lower()
    return str(activation)


def check_student(
    student: keras.Model,
    *,
    what: str = "student",
    before_softmax: bool = False,
    multi_label: bool = False,
) -> None:
    """Raises ValueError unless the student, or another model that is trained, gives logits.

    Args:
        student: the model.
        what: what the message calls it.
        before_softmax: whether a softmax will do that can be left out (`last_activation.softmax`).
        multi_label: whether an example may have several classes, see `output_type`.
    """
    if multi_label:
        if output_type(student, multi_label=True) == "sigmoids":
            raise ValueError(
                f"{what} {student.name!r} ends in a sigmoid; expected logits, which distillation "
                "and its cross-entropy need. Remove the last activation (activation=None)."
            )
        return
    if taps.output_shapes(student)[taps.LOGITS] == (None, 1):
        raise ValueError(
            f"{what} {student.name!r} gives one output; expected the logits of two classes or "
            "more. Use two outputs without an activation, Dense(2): their softmax equals the "
            "sigmoid of their difference."
        )
    if output_type(student) == "probabilities":
        if before_softmax and last_activation.softmax(student) is not None:
            return
        raise ValueError(
            f"{what} {student.name!r} ends in a softmax; expected logits, which distillation and "
            "its cross-entropy need. Remove the last activation (activation=None)."
        )


def check_same_classes(
    student: dict[str, Any], teacher: dict[str, Any], readers: Sequence[str] = ()
) -> None:
    """Raises ValueError unless both shapes of "logits" have the same number of classes.

    Args:
        student, teacher: shapes of their outputs by name.
        readers: names of the methods that read the teacher's logits, for the message.
    """
    student_classes, teacher_classes = student["logits"][-1], teacher["logits"][-1]
    if student_classes != teacher_classes:
        embedding = (
            f" If the teacher gives an embedding, {', '.join(readers)} cannot learn from it: use "
            "the method embed alone."
            if readers
            else ""
        )
        raise ValueError(
            f"the student has {student_classes} classes and the teacher {teacher_classes}; "
            "expected the same classes in the same order. Use models with the same classes."
            f"{embedding}"
        )


def logits_of_teacher(outputs: Logits, head_type: str) -> Logits:
    """The logits, (B, C) float32, of a classifier whose outputs are of this `output_type`.

    The logits of probabilities are their logarithms, finite also for a probability of 0. The logits
    of one sigmoid output p are (0, log(p / (1 - p))): their softmax is (1 - p, p). Those of several
    sigmoids are log(p / (1 - p)) each.

    Args:
        outputs: (B, C) float, what the classifier gives; (B, 1) of one sigmoid.
        head_type: what `output_type` returns for the classifier.
    """
    outputs = ops.cast(outputs, "float32")
    if head_type == "probabilities":
        return ops.log(ops.maximum(outputs, losses.FLOAT32_TINY))
    if head_type in ("sigmoid", "sigmoids"):
        # The largest float32 below 1: the sigmoid of 17 or more rounds to 1, with infinite logit.
        p = ops.clip(outputs, losses.FLOAT32_TINY, 1 - 2**-24)
        logit = ops.log(p) - ops.log(1 - p)  # no log1p, which ONNX does not have
        if head_type == "sigmoids":
            return logit
        return ops.concatenate([ops.zeros_like(logit), logit], axis=-1)
    return outputs


def shapes_of_teacher(shapes: dict[str, Any], head_type: str) -> dict[str, Any]:
    """Shapes of a teacher's outputs after `logits_of_teacher`.

    Args:
        shapes: shape of each output by name, batch axis as None.
        head_type: what `output_type` returns for the teacher.
    """
    return shapes | ({taps.LOGITS: (None, 2)} if head_type == "sigmoid" else {})


def _multi_label_output_type(model: keras.Model, activation: str, num_classes: int) -> str:
    if activation == "linear" and num_classes > 1:
        return "logits"
    rows = None if activation == "sigmoid" else _rows_of_noise(model)
    is_softmax = rows is not None and num_classes > 1 and are_probabilities(rows)
    if activation == "softmax" or num_classes == 1 or is_softmax:
        what = "gives one output" if num_classes == 1 else "ends in a softmax"
        raise ValueError(
            f"model {model.name!r} {what}; expected logits or sigmoids of two classes or more, "
            "since an image may have several. Give another model, or leave label_mode='multi' "
            "(--label-mode multi) out."
        )
    return "sigmoids" if rows is None or in_range(rows) else "logits"


def _one_output_type(model: keras.Model, activation: str) -> str:
    is_known = activation in ("linear", "sigmoid")
    if activation == "sigmoid" or (not is_known and in_range(_rows_of_noise(model))):
        return "sigmoid"
    raise ValueError(
        f"model {model.name!r} gives one output without a sigmoid; expected two classes or "
        "more, or one sigmoid. If the output is the logit of two classes, add the sigmoid: "
        "keras.Model(model.input, keras.ops.sigmoid(model.output))."
    )


def _rows_of_noise(model: keras.Model) -> np.ndarray:
    try:
        outputs = _outputs_of_noise(model, upper_bound=255)
    except Exception:  # of the backend's own class: token ids beyond a small vocabulary
        outputs = _outputs_of_noise(model, upper_bound=2)
    return np.asarray(ops.convert_to_numpy(taps.logits_of(outputs)))


def _outputs_of_noise(model: keras.Model, *, upper_bound: int) -> Any:
    rng = np.random.default_rng(0)
    return taps.run(model, lambda shape: rng.uniform(0, upper_bound, size=shape).astype("float32"))
