"""The first pair of this project: plain convolutions with bias, no batch norm, pooling.

The published student flattens into a dense layer of 512, which makes it larger than its teacher.
This one pools instead.
"""

import keras

from kd_keras.models import blocks

NAMES = {
    "plain_cnn12": "plain CNN, 12 layers: ten convolutions of 8 to 100 channels, dense 512",
    "plain_cnn4": "plain CNN, 4 layers: three convolutions of 16-32-64 channels",
}
# Channels of the convolutions, a row a stage; average-pooling follows each stage.
_STAGES = {
    "plain_cnn12": ((8, 10), (12, 14), (16, 18), (20, 22), (24, 100)),
    "plain_cnn4": ((16,), (32,), (64,)),
}


def build(
    name: str, *, num_classes: int, input_shape: tuple[int, ...], width: float, stem_stride: int
) -> keras.Model:
    """Stages of 3x3 convolutions with ReLU, average-pooling; the teacher has a dense 512.

    Args:
        name: a key of `NAMES`.
        num_classes, input_shape, width, stem_stride: see `models.get`.
    """
    inputs, x = blocks.images(input_shape, smallest=8 * stem_stride, name=name)
    stride = stem_stride
    for stage, channels in enumerate(_STAGES[name], start=1):
        for convolution, filters in enumerate(channels, start=1):
            last = convolution == len(channels)
            ends = f"stage{stage}" if last else f"stage{stage}_block{convolution}"
            x = _conv_relu(x, blocks.scaled(filters, width), stride, name=ends)
            stride = 1
        # "same" keeps the last pixel: 32 x 32 shrinks to 1 x 1 either way, smaller ones stay there.
        x = keras.layers.AveragePooling2D(2, padding="same", name=f"stage{stage}_pool")(x)
    features = _dense_512(x, width) if name == "plain_cnn12" else blocks.pooled(x)
    return keras.Model(inputs, blocks.logits(features, num_classes), name=name)


def _conv_relu(x: keras.KerasTensor, filters: int, stride: int, *, name: str) -> keras.KerasTensor:
    """A 3x3 convolution with bias, ReLU.

    With no batch norm to set the scale, He's initialisation over the inputs keeps the signal's
    size. Over the outputs, as in the other families, it fades and the first epochs learn little.
    """
    x, padding = blocks.pad(x, 3, stride)
    x = keras.layers.Conv2D(
        filters,
        3,
        strides=stride,
        padding=padding,
        kernel_initializer="he_normal",
        name=f"{name}_preact",
    )(x)
    return blocks.relu(x, name=name)


def _dense_512(x: keras.KerasTensor, width: float) -> keras.KerasTensor:
    """The tap `pooled` is the input of the logits: here, the dense layer after the pooling."""
    x = keras.layers.GlobalAveragePooling2D(name="places")(x)
    units = blocks.scaled(512, width)
    x = keras.layers.Dense(units, kernel_initializer="he_normal", name="pooled_preact")(x)
    return blocks.relu(x, name="pooled")
