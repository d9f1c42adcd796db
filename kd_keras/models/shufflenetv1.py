"""ShuffleNetV1 with three groups, the distillation literature's CIFAR form.

**Source:** Zhang, Zhou, Lin, Sun 2017, arXiv:1707.01083, table 1 (g = 3); as in Tian, Krishnan,
Isola 2019, arXiv:1910.10699: a 1x1 stem of stride 1, ReLU after the channel-wise convolution, no
pooling before the stages.
"""

import keras

from kd_keras.models import blocks

NAMES = {"shufflenetv1": "ShuffleNetV1, 3 groups, 240-480-960 channels"}
_GROUPS = 3
# Channels are multiples of this, so that a quarter of them splits into the groups.
_MULTIPLE = 4 * _GROUPS


def build(
    name: str, *, num_classes: int, input_shape: tuple[int, ...], width: float, stem_stride: int
) -> keras.Model:
    """A 1x1 stem (3x3, as on ImageNet, where strided) and three stages of 4, 8 and 4 blocks.

    Args:
        name: a key of `NAMES`.
        num_classes, input_shape, width, stem_stride: see `models.get`.
    """
    inputs, x = blocks.images(input_shape, smallest=8 * stem_stride, name=name)
    stem = blocks.scaled(24, width, multiple=_MULTIPLE)
    x = blocks.conv_bn_relu(x, stem, 1 if stem_stride == 1 else 3, stride=stem_stride, name="stem")
    for stage, (channels, depth) in enumerate(((240, 4), (480, 8), (960, 4)), start=1):
        # Each stage's first block appends its input, so it must widen by a multiple at the least.
        filters = max(blocks.scaled(channels, width, multiple=_MULTIPLE), x.shape[-1] + _MULTIPLE)
        for block in range(1, depth + 1):
            prefix = f"stage{stage}_block{block}"
            ends = f"stage{stage}" if block == depth else prefix
            groups = 1 if stage == block == 1 else _GROUPS
            x = _unit(x, filters, groups, strided=block == 1, prefix=prefix, name=ends)
    x = blocks.logits(blocks.pooled(x), num_classes)
    return keras.Model(inputs, x, name=name)


def _unit(
    x: keras.KerasTensor, filters: int, groups: int, *, strided: bool, prefix: str, name: str
) -> keras.KerasTensor:
    """Grouped 1x1, shuffle, 3x3 channel by channel, grouped 1x1; added or appended to the input.

    Args:
        groups: number of groups of the first convolution; the last one always has three.
        strided: halves the size and appends the averaged input instead of adding it.
    """
    conv_filters = filters - x.shape[-1] if strided else filters
    y = _grouped_conv(x, conv_filters // 4, groups, name=f"{prefix}_1_conv")
    y = blocks.bn_relu(y, name=f"{prefix}_1")
    if groups > 1:
        y = blocks.shuffle(y, groups)
    y = blocks.depthwise_bn(y, stride=2 if strided else 1, name=f"{prefix}_2_preact")
    y = blocks.relu(y, name=f"{prefix}_2")
    y = _grouped_conv(y, conv_filters, _GROUPS, name=f"{prefix}_3_conv")
    y = blocks.batch_norm(y, name=f"{prefix}_3")
    if strided:
        x, padding = blocks.pad(x, 3, 2)
        x = keras.layers.AveragePooling2D(3, strides=2, padding=padding)(x)
        y = keras.layers.Concatenate(name=f"{name}_preact")([y, x])
    else:
        y = keras.layers.Add(name=f"{name}_preact")([y, x])
    return blocks.relu(y, name=name)


def _grouped_conv(
    x: keras.KerasTensor, filters: int, groups: int, *, name: str
) -> keras.KerasTensor:
    """A 1x1 convolution of each group by itself, as one convolution a group.

    Conv2D(groups=3) is the same, but on TensorFlow it runs through XLA: on CPU such layers train
    5 times slower.
    """
    if groups == 1:
        return blocks.conv(x, filters, 1, name=name)
    outputs = [
        blocks.conv(group_input, filters // groups, 1, name=f"{name}_group{group}")
        for group, group_input in enumerate(keras.ops.split(x, groups, axis=-1), start=1)
    ]
    return keras.layers.Concatenate(name=name)(outputs)
