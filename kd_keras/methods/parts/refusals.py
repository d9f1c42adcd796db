"""Refuses methods that cannot be given what a training has: a cache, mixed images, many labels."""

from collections.abc import Sequence

from kd_keras import methods as all_methods
from kd_keras.methods.base import Method


def require_no_model(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method reads the teacher's weights, which cached outputs lack."""
    names = [method.name for method in methods if method.needs_teacher_model]
    if names:
        raise ValueError(
            f"methods {names} read the teacher's weights, and the teacher is a cache of outputs; "
            "expected a model. Give one (--teacher FILE.keras), or choose other methods."
        )


def require_mixable(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method cannot be given mixed images (mixup, CutMix)."""
    names = [method.name for method in methods if method.needs_one_class]
    if names:
        raise ValueError(
            f"the images are mixed (mixup or cutmix), and methods {names} need integer labels, one "
            "class for each image; expected methods that take labels of two classes, such as kd. "
            "Choose other methods, or set mixup and cutmix to 0."
        )
    names = [method.name for method in methods if method.views_per_image > 1]
    if names:
        raise ValueError(
            f"the images are mixed (mixup or cutmix), and methods {names} compare two views of "
            "each image, which would have different labels; expected methods of one view, such as "
            "kd. Choose other methods, or set mixup and cutmix to 0."
        )


def require_multi_label(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method cannot be given examples of several classes."""
    names = [method.name for method in methods if not method.takes_multi_label]
    if names:
        able = ", ".join(filter(all_methods.takes_multi_label, all_methods.names()))
        raise ValueError(
            f"an image may have several classes (labels is 'multi'), and methods {names} compare "
            f"softmaxes or classes of one image; expected methods for several classes: {able}. "
            "Choose among these, or none."
        )
