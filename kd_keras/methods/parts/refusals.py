"""Refuses methods that cannot be given what a training has: a cache, mixed images, many labels."""

from collections.abc import Sequence

from kd_keras.methods import names, takes_multi_label
from kd_keras.methods.base import Method


def require_no_model(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method reads the teacher's weights, which cached outputs lack."""
    unfit = [method.name for method in methods if method.needs_teacher_model]
    if unfit:
        raise ValueError(
            f"methods {unfit} read the teacher's weights, and the teacher is a cache of outputs; "
            "expected a model. Give one (--teacher FILE.keras), or choose other methods."
        )


def require_mixable(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method cannot be given mixed images (mixup, CutMix)."""
    unfit = [method.name for method in methods if method.needs_one_class]
    if unfit:
        raise ValueError(
            f"the images are mixed (mixup or cutmix), and methods {unfit} need integer labels, one "
            "class for each image; expected methods that take labels of two classes, such as kd. "
            "Choose other methods, or set mixup and cutmix to 0."
        )
    unfit = [method.name for method in methods if method.views_per_image > 1]
    if unfit:
        raise ValueError(
            f"the images are mixed (mixup or cutmix), and methods {unfit} compare two views of "
            "each image, which would have different labels; expected methods of one view, such as "
            "kd. Choose other methods, or set mixup and cutmix to 0."
        )


def require_multi_label(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method cannot be given examples of several classes."""
    unfit = [method.name for method in methods if not method.takes_multi_label]
    if unfit:
        able = ", ".join(filter(takes_multi_label, names()))
        raise ValueError(
            f"an image may have several classes (labels is 'multi'), and methods {unfit} compare "
            f"softmaxes or classes of one image; expected methods for several classes: {able}. "
            "Choose among these, or none."
        )
