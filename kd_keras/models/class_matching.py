"""Finds our classes among a teacher's by their names."""

import collections
import difflib
import re
from collections.abc import Sequence

_SHOWN = 8


def normalised(name: str) -> str:
    """The name without what spellings differ in: case, and blanks, underscores or hyphens."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def class_order(theirs: Sequence[str], ours: Sequence[str], outputs: int) -> list[int]:
    """For each of our classes, its place among the teacher's `outputs`.

    Names are compared as they are, and where that finds none, `normalised`.

    Raises:
        ValueError: the teacher's names are not one for each output, or lack one of ours, or two of
            them are the same class for us.
    """
    doubled = [name for name, count in collections.Counter(theirs).items() if count > 1]
    if len(theirs) != outputs or doubled:
        also = f", {doubled[0]!r} more than once" if doubled else ""
        raise ValueError(
            f"the teacher's classes are {len(theirs)} names{also}; expected {outputs} different "
            "names, one for each of its outputs, in their order. Correct --teacher-classes."
        )
    exact = {name: [place] for place, name in enumerate(theirs)}
    alike: dict[str, list[int]] = collections.defaultdict(list)
    for place, name in enumerate(theirs):
        alike[normalised(name)].append(place)
    places = [exact.get(name) or alike.get(normalised(name), []) for name in ours]
    _require_all(theirs, ours, places)
    order = [place for (place,) in places]
    _require_different(theirs, ours, order)
    return order


def describe(theirs: Sequence[str], ours: Sequence[str]) -> list[str]:
    """Sentences on which of the teacher's classes are ours, under which names, and on the rest."""
    order = class_order(theirs, ours, len(theirs))
    pairs = zip((theirs[place] for place in order), ours, strict=True)
    renamed = [f"{their} = {our}" for their, our in pairs if their != our]
    dropped = [name for place, name in enumerate(theirs) if place not in set(order)]
    lines = []
    if renamed:
        lines.append(f"teacher's classes under other names: {_list(renamed)}")
    if dropped:
        lines.append(
            f"{len(ours):,} of the teacher's {len(theirs):,} classes are ours; its scores of the "
            f"other {len(dropped):,} are dropped ({_list(dropped)}), and the probabilities of a "
            "softmax are renormalised over ours"
        )
    return lines


def _require_all(
    theirs: Sequence[str], ours: Sequence[str], places: Sequence[Sequence[int]]
) -> None:
    missing = [name for name, found in zip(ours, places, strict=True) if not found]
    if missing:
        near = difflib.get_close_matches(missing[0], theirs, n=1)
        hint = f" (nearest: {near[0]!r})" if near else ""
        raise ValueError(
            f"the teacher's classes lack {len(missing)} of our {len(ours)}, such as "
            f"{missing[0]!r}{hint}; expected all of ours. Use the dataset's names in "
            "--teacher-classes, or a teacher that knows them."
        )
    for name, found in zip(ours, places, strict=True):
        if len(found) > 1:
            several = " and ".join(repr(theirs[place]) for place in found)
            raise ValueError(
                f"the teacher's classes {several} are both our {name!r}, without case, blanks and "
                "underscores; expected one. Spell one of them as ours in --teacher-classes."
            )


def _require_different(theirs: Sequence[str], ours: Sequence[str], order: Sequence[int]) -> None:
    for place, count in collections.Counter(order).items():
        if count > 1:
            names = [name for name, of in zip(ours, order, strict=True) if of == place]
            raise ValueError(
                f"our classes {' and '.join(map(repr, names))} are both the teacher's "
                f"{theirs[place]!r}, without case, blanks and underscores; expected one each. Give "
                "each its own name in --teacher-classes."
            )


def _list(names: Sequence[str]) -> str:
    more = f", and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
