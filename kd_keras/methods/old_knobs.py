"""Names that knobs had in an earlier version, whose recipes and `.keras` files hold them."""

from collections.abc import Mapping

#: By method: the present name of a knob by its old one.
OLD_KNOBS: Mapping[str, Mapping[str, str]] = {
    "gkl": {"cross_entropy_weight": "soft_target_weight"},
    "wkd": {"class_distances": "class_distances_file"},
}
