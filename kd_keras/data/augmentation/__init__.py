"""Augmentation: a policy of steps, each a pure function of (view seed, view, id).

`policy_of` makes a policy from a text, and `light` that of crops and flips alone. `augment` gives
views of images, and `views.Views` those of a split, mixed where the policy mixes.
"""

from kd_keras.data.augmentation.pixels import augment
from kd_keras.data.augmentation.policy import Policy, from_json, light, policy_of, short_name

__all__ = ["Policy", "augment", "from_json", "light", "policy_of", "short_name"]
