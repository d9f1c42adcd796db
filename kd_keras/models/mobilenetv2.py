"""MobileNetV2 at half width, the form the distillation literature uses on CIFAR.

**Source:** Sandler et al. 2018, arXiv:1801.04381, table 2; as in Tian, Krishnan, Isola 2019,
arXiv:1910.10699: width 0.5, ReLU instead of ReLU6, the 24-channel stage not strided, an expansion
convolution in the first block too, and a last convolution of 1280 channels.
"""

import keras

from kd_keras.models import blocks

NAMES = {"mobilenetv2": "MobileNetV2 at half width, expansion 6, 1280 channels before the pooling"}

# (stage it belongs to or 0, expansion, channels at half width, blocks, stride of the first)
_ROWS = (
    (0, 1, 8, 1, 1),
    (1, 6, 12, 2, 1),
    (2, 6, 16, 3, 2),
    (3, 6, 32, 4, 2),
    (3, 6, 48, 3, 1),
    (4, 6, 80, 3, 2),
    (4, 6, 160, 1, 1),
)


def build(
    name: str, *, num_classes: int, input_shape: tuple[int, ...], width: float, stem_stride: int
) -> keras.Model:
    """A stem of stride 2 * `stem_stride`, seven rows of inverted residuals, a 1x1 head.

    Args:
        name: a key of `NAMES`.
        num_classes, input_shape, width, stem_stride: see `models.get`.
    """
    inputs, x = blocks.images(input_shape, smallest=16 * stem_stride, name=name)
    stem = blocks.scaled(16, width)
    x = blocks.conv_bn_relu(x, stem, 3, stride=2 * stem_stride, name="stem")
    for row, (stage, expansion, channels, depth, stride) in enumerate(_ROWS, start=1):
        ends_stage = stage and (row == len(_ROWS) or _ROWS[row][0] != stage)
        for block in range(1, depth + 1):
            prefix = f"row{row}_block{block}"
            ends = f"stage{stage}_preact" if ends_stage and block == depth else prefix
            x = _inverted_residual(
                x,
                blocks.scaled(channels, width),
                expansion,
                stride if block == 1 else 1,
                prefix=prefix,
                name=ends,
            )
        if ends_stage:
            # The bottleneck is linear: no ReLU follows, so both taps are the same tensor.
            x = keras.layers.Activation("linear", name=f"stage{stage}")(x)
    x = blocks.conv_bn_relu(x, blocks.scaled(1280, width), 1, name="head")
    x = blocks.logits(blocks.pooled(x), num_classes)
    return keras.Model(inputs, x, name=name)


def _inverted_residual(
    x: keras.KerasTensor, filters: int, expansion: int, stride: int, *, prefix: str, name: str
) -> keras.KerasTensor:
    """Expand 1x1, filter channel by channel, project 1x1 without ReLU, add where shapes agree."""
    adds = stride == 1 and x.shape[-1] == filters
    y = blocks.conv_bn_relu(x, expansion * x.shape[-1], 1, name=f"{prefix}_expand")
    y = blocks.depthwise_bn(y, stride=stride, name=f"{prefix}_depthwise")
    y = blocks.relu(y, name=f"{prefix}_depthwise_relu")
    y = blocks.conv_bn(y, filters, 1, name=f"{prefix}_project" if adds else name)
    return keras.layers.Add(name=name)([x, y]) if adds else y
