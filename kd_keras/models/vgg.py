"""VGG8 and VGG13 with batch norm and one dense layer, as the distillation literature has them.

**Source:** Simonyan, Zisserman 2014, arXiv:1409.1556; the CIFAR form of Tian, Krishnan, Isola 2019,
arXiv:1910.10699: five stages, of which four are followed by a 2x2 max-pooling, the fourth only
where images are 64 or larger.
"""

import keras

from kd_keras.models import blocks

NAMES = {
    "vgg8": "VGG8 with batch norm, 64-128-256-512-512 channels",
    "vgg13": "VGG13 with batch norm, 64-128-256-512-512 channels",
}
_CONVOLUTIONS = {"vgg8": 1, "vgg13": 2}  # a stage


def build(
    name: str, *, num_classes: int, input_shape: tuple[int, ...], width: float, stem_stride: int
) -> keras.Model:
    """Five stages of one (VGG8) or two (VGG13) 3x3 convolutions with bias, batch norm and ReLU.

    Args:
        name: a key of `NAMES`.
        num_classes, input_shape, width, stem_stride: see `models.get`.
    """
    inputs, x = blocks.images(input_shape, smallest=8 * stem_stride, name=name)
    stride = stem_stride
    for stage, channels in enumerate((64, 128, 256, 512, 512), start=1):
        filters = blocks.scaled(channels, width)
        for convolution in range(1, _CONVOLUTIONS[name]):
            prefix = f"stage{stage}_block{convolution}"
            x = blocks.conv_bn_relu(x, filters, 3, stride=stride, bias=True, name=prefix)
            stride = 1
        x = blocks.conv_bn_relu(x, filters, 3, stride=stride, bias=True, name=f"stage{stage}")
        stride = 1
        if stage <= 3 or (stage == 4 and min(input_shape[:2]) >= 64 * stem_stride):
            x = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    x = blocks.logits(blocks.pooled(x), num_classes)
    return keras.Model(inputs, x, name=name)
