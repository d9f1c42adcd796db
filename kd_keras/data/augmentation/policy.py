"""A policy: the steps that every image passes, and how images are mixed after them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kd_keras import check
from kd_keras.data.augmentation import grammar
from kd_keras.data.augmentation.geometry import Crop, Flip, ResizedCrop
from kd_keras.data.augmentation.step import Step
from kd_keras.data.presets import PRESETS

VERSION = 1  # of the pixels: a policy of another version makes other views


@dataclass(frozen=True)
class Policy:
    """What training does to an image.

    Attributes:
        steps: in their order, each at most once.
        mixup: alpha of mixup, see `mixing`; 0 is none.
        cutmix: alpha of CutMix; 0 is none.

    Raises:
        ValueError: a step twice, an alpha below 0, or a `Crop` without a padding.
    """

    steps: tuple[Step, ...] = ()
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        steps = grammar.unique(step for step in self.steps if step != Crop(0))
        if Crop(None) in steps:
            raise ValueError("crop has no padding; expected pixels. Give crop:padding=4.")
        object.__setattr__(self, "steps", steps)
        for name in ("mixup", "cutmix"):
            check.number(name, getattr(self, name), at_least=0)

    @property
    def mixes(self) -> bool:
        """Whether an image is mixed with another one, and its label with that one's."""
        return bool(self.mixup or self.cutmix)

    @property
    def flip(self) -> bool:
        """Whether images are mirrored."""
        return Flip() in self.steps

    @property
    def resizes(self) -> bool:
        """Whether the step `resized_crop` gives images their size."""
        return any(isinstance(step, ResizedCrop) for step in self.steps)

    @property
    def crop_padding(self) -> int:
        """Pixels by which images move at most; 0 without the step `crop`."""
        return max((step.padding or 0 for step in self.steps if isinstance(step, Crop)), default=0)

    @property
    def moves(self) -> tuple[Crop | None, Flip | None, tuple[Step, ...]]:
        """A crop and a flip that come first, which copying does, and the steps after them."""
        other_steps = list(self.steps)
        crop = other_steps.pop(0) if other_steps and isinstance(other_steps[0], Crop) else None
        flip = other_steps.pop(0) if other_steps and isinstance(other_steps[0], Flip) else None
        return crop, flip, tuple(other_steps)  # type: ignore[return-value]

    @property
    def is_light(self) -> bool:
        """Whether there is nothing but a crop, then a flip."""
        return not self.moves[2] and not self.mixes

    def describe(self) -> str:
        """The policy in words, such as "crops padded by 4 pixels, mirrored at random"."""
        crop, flip, other_steps = self.moves
        words = [step.describe() for step in self.steps]
        if not other_steps:
            flips = "mirrored at random" if flip else "not mirrored"
            words = [(crop or Crop(0)).describe(), flips]
        words += [f"mixup with alpha {self.mixup:g}"] if self.mixup else []
        words += [f"CutMix with alpha {self.cutmix:g}"] if self.cutmix else []
        return ", ".join(words)

    def options(self) -> str:
        """The options of `kdk` that give this policy."""
        text = grammar.to_text(self.steps) or "none"
        mixing = {name: getattr(self, name) for name in ("mixup", "cutmix")}
        return " ".join([f"--augment {text}", *(f"--{k} {v:g}" for k, v in mixing.items() if v)])

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` takes; equal ones belong to equal pixels.

        A crop and a flip alone are {"crop_padding": int, "flip": bool}, which is the form of
        stores. Other policies have "version", "mixup", "cutmix", and "steps": a list of each
        step's "step" (its name) and all its parameters, ranges as [low, high].
        """
        if self.is_light:
            return {"crop_padding": self.crop_padding, "flip": self.flip}
        steps = [
            {"step": step.NAME}
            | {k: list(v) if isinstance(v, tuple) else v for k, v in step.parameters().items()}
            for step in self.steps
        ]
        mixing = {"mixup": float(self.mixup), "cutmix": float(self.cutmix)}
        return {"version": VERSION, "steps": steps, **mixing}


def light(crop_padding: int, flip: bool) -> Policy:
    """Images move by up to `crop_padding` pixels and may be mirrored."""
    return Policy((Crop(crop_padding), *([Flip()] if flip else [])))


def policy_of(
    text: str, *, crop_padding: int, flip: bool, mixup: float = 0.0, cutmix: float = 0.0
) -> Policy:
    """The policy that a text names or spells out, see `grammar`.

    Args:
        text: one of `PRESETS`, or steps.
        crop_padding: pixels, of a `crop` without a padding of its own.
        flip: whether the policies of `PRESETS` mirror images; steps that are spelled out do what
            they say.
        mixup, cutmix: alphas; 0 is none.

    Raises:
        ValueError: a text that is neither, or a value out of range.
    """
    steps = grammar.parse(PRESETS.get(text, text)) if text != "none" else ()
    if text in PRESETS and not flip:
        steps = tuple(step for step in steps if step != Flip())
    steps = tuple(Crop(crop_padding) if step == Crop(None) else step for step in steps)
    return Policy(steps, mixup=mixup, cutmix=cutmix)


def from_json(values: Mapping[str, Any]) -> Policy:
    """The policy that `to_json` or `views.view_settings` wrote.

    Raises:
        ValueError: values of another form, or of a later version.
    """
    try:
        if set(values) == {"crop_padding", "flip"}:
            return light(values["crop_padding"], bool(values["flip"]))
        if values["version"] == VERSION and set(values) <= {*_FIELDS, _LABELLED}:
            steps = tuple(
                grammar.make(step["step"], {k: v for k, v in step.items() if k != "step"})
                for step in values["steps"]
            )
            return Policy(steps, mixup=values["mixup"], cutmix=values["cutmix"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(_unknown_format_message(values)) from error
    raise ValueError(_unknown_format_message(values))


def short_name(values: Mapping[str, Any]) -> str:
    """A few letters for names of folders, of what `from_json` takes: "pad8-flip", or a hash."""
    policy = from_json(values)
    if policy.is_light:
        return "-".join([f"pad{policy.crop_padding}", *(["flip"] if policy.flip else [])])
    text = json.dumps(values, sort_keys=True)
    return f"augment{hashlib.sha256(text.encode()).hexdigest()[:8]}"


_FIELDS = ("version", "steps", "mixup", "cutmix")
_LABELLED = "labelled"  # which images are mixed with which, see `views.view_settings`


def _unknown_format_message(values: Any) -> str:
    return (
        f"an augmentation is {values!r}; expected crop_padding and flip, or {', '.join(_FIELDS)} "
        f"with version {VERSION}. Make the file that holds it again with this version of kd_keras."
    )
