"""CIFAR ResNets of the distillation literature: three stages of basic blocks.

**Source:** He, Zhang, Ren, Sun 2015, arXiv:1512.03385, section 4.2; widths and 1x1 shortcuts as in
Tian, Krishnan, Isola 2019, arXiv:1910.10699 (CRD), whose parameter counts the tests pin.
"""

import keras

from kd_keras.models import blocks

NAMES = {
    "resnet8": "CIFAR ResNet, 8 layers, 16-32-64 channels",
    "resnet14": "CIFAR ResNet, 14 layers, 16-32-64 channels",
    "resnet20": "CIFAR ResNet, 20 layers, 16-32-64 channels",
    "resnet32": "CIFAR ResNet, 32 layers, 16-32-64 channels",
    "resnet44": "CIFAR ResNet, 44 layers, 16-32-64 channels",
    "resnet56": "CIFAR ResNet, 56 layers, 16-32-64 channels",
    "resnet110": "CIFAR ResNet, 110 layers, 16-32-64 channels",
    "resnet8x4": "CIFAR ResNet, 8 layers, 64-128-256 channels",
    "resnet32x4": "CIFAR ResNet, 32 layers, 64-128-256 channels",
}


def build(
    name: str, *, num_classes: int, input_shape: tuple[int, ...], width: float, stem_stride: int
) -> keras.Model:
    """Stem of 16 (x4: 32) channels, then three stages, the second and third at half the size."""
    depth, _, times = name.removeprefix("resnet").partition("x")
    per_stage = (int(depth) - 2) // 6
    stem = 32 if times else 16
    stages = [(channels * int(times or 1), per_stage) for channels in (16, 32, 64)]
    return residual_network(
        name,
        stem,
        stages,
        num_classes=num_classes,
        input_shape=input_shape,
        width=width,
        stem_stride=stem_stride,
    )


def residual_network(
    name: str,
    stem: int,
    stages: list[tuple[int, int]],
    *,
    num_classes: int,
    input_shape: tuple[int, ...],
    width: float,
    stem_stride: int,
) -> keras.Model:
    """A 3x3 stem of `stem` channels, then `stages` of (channels, number of basic blocks).

    Args:
        name: name of the model.
        stem: channels of the stem before `width` applies.
        stages: (channels, number of basic blocks) of each stage; each later one halves the size.
        num_classes, input_shape, width, stem_stride: see `models.get`.
    """
    min_side = stem_stride * 2 ** (len(stages) - 1)
    inputs, x = blocks.images(input_shape, smallest=min_side, name=name)
    x = blocks.conv_bn_relu(x, blocks.scaled(stem, width), 3, stride=stem_stride, name="stem")
    for stage, (channels, depth) in enumerate(stages, start=1):
        for block in range(1, depth + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            ends = f"stage{stage}" if block == depth else f"stage{stage}_block{block}"
            filters = blocks.scaled(channels, width)
            x = _basic_block(x, filters, stride, prefix=f"stage{stage}_block{block}", name=ends)
    x = blocks.logits(blocks.pooled(x), num_classes)
    return keras.Model(inputs, x, name=name)


def _basic_block(
    x: keras.KerasTensor, filters: int, stride: int, *, prefix: str, name: str
) -> keras.KerasTensor:
    """Two 3x3 convolutions and a shortcut, a 1x1 convolution where the shape changes."""
    y = blocks.conv_bn_relu(x, filters, 3, stride=stride, name=f"{prefix}_1")
    y = blocks.conv_bn(y, filters, 3, name=f"{prefix}_2")
    if stride != 1 or x.shape[-1] != filters:
        x = blocks.conv_bn(x, filters, 1, stride=stride, name=f"{prefix}_shortcut")
    return blocks.relu(keras.layers.Add(name=f"{name}_preact")([x, y]), name=name)
