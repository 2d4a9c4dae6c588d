"""Class balance: rare specialties must not drown among the common ones."""

import random
from collections.abc import Callable, Hashable, Sequence

from mmedagent.cases.case import Case

Key = Callable[[Case], Hashable]


def thin(cases: Sequence[Case], key: Key, most_imbalance: float, seed: int) -> list[Case]:
    """Drop cases at random until no class has more than `most_imbalance` times the rarest's.

    Keeps the order of what is left; depends on `seed` alone.
    """
    classes = _classes(cases, key)
    if not classes:
        return []
    most = max(1, int(min(len(members) for members in classes.values()) * most_imbalance))
    draw = random.Random(seed)
    kept: set[int] = set()
    for members in classes.values():
        kept.update(members if len(members) <= most else draw.sample(members, most))
    return [case for number, case in enumerate(cases) if number in kept]


def pick(cases: Sequence[Case], key: Key, count: int, seed: int) -> list[Case]:
    """Take `count` cases, one of each class in turn, until they or the cases run out."""
    classes = _classes(cases, key)
    draw = random.Random(seed)
    for members in classes.values():
        draw.shuffle(members)
    picked: list[int] = []
    while len(picked) < count and any(classes.values()):
        for members in classes.values():
            if members and len(picked) < count:
                picked.append(members.pop())
    return [cases[number] for number in sorted(picked)]


def _classes(cases: Sequence[Case], key: Key) -> dict[Hashable, list[int]]:
    classes: dict[Hashable, list[int]] = {}
    for number, case in enumerate(cases):
        classes.setdefault(key(case), []).append(number)
    return classes
