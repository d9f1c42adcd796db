"""Wasserstein distance of logits: moving probability between similar classes costs little.

Loss: -p_t(y) log p_s(y) at temperature 1, + transport_weight * W. W is the entropy-regularised cost
of transport between the softmaxes at T over the classes other than the label y: with a of the
student, b of the teacher, K = exp(-cost / regularization) and u = 1 / (C - 1), `iterations` times
v = b / (K'u + 1e-8), u = a / (K v + 1e-8); then W = sum_ij u_i K_ij v_j cost_ij.
cost = max(1 - exp(-sharpness * D), 0) + 1e-8, where D(i, j) is the distance of two classes;
sharpness 0 takes D itself. The weight of W falls to 0 like a cosine from `decay_start` of the run.

Source: Lv, Yang, Li 2024, "Wasserstein Distance Rivals Kullback-Leibler Divergence for Knowledge
Distillation", arXiv:2412.08139, section 3.1 (WKD-L), and the authors' code. Defaults, the authors'
for ResNet32x4 on CIFAR-100: T 8, weight of W 600, decay from epoch 150 of 240 on, cross-entropy 1.
They use T 6 and 200 for WRN-40-2; for ImageNet T 2, 30 (or 25 and sharpness 2) and decay from the
start. Reads logits and labels; of labels that are probabilities, the largest counts. No trained
parts. Each example has its own loss. Needs three classes or more: with two there is one other
class. Without the factor T^2 of kd. Not zero at equality.
"""

from pathlib import Path
from typing import Any, Unpack

import keras
import numpy as np
from keras import ops

from kd_keras import check
from kd_keras.methods.base import (
    Batch,
    CommonKnobs,
    ExampleLosses,
    Labels,
    Method,
    Outputs,
    Shapes,
    Tensor,
)
from kd_keras.methods.parts import decay, nontarget, teacher_classifier, vectors
from kd_keras.tensor_types import Logits, LossTerms

FLOOR = 1e-8  # as in the authors' code: keeps divisors and costs above 0


class WKD(Method):
    """Wasserstein distance between the answers of teacher and student.

    Args:
        temperature: softmax temperature of the transport's probabilities, > 0, no unit.
        transport_weight: factor of the transport's cost, >= 0.
        class_distances_file: path of an .npy file with a (C, C) array, the distance of each two
            classes, 0 to 1, see `class_distances`; None: 1 minus the cosine of their weights in the
            teacher's classifier.
        sharpness: how fast the cost rises with the distance, >= 0, no unit.
        regularization: weight of the entropy in the transport, > 0, in units of the cost.
        iterations: number of Sinkhorn iterations, >= 1.
        decay_start: share of the run, 0 to 1, after which transport_weight falls; 1: never.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    departures = (
        "Without class_distances_file, classes are compared by their weights in the teacher's "
        "classifier, less their mean. The authors compare features of training images, in a pass "
        "before the training; `kd_keras.methods.wkd.class_distances` computes their distances."
    )
    old_knobs = (("class_distances", "class_distances_file"),)
    needs_labels = True
    needs_one_class = True
    min_classes = 3

    def __init__(
        self,
        *,
        temperature: float = 8.0,
        transport_weight: float = 600.0,
        class_distances_file: str | None = None,
        sharpness: float = 1.0,
        regularization: float = 0.05,
        iterations: int = 10,
        decay_start: float = 0.625,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self.temperature = check.number("temperature", temperature, above=0)
        self.transport_weight = check.number("transport_weight", transport_weight, at_least=0)
        if class_distances_file is not None:
            class_distances_file = check.text(
                "class_distances_file", _path_text(class_distances_file)
            )
        self.class_distances_file = class_distances_file
        self.needs_teacher_model = class_distances_file is None
        self._is_restored = False
        self.sharpness = check.number("sharpness", sharpness, at_least=0)
        self.regularization = check.number("regularization", regularization, above=0)
        self.iterations = check.whole_number("iterations", iterations, at_least=1)
        self.decay_start = check.number("decay_start", decay_start, at_least=0, at_most=1)

    @property
    def needs_progress(self) -> bool:
        return super().needs_progress or self.decay_start < 1

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        classes = student_shape["logits"][-1]
        self.distances = self.add_weight(
            shape=(classes, classes), initializer="zeros", trainable=False, name="distances"
        )
        if self.class_distances_file is not None and not self._is_restored:
            self.distances.assign(_read_distances(self.class_distances_file, classes))

    def build_from_config(self, config: dict[str, Any]) -> None:
        self._is_restored = bool(config)  # the saved weights hold the distances
        super().build_from_config(config)

    def attach(self, student: keras.Model, teacher: keras.Model | None) -> None:
        if self.class_distances_file is None and teacher is not None:
            kernel = teacher_classifier.last_dense(self.name, teacher).kernel
            self.distances.assign(_cosine_distances(ops.transpose(ops.cast(kernel, "float32"))))

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        terms = wkd(
            student["logits"],
            teacher["logits"],
            batch.labels,
            ops.convert_to_tensor(self.distances),
            temperature=self.temperature,
            sharpness=self.sharpness,
            regularization=self.regularization,
            iterations=self.iterations,
        )
        weight = self.transport_weight
        if self.decay_start < 1:
            weight = weight * decay.cosine(batch.progress, self.decay_start)
        return terms["loss_target"] + weight * terms["loss_wasserstein"]


def wkd(
    student_logits: Logits,
    teacher_logits: Logits,
    labels: Labels,
    distances: Tensor,
    *,
    temperature: float,
    sharpness: float,
    regularization: float,
    iterations: int,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        labels: (B,) int classes or (B, C) probabilities, whose largest counts.
        distances: (C, C) float, the distance of each two classes, >= 0.
        temperature, sharpness, regularization, iterations: see `WKD`.

    Returns:
        `loss_target`: (B,) float32 in nats. `loss_wasserstein`: (B,), in units of the cost, without
        its weight.
    """
    student = ops.cast(student_logits, "float32")
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
    mask = nontarget.target_mask(labels, student.shape[-1])
    trust = ops.sigmoid(nontarget.log_odds(teacher, mask))
    target = -trust * ops.log_sigmoid(nontarget.log_odds(student, mask))

    cost = ops.cast(distances, "float32")
    if sharpness:
        cost = ops.maximum(1 - ops.exp(-sharpness * cost), 0.0) + FLOOR
    a, b = (
        ops.where(mask, 0.0, ops.exp(nontarget.log_softmax_of_others(z / temperature, mask)))
        for z in (student, teacher)
    )
    # The label's class has no probability on either side, so it stays out of all sums.
    kernel = ops.exp(-cost / regularization)
    u = ops.where(mask, 0.0, 1 / (student.shape[-1] - 1))
    v = b
    for _ in range(iterations):
        v = b / (ops.matmul(u, kernel) + FLOOR)
        u = a / (ops.matmul(v, ops.transpose(kernel)) + FLOOR)
    transport = ops.sum(u * ops.matmul(v, ops.transpose(kernel * cost)), axis=-1)
    return {"loss_target": target, "loss_wasserstein": transport}


def class_distances(features: Tensor) -> Tensor:
    """The authors' distances of classes, by linear centred kernel alignment.

    Args:
        features: (C, n, D) float, pooled features of n images of each class. The k-th images of
            two classes are compared, so the result depends on their order.

    Returns:
        (C, C) float32, 0 to 1: 1 - |Xi' Xj|^2 / (|Xi' Xi| |Xj' Xj|), X less its mean over n.
    """
    features = ops.cast(features, "float32")
    centred = features - ops.mean(features, axis=1, keepdims=True)
    grams = ops.matmul(centred, ops.transpose(centred, (0, 2, 1)))  # (C, n, n)
    rows = vectors.unit(vectors.flat(grams))
    return 1 - ops.matmul(rows, ops.transpose(rows))


def _cosine_distances(weights: Tensor) -> Tensor:
    """(C, C): 1 minus the cosine of each two rows, less the rows' mean, which no softmax shows."""
    rows = vectors.unit(weights - ops.mean(weights, axis=0, keepdims=True))
    return ops.maximum(1 - ops.matmul(rows, ops.transpose(rows)), 0.0)


def _path_text(value: Any) -> Any:
    """The text of a path; anything else as it is."""
    return str(value) if isinstance(value, Path) else value


def _read_distances(path: str, num_classes: int) -> Any:
    """(C, C) array of the file."""
    if not Path(path).is_file():
        raise ValueError(
            f"wkd: class_distances_file is {path!r}, which is not a file; expected an .npy file "
            f"with a ({num_classes}, {num_classes}) array. Leave it out to use the teacher's "
            "classifier."
        )
    try:
        with open(path, "rb") as file:
            distances = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise ValueError(_message(path, "is not an .npy file of numbers", num_classes)) from error
    if distances.shape != (num_classes, num_classes) or distances.dtype.kind not in "biuf":
        contents = f"has an array of {distances.dtype} and shape {distances.shape}"
        raise ValueError(_message(path, contents, num_classes))
    low, high = np.min(distances), np.max(distances)  # NaN if one is NaN
    if not 0 <= low <= high <= np.finfo("float32").max:
        raise ValueError(_message(path, f"has numbers from {low} to {high}", num_classes))
    return distances


def _message(path: str, contents: str, num_classes: int) -> str:
    return (
        f"wkd: the file {path!r} of class_distances_file {contents}; expected finite numbers >= 0 "
        f"in ({num_classes}, {num_classes}), the distance of each two classes. Compute them with "
        "kd_keras.methods.wkd.class_distances, and save them with numpy.save."
    )
