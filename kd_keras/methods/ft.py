"""Factor transfer: the student matches a compressed form of the teacher's features.

Loss: mean over places of |a(translator(s)) - a(encoder(t))|^q. a(f) is mean_c f^p, scaled to a unit
vector over places. In the first stage the paraphraser (encoder and decoder) learns to rebuild the
teacher's features by mean squared error. Then it stays fixed, and the student and its translator
are trained.

Source: Kim, Park, Kwak 2018, "Paraphrasing Complex Network: Network Compression via Factor
Transfer", arXiv:1802.04977, section 3. Defaults: the factors, the form of a, weight 200 and a first
stage of one ninth of the run, as in later comparisons of the method. Reads one feature map of each
model, the last stage by default. A larger factor is average-pooled. Each example has its own
loss.
"""

from typing import Any, Unpack

import keras
from keras import layers, ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import maps, projectors, tap_pairs, two_stage, vectors
from kd_keras.methods.parts.one_tap import OneTap, OneTapKnobs
from kd_keras.tensor_types import LossTerms

NEGATIVE_SLOPE = 0.1  # slope of the leaky ReLUs below zero


@keras.saving.register_keras_serializable(package="kd_keras")
class Stack(keras.Layer):
    """3x3 convolutions of stride 1 with bias, each followed by leaky ReLU; sizes stay.

    Args:
        widths: number of output channels of each convolution.
        transposed: whether the convolutions are transposed ones.
        batch_norm: whether a batch norm follows each convolution.
        negative_slope: slope of the leaky ReLU below zero.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        *,
        transposed: bool = False,
        batch_norm: bool = False,
        negative_slope: float = NEGATIVE_SLOPE,
        **kwargs: Any,
    ):
        super().__init__(dtype="float32", **kwargs)
        self.widths = tuple(widths)
        self.transposed = transposed
        self.batch_norm = batch_norm
        self.negative_slope = negative_slope
        convolution = layers.Conv2DTranspose if transposed else layers.Conv2D
        self.convolutions = [
            convolution(width, 3, padding="same", dtype="float32") for width in self.widths
        ]
        self.norms = [
            layers.BatchNormalization(epsilon=projectors.BATCH_NORM_EPSILON, dtype="float32")
            for _ in self.widths
            if batch_norm
        ]

    def build(self, input_shape: tuple[Any, ...]) -> None:
        for i, convolution in enumerate(self.convolutions):
            convolution.build(input_shape)
            input_shape = (*input_shape[:-1], self.widths[i])
            if self.batch_norm:
                self.norms[i].build(input_shape)

    def call(self, features: Tensor, training: bool = True) -> Tensor:
        for i, convolution in enumerate(self.convolutions):
            features = convolution(features)
            if self.batch_norm:
                features = self.norms[i](features, training=training)
            features = ops.leaky_relu(features, negative_slope=self.negative_slope)
        return features

    def get_config(self) -> dict[str, Any]:
        knobs = ("name", "widths", "transposed", "batch_norm", "negative_slope")
        return {knob: getattr(self, knob) for knob in knobs}


class FT(OneTap):
    """Factors of the teacher's features.

    Args:
        paraphrase_rate: number of channels of a factor, as a share of the teacher's, > 0.
        map_exponent: exponent of the activations before the mean over channels, whole number >= 1.
        difference_exponent: exponent of the difference of two factors, whole number >= 1.
        translator_batch_norm, paraphraser_batch_norm: whether batch norms follow the convolutions.
        first_stage: share of the run, 0 to 1, in which only the paraphraser is trained.
        tap, student_tap, teacher_tap: see `OneTap`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "features"
    old_knobs = (
        ("rate", "paraphrase_rate"),
        ("map_power", "map_exponent"),
        ("difference_power", "difference_exponent"),
    )
    supports_multi_label = True
    default_tap = "stage3"
    default_weight = 200.0

    def __init__(
        self,
        *,
        paraphrase_rate: float = 0.5,
        map_exponent: int = 2,
        difference_exponent: int = 1,
        translator_batch_norm: bool = True,
        paraphraser_batch_norm: bool = False,
        first_stage: float = two_stage.FIRST_STAGE_SHARE,
        **common: Unpack[OneTapKnobs],
    ):
        super().__init__(**common)
        self.paraphrase_rate = check.number("paraphrase_rate", paraphrase_rate, above=0)
        self.map_exponent = check.whole_number("map_exponent", map_exponent, at_least=1, at_most=16)
        self.difference_exponent = check.whole_number(
            "difference_exponent", difference_exponent, at_least=1, at_most=16
        )
        self.translator_batch_norm = check.one_of(
            "translator_batch_norm", translator_batch_norm, (True, False)
        )
        self.paraphraser_batch_norm = check.one_of(
            "paraphraser_batch_norm", paraphraser_batch_norm, (True, False)
        )
        self.first_stage = check.number("first_stage", first_stage, at_least=0, at_most=1)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        (student,), (teacher,) = maps.tapped(self, student_shape, teacher_shape)
        tap_pairs.require_map(self.name, "student", self.student_taps[0], student)
        tap_pairs.require_map(self.name, "teacher", self.teacher_taps[0], teacher)
        tap_pairs.require_positions(self.name, self.student_taps[0], student, teacher)
        channels, factor = teacher[-1], max(1, int(teacher[-1] * self.paraphrase_rate))
        self.translator = Stack(
            (student[-1], factor, factor), batch_norm=self.translator_batch_norm
        )
        self.encoder = Stack((channels, factor, factor), batch_norm=self.paraphraser_batch_norm)
        self.decoder = Stack(
            (factor, channels, channels), transposed=True, batch_norm=self.paraphraser_batch_norm
        )
        self.translator.build(student)
        self.encoder.build(teacher)
        self.decoder.build((*teacher[:-1], factor))

    def first_stage_call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        features = ops.stop_gradient(teacher[self.teacher_taps[0]])
        rebuilt = self.decoder(
            self.encoder(features, training=batch.training), training=batch.training
        )
        return reconstruction(rebuilt, features)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        return ft(
            self.translator(student[self.student_taps[0]], training=batch.training),
            self.encoder(teacher[self.teacher_taps[0]], training=False),
            map_exponent=self.map_exponent,
            difference_exponent=self.difference_exponent,
        )["loss"]


def reconstruction(rebuilt: Tensor, teacher_features: Tensor) -> Tensor:
    """(B,) float32: mean over each example's entries of the squared difference of two maps.

    Args:
        rebuilt: (B, H, W, C) float, what the decoder gives.
        teacher_features: (B, H, W, C) float.
    """
    teacher_features = ops.stop_gradient(ops.cast(teacher_features, "float32"))
    return ops.mean(ops.square(rebuilt - teacher_features), axis=(1, 2, 3))


def ft(
    student_factor: Tensor,
    teacher_factor: Tensor,
    *,
    map_exponent: int = 2,
    difference_exponent: int = 1,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_factor: (B, H, W, C) float, the translated features of the student.
        teacher_factor: (B, H, W, C) float, the encoded features of the teacher; size and
            channels may differ; no gradient flows back.
        map_exponent: whole number >= 1; odd ones keep the factors' signs.
        difference_exponent: whole number >= 1.

    Returns:
        `loss`: (B,) float32.
    """
    student, teacher = tap_pairs.same_size(student_factor, ops.stop_gradient(teacher_factor))
    student, teacher = (maps.attention(f, exponent=map_exponent) for f in (student, teacher))
    difference = vectors.magnitude(student - teacher)
    return {"loss": ops.mean(ops.power(difference, difference_exponent), axis=-1)}
