"""Finds our classes among a teacher's by their names."""

import collections
import difflib
import re
from collections.abc import Sequence

_MAX_NAMES = 8


def normalised(name: str) -> str:
    """The name without what spellings differ in: case, and blanks, underscores or hyphens."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def class_order(
    teacher_names: Sequence[str], class_names: Sequence[str], outputs: int
) -> list[int]:
    """For each of our classes, its place among the teacher's `outputs`.

    Names are compared as they are, and where that finds none, `normalised`.

    Args:
        teacher_names: name of each of the teacher's outputs, in their order.
        class_names: names of our classes.
        outputs: number of the teacher's outputs.

    Raises:
        ValueError: the teacher's names are not one for each output, or lack one of ours, or two of
            them are the same class for us.
    """
    repeated_names = [
        name for name, times in collections.Counter(teacher_names).items() if times > 1
    ]
    if len(teacher_names) != outputs or repeated_names:
        also = f", {repeated_names[0]!r} more than once" if repeated_names else ""
        raise ValueError(
            f"the teacher's classes are {len(teacher_names)} names{also}; expected {outputs} "
            "different names, one for each of its outputs, in their order. Correct "
            "--teacher-class-names."
        )
    indices_by_name = {name: [index] for index, name in enumerate(teacher_names)}
    alike: dict[str, list[int]] = collections.defaultdict(list)
    for index, name in enumerate(teacher_names):
        alike[normalised(name)].append(index)
    indices = [indices_by_name.get(name) or alike.get(normalised(name), []) for name in class_names]
    _require_all(teacher_names, class_names, indices)
    order = [index for (index,) in indices]
    _require_different(teacher_names, class_names, order)
    return order


def describe(teacher_names: Sequence[str], class_names: Sequence[str]) -> list[str]:
    """Sentences on which of the teacher's classes are ours, under which names, and on the rest.

    Args:
        teacher_names, class_names: as for `class_order`.
    """
    order = class_order(teacher_names, class_names, len(teacher_names))
    pairs = zip((teacher_names[index] for index in order), class_names, strict=True)
    renamed_pairs = [f"{their} = {our}" for their, our in pairs if their != our]
    dropped_names = [name for index, name in enumerate(teacher_names) if index not in set(order)]
    lines = []
    if renamed_pairs:
        lines.append(f"teacher's classes under other names: {_list(renamed_pairs)}")
    if dropped_names:
        lines.append(
            f"{len(class_names):,} of the teacher's {len(teacher_names):,} classes are ours; its "
            f"scores of the other {len(dropped_names):,} are dropped ({_list(dropped_names)}), and "
            "the probabilities of a softmax are renormalised over ours"
        )
    return lines


def _require_all(
    teacher_names: Sequence[str], class_names: Sequence[str], indices: Sequence[Sequence[int]]
) -> None:
    missing_names = [
        name for name, candidates in zip(class_names, indices, strict=True) if not candidates
    ]
    if missing_names:
        close_matches = difflib.get_close_matches(missing_names[0], teacher_names, n=1)
        hint = f" (nearest: {close_matches[0]!r})" if close_matches else ""
        raise ValueError(
            f"the teacher's classes lack {len(missing_names)} of our {len(class_names)}, such as "
            f"{missing_names[0]!r}{hint}; expected all of ours. Use the dataset's names in "
            "--teacher-class-names, or a teacher that knows them."
        )
    for name, candidates in zip(class_names, indices, strict=True):
        if len(candidates) > 1:
            candidate_list = " and ".join(repr(teacher_names[index]) for index in candidates)
            raise ValueError(
                f"the teacher's classes {candidate_list} are both our {name!r}, without case, "
                "blanks and underscores; expected one. Spell one of them as ours in "
                "--teacher-class-names."
            )


def _require_different(
    teacher_names: Sequence[str], class_names: Sequence[str], order: Sequence[int]
) -> None:
    for index, times in collections.Counter(order).items():
        if times > 1:
            pairs = zip(class_names, order, strict=True)
            names = [name for name, teacher_index in pairs if teacher_index == index]
            raise ValueError(
                f"our classes {' and '.join(map(repr, names))} are both the teacher's "
                f"{teacher_names[index]!r}, without case, blanks and underscores; expected one "
                "each. Give each its own name in --teacher-class-names."
            )


def _list(names: Sequence[str]) -> str:
    suffix = f", and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return f"{', '.join(names[:_MAX_NAMES])}{suffix}"
