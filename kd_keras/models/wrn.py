"""Wide residual networks WRN-depth-widening: batch norm and ReLU before each convolution.

**Source:** Zagoruyko, Komodakis 2016, arXiv:1605.07146, section 2 (no dropout).
"""

import keras

from kd_keras.models import blocks

NAMES = {
    "wrn_16_1": "Wide ResNet, 16 layers, 16-32-64 channels",
    "wrn_16_2": "Wide ResNet, 16 layers, 32-64-128 channels",
    "wrn_40_1": "Wide ResNet, 40 layers, 16-32-64 channels",
    "wrn_40_2": "Wide ResNet, 40 layers, 32-64-128 channels",
}


def build(
    name: str, *, num_classes: int, input_shape: tuple[int, ...], width: float, stem_stride: int
) -> keras.Model:
    """Stem of 16 channels, then three stages; the last ends in the network's last ReLU.

    Args:
        name: a key of `NAMES`.
        num_classes, input_shape, width, stem_stride: see `models.get`.
    """
    depth, widening = (int(number) for number in name.split("_")[1:])
    per_stage = (depth - 4) // 6
    inputs, x = blocks.images(input_shape, smallest=4 * stem_stride, name=name)
    x = blocks.conv(x, blocks.scaled(16, width), 3, stride=stem_stride, name="stem_conv")
    norm_name = "stem"
    for stage, channels in enumerate((16, 32, 64), start=1):
        filters = blocks.scaled(channels * widening, width)
        for block in range(1, per_stage + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            x = _block(x, filters, stride, norm_name=norm_name, prefix=f"stage{stage}_block{block}")
            norm_name = f"stage{stage}_block{block}"
        # The batch norm and ReLU at the head of the next stage act on all it reads: they end this.
        norm_name = f"stage{stage}"
    x = blocks.bn_relu(x, name=norm_name)
    x = blocks.logits(blocks.pooled(x), num_classes)
    return keras.Model(inputs, x, name=name)


def _block(
    x: keras.KerasTensor, filters: int, stride: int, *, norm_name: str, prefix: str
) -> keras.KerasTensor:
    """A batch norm and ReLU, two 3x3 convolutions, and a shortcut, 1x1 where the shape changes.

    The tap after the first ReLU is called `norm_name`; the names of the rest start with `prefix`.
    """
    y = features = blocks.bn_relu(x, name=norm_name)
    y = blocks.conv_bn_relu(y, filters, 3, stride=stride, name=f"{prefix}_1")
    y = blocks.conv(y, filters, 3, name=f"{prefix}_2_conv")
    if stride != 1 or x.shape[-1] != filters:
        x = blocks.conv(features, filters, 1, stride=stride, name=f"{prefix}_shortcut_conv")
    return keras.layers.Add(name=f"{prefix}_sum")([x, y])
