"""The small pieces of the zoo's networks: stock Keras layers with the literature's details.

Names follow one rule: a piece called `name` ends in a layer `name`; before its ReLU stands
`name_preact`, and its convolution is `name_conv`. So calling a stage's last piece `stage1` makes
the taps `stage1` and `stage1_preact`.
"""

import keras

from kd_keras import check
from kd_keras.models import preprocessing


def images(
    input_shape: tuple[int, ...], *, smallest: int, name: str
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The Input "images" of pixels 0..255, and the same in -1..1.

    Args:
        input_shape: (H, W, C) with C 1 or 3.
        smallest: the least height and width at which the last stage still has a pixel.
        name: the architecture, for the message.

    Raises:
        ValueError: for a shape that is not an image's, or too small an image.
    """
    shape = tuple(input_shape)
    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise ValueError(
            f"input_shape is {input_shape!r}; expected (height, width, channels), channels 1 or 3."
        )
    for side, size in zip(("height", "width"), shape, strict=False):
        check.whole_number(
            f"{side} of the images",
            size,
            at_least=smallest,
            remedy=f"{name} has no pixels left below that: take larger images (--image-size), "
            "a smaller stem_stride or another model.",
        )
    inputs = keras.Input(shape, name="images")
    return inputs, preprocessing.encode(inputs, "-1..1")


def scaled(channels: int, width: float, *, multiple: int = 1) -> int:
    """`channels` times `width`, rounded to a multiple of `multiple` and at least that."""
    return max(multiple, multiple * round(channels * width / multiple))


def pad(x: keras.KerasTensor, kernel: int, stride: int) -> tuple[keras.KerasTensor, str]:
    """Pads all sides alike before a strided convolution, as the literature's code does.

    Keras's "same" pads only the right and bottom at stride 2. At stride 1 both agree, and "same"
    is faster.

    Args:
        x: (B, H, W, C).
        kernel: side of the convolution that follows.
        stride: its stride.

    Returns:
        The tensor and the padding to give to the convolution that follows.
    """
    if stride == 1 or kernel == 1:
        return x, "same" if stride == 1 else "valid"
    return keras.layers.ZeroPadding2D(kernel // 2)(x), "valid"


def conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    *,
    stride: int = 1,
    bias: bool = False,
    name: str,
) -> keras.KerasTensor:
    """A square convolution, (B, H, W, C) to (B, ceil(H / stride), ceil(W / stride), filters).

    Args:
        x: (B, H, W, C).
        filters: number of output channels.
        kernel: side of the kernel.
        stride: step in both directions.
        bias: whether the convolution has a bias.
        name: name of the layer.
    """
    x, padding = pad(x, kernel, stride)
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=padding,
        use_bias=bias,
        kernel_initializer=_he_fan_out(),
        name=name,
    )(x)


def depthwise_bn(x: keras.KerasTensor, *, stride: int = 1, name: str) -> keras.KerasTensor:
    """A 3x3 convolution of each channel by itself, then batch norm.

    Args:
        x: (B, H, W, C).
        stride: step in both directions.
        name: name of the batch norm; the convolution is `name`_conv.
    """
    x, padding = pad(x, 3, stride)
    x = keras.layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding=padding,
        use_bias=False,
        depthwise_initializer=_he_fan_out(),
        name=f"{name}_conv",
    )(x)
    return batch_norm(x, name=name)


def batch_norm(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """Batch norm with the literature's constants (PyTorch's momentum 0.1 is 0.9 here)."""
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def relu(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    return keras.layers.ReLU(name=name)(x)


def bn_relu(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    return relu(batch_norm(x, name=f"{name}_preact"), name=name)


def conv_bn(
    x: keras.KerasTensor, filters: int, kernel: int, *, stride: int = 1, name: str
) -> keras.KerasTensor:
    return batch_norm(conv(x, filters, kernel, stride=stride, name=f"{name}_conv"), name=name)


def conv_bn_relu(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    *,
    stride: int = 1,
    bias: bool = False,
    name: str,
) -> keras.KerasTensor:
    x = conv(x, filters, kernel, stride=stride, bias=bias, name=f"{name}_conv")
    return bn_relu(x, name=name)


def shuffle(x: keras.KerasTensor, groups: int, *, name: str | None = None) -> keras.KerasTensor:
    """Deals out the channels of `groups` groups in turn, so that the next groups see them all.

    Args:
        x: (B, H, W, C).
        groups: number of groups, a divisor of C.
        name: name of the last layer; None for none of its own.
    """
    height, width, channels = x.shape[1:]
    x = keras.layers.Reshape((height, width, groups, channels // groups))(x)
    x = keras.layers.Permute((1, 2, 4, 3))(x)  # (B, H, W, C / groups, groups)
    return keras.layers.Reshape((height, width, channels), name=name)(x)


def pooled(x: keras.KerasTensor) -> keras.KerasTensor:
    """The mean over all places, (B, H, W, C) to (B, C): the tap `pooled`."""
    return keras.layers.GlobalAveragePooling2D(name="pooled")(x)


def logits(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Raw scores, (B, D) to (B, num_classes): the tap `logits`."""
    return keras.layers.Dense(num_classes, name="logits")(x)


def _he_fan_out() -> keras.initializers.Initializer:
    """He's normal initialisation over the outputs, as the literature has it (not truncated)."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
