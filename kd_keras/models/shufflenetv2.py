"""ShuffleNetV2 of size 1, the distillation literature's CIFAR form.

**Source:** Ma, Zhang, Zheng, Sun 2018, arXiv:1807.11164, table 5 (1x); as in Tian, Krishnan, Isola
2019, arXiv:1910.10699: a 1x1 stem of stride 1 and no pooling before the stages.
"""

import keras

from kd_keras.models import blocks

NAMES = {"shufflenetv2": "ShuffleNetV2 of size 1, 116-232-464 channels, 1024 at the head"}


def build(
    name: str, *, num_classes: int, input_shape: tuple[int, ...], width: float, stem_stride: int
) -> keras.Model:
    """A 1x1 stem (3x3, as on ImageNet, where strided), stages of 4, 8 and 4 blocks, a 1x1 head.

    Args:
        name: a key of `NAMES`.
        num_classes, input_shape, width, stem_stride: see `models.get`.
    """
    inputs, x = blocks.images(input_shape, smallest=8 * stem_stride, name=name)
    stem = blocks.scaled(24, width)
    x = blocks.conv_bn_relu(x, stem, 1 if stem_stride == 1 else 3, stride=stem_stride, name="stem")
    for stage, (channels, depth) in enumerate(((116, 4), (232, 8), (464, 4)), start=1):
        half = blocks.scaled(channels, width, multiple=2) // 2
        x = _down_block(x, half, name=f"stage{stage}_block1")
        for block in range(2, depth + 1):
            ends = f"stage{stage}" if block == depth else f"stage{stage}_block{block}"
            x = _block(x, half, prefix=f"stage{stage}_block{block}", name=ends)
    x = blocks.conv_bn_relu(x, blocks.scaled(1024, width), 1, name="head")
    x = blocks.logits(blocks.pooled(x), num_classes)
    return keras.Model(inputs, x, name=name)


def _down_block(x: keras.KerasTensor, half: int, *, name: str) -> keras.KerasTensor:
    """Two strided branches of `half` channels each, side by side, shuffled."""
    left_branch = blocks.depthwise_bn(x, stride=2, name=f"{name}_left_1")
    left_branch = blocks.conv_bn_relu(left_branch, half, 1, name=f"{name}_left_2")
    right_branch = blocks.conv_bn_relu(x, half, 1, name=f"{name}_right_1")
    right_branch = blocks.depthwise_bn(right_branch, stride=2, name=f"{name}_right_2")
    right_branch = blocks.conv_bn_relu(right_branch, half, 1, name=f"{name}_right_3")
    return blocks.shuffle(keras.layers.Concatenate()([left_branch, right_branch]), 2, name=name)


def _block(x: keras.KerasTensor, half: int, *, prefix: str, name: str) -> keras.KerasTensor:
    """Half the channels pass, half are filtered; side by side, shuffled.

    The ReLU stands after the shuffle instead of before it: the half that passes is not negative, so
    the values are the same, and the tap before the ReLU has its channels in the order of the one
    after it.
    """
    kept_half, y = keras.ops.split(x, 2, axis=-1)
    y = blocks.conv_bn_relu(y, half, 1, name=f"{prefix}_1")
    y = blocks.depthwise_bn(y, name=f"{prefix}_2")
    y = blocks.conv_bn(y, half, 1, name=f"{prefix}_3")
    y = keras.layers.Concatenate(name=f"{prefix}_halves")([kept_half, y])
    return blocks.relu(blocks.shuffle(y, 2, name=f"{name}_preact"), name=name)
