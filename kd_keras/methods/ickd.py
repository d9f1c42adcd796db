"""Inter-channel correlation: the student's channels correlate with each other as the teacher's do.

Loss: for each pair of taps, sum over examples of |G_s - G_t|^2 / (C * N^2). G is the C x C matrix
of inner products of an example's channels over all places, each row scaled to length one. C is the
number of the teacher's channels, N the batch size. A trained convolution with batch norm gives the
student C channels.

Source: Liu et al. 2021, "Exploring Inter-Channel Correlation for Diversity-preserved Knowledge
Distillation", arXiv:2202.03680, section 3.2. Defaults: weight 500, as for its ImageNet results
(torchdistill). The authors' CIFAR code divides by C * N, and uses a 1x1 convolution and weight 2.5.
That is `weight=2.5 * N, kernel_size=1` here. Reads one tap of each model, the last stage by
default; sizes may differ. The loss belongs to the whole batch.
"""

from typing import Unpack

from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import connectors, vectors
from kd_keras.methods.parts.tap_pairs import TapPairs, TapPairsKnobs
from kd_keras.tensor_types import LossTerms


class ICKD(TapPairs):
    """Correlations between the channels of feature maps.

    Args:
        taps, student_taps, teacher_taps: feature maps, see `TapPairs`; the last stage is usual.
        kernel_size: kernel size of the student's trained convolution, >= 1.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "relations"
    supports_multi_label = True
    default_taps = ("stage3",)
    default_weight = 500.0

    needs_whole_batch = True

    def __init__(self, *, kernel_size: int = 3, **common: Unpack[TapPairsKnobs]):
        super().__init__(**common)
        self.kernel_size = check.whole_number("kernel_size", kernel_size, at_least=1, at_most=31)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        pairs = self.map_shapes(student_shape, teacher_shape)
        self.embeddings = [
            connectors.connector(
                student, teacher[-1], kernel_size=self.kernel_size, name=f"embedding_{i}"
            )
            for i, (student, teacher) in enumerate(pairs)
        ]

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        losses = [
            ickd(embed(student[s], training=batch.training), teacher[t])["loss"]
            for embed, s, t in zip(
                self.embeddings, self.student_taps, self.teacher_taps, strict=True
            )
        ]
        return ops.broadcast_to(sum(losses), ops.shape(student["logits"])[:1])


def ickd(embedded: Tensor, teacher_features: Tensor) -> LossTerms:
    """Named parts of the method.

    Args:
        embedded: (B, h, w, C) float, the student's features after the embedding.
        teacher_features: (B, H, W, C) float; no gradient flows back.

    Returns:
        `loss`: () float32, the squared distance of the correlations over C * B^2.
    """
    difference = _correlations(embedded) - ops.stop_gradient(_correlations(teacher_features))
    examples, channels = ops.shape(difference)[0], difference.shape[-1]
    scale = ops.cast(examples, "float32") ** 2 * channels
    return {"loss": ops.sum(ops.square(difference)) / scale}


def _correlations(features: Tensor) -> Tensor:
    """(B, H, W, C) to (B, C, C): the channels' inner products, each row of length one."""
    features = ops.cast(features, "float32")
    return vectors.unit(ops.einsum("bhwc,bhwd->bcd", features, features))
