"""ResNet18 and ResNet34 for small images: a 3x3 stem that keeps the size, no pooling after it.

**Source:** He, Zhang, Ren, Sun 2015, arXiv:1512.03385, table 1, with the stem that CIFAR work gave
them.
"""

import keras

from kd_keras.models import resnet_cifar

NAMES = {
    "resnet18": "ResNet18 with a 3x3 stem for small images, 64-128-256-512 channels",
    "resnet34": "ResNet34 with a 3x3 stem for small images, 64-128-256-512 channels",
}
_DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}


def build(
    name: str, *, num_classes: int, input_shape: tuple[int, ...], width: float, stem_stride: int
) -> keras.Model:
    """Stem of 64 channels, then four stages of basic blocks, all but the first at half size.

    Args:
        name: a key of `NAMES`.
        num_classes, input_shape, width, stem_stride: see `models.get`.
    """
    return resnet_cifar.residual_network(
        name,
        64,
        list(zip((64, 128, 256, 512), _DEPTHS[name], strict=True)),
        num_classes=num_classes,
        input_shape=input_shape,
        width=width,
        stem_stride=stem_stride,
    )
