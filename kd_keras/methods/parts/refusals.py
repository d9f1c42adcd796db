"""Refuses methods that do not fit what a training gives them, such as a cache or mixed images."""

from collections.abc import Sequence

from kd_keras.methods import names, supports_multi_label
from kd_keras.methods.base import Method


def require_no_model(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method reads the teacher's weights, which cached outputs lack."""
    method_names = [method.name for method in methods if method.needs_teacher_model]
    if method_names:
        raise ValueError(
            f"methods {method_names} read the teacher's weights, and the teacher is a cache of "
            "outputs; expected a model. Give one (--teacher FILE.keras), or choose other methods."
        )


def require_mixable(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method cannot be given mixed images (mixup, CutMix)."""
    method_names = [method.name for method in methods if method.needs_one_class]
    if method_names:
        raise ValueError(
            f"the images are mixed (mixup or cutmix), and methods {method_names} need integer "
            "labels, one class for each image; expected methods that take labels of two classes, "
            "such as kd. Choose other methods, or set mixup and cutmix to 0."
        )
    method_names = [method.name for method in methods if method.views_per_image > 1]
    if method_names:
        raise ValueError(
            f"the images are mixed (mixup or cutmix), and methods {method_names} compare two views "
            "of each image, which would have different labels; expected methods of one view, such "
            "as kd. Choose other methods, or set mixup and cutmix to 0."
        )


def require_multi_label(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method cannot be given examples of several classes."""
    method_names = [method.name for method in methods if not method.supports_multi_label]
    if method_names:
        possible_names = ", ".join(filter(supports_multi_label, names()))
        raise ValueError(
            "an image may have several classes (label_mode is 'multi'), and methods "
            f"{method_names} compare softmaxes or classes of one image; expected methods for "
            f"several classes: {possible_names}. Choose among these, or none."
        )


def require_weightable(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method cannot be given sample or class weights."""
    method_names = [method.name for method in methods if method.needs_whole_batch]
    if method_names:
        raise ValueError(
            f"the batches have sample or class weights, and methods {method_names} compare the "
            "examples of a batch with each other, so that an example has no loss of its own to "
            "weight; expected batches without weights. Leave them out, or choose other methods."
        )


def require_no_ids(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method cannot do without the examples' ids."""
    method_names = [method.name for method in methods if method.needs_ids]
    if method_names:
        raise ValueError(
            f"methods {method_names} need the id of each example, and a batch has none; expected "
            "batches ({'inputs': …, 'id': …}, labels). kd_keras.data.pipeline gives them."
        )


def require_parts(methods: Sequence[Method]) -> None:
    """Raises ValueError if a method's loss has no target and nontarget parts."""
    method_names = [m.name for m in methods if type(m).parts_call is Method.parts_call]
    if method_names:
        raise ValueError(
            "the optimizer takes the gradients of a loss's target and nontarget parts, and "
            f"methods {method_names} have no such parts; expected methods that have them, such as "
            "dkd. Choose such methods, or another optimizer."
        )
