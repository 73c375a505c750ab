"""The words of old put back, as far as they say what is stored now.

What was said in one place may have come back in another. Whoever edits it there edits what was
said: moved words get the edit in their old place, and words that would say what is no longer
stored are left out.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice, product
from typing import Any

from dgdr_api.conversion.kept import ABSENT, alike, by_name, restored, same, without
from dgdr_api.conversion.moves import at, moved, moves, part_of

Json = Mapping[str, Any]
Path = tuple[str, ...]
Wrong = Callable[[Any], set[Path]]

# Each is tried by a conversion of the whole part.
_MOST_TRIED = 60


def merged(said: Any, read: Any, live: Json, wrong: Wrong) -> Any:
    """Return the live value in the words that were said, where they mean the same.

    Args:
        said: the words of old, as far as they did not come back.
        read: what came back in place of them.
        live: what the conversion gives now.
        wrong: the places where a value means neither what is stored nor what ``live`` means.
    """
    found = restored(said, read, live)
    if _is_as_read(said, read, live) and not wrong(found):
        return found
    known = [one for one in moves(said, read) if at(live, one.said) is ABSENT]
    there = moved(read, said, known), moved(live, said, known)
    found = restored(said, *there)
    left = wrong(found)
    if left and known:
        there = read, live
        found = restored(said, read, live)
        left = wrong(found)
    return _without_wrong_words(said, *there, found, left, wrong) if left else found


def _is_as_read(said: Any, read: Any, live: Any) -> bool:
    """Whether nobody has edited what the note is about."""
    pair = None if said is ABSENT or read is ABSENT else alike(said, read)
    if pair is None:
        return same(read, live)
    now = live if isinstance(live, Mapping) else by_name(live) or {}
    for key in dict.fromkeys((*pair[0], *pair[1])):
        sides = pair[0].get(key, ABSENT), pair[1].get(key, ABSENT)
        if not same(*sides) and not _is_as_read(*sides, now.get(key, ABSENT)):
            return False
    return True


def _without_wrong_words(
    said: Any, read: Any, live: Any, found: Any, left: set[Path], wrong: Wrong
) -> Any:
    """Return the live value with the words less those by which it means something else."""
    for places in islice(_suspects(said, read, left), _MOST_TRIED):
        fewer = said, read
        for place in places:
            fewer = without(fewer[0], place), without(fewer[1], place)
        candidate = restored(*fewer, live)
        still = wrong(candidate)
        if still < left:
            said, read, found, left = *fewer, candidate, still
        if not left:
            break
    return found


def apart(one: Any, stored: Any, live: Any, path: Path = ()) -> Iterator[Path]:
    """Return where a value is neither what is stored nor what the live value means."""
    if same(one, stored) or same(one, live):
        return
    sides = [_inside(side, one, stored, live) for side in (one, stored, live)]
    if any(side is None for side in sides):
        yield path
        return
    mine, wanted, meant = (side or {} for side in sides)
    for key in dict.fromkeys((*mine, *wanted, *meant)):
        parts = [side.get(key, ABSENT) for side in (mine, wanted, meant)]
        yield from apart(parts[0], parts[1], parts[2], (*path, key))


def _inside(side: Any, *all_sides: Any) -> Json | None:
    if side is not ABSENT:
        pair = alike(side, side)
        return pair[0] if pair else None
    return {} if any(isinstance(one, Mapping | list) for one in all_sides) else None


def _suspects(said: Any, read: Any, left: set[Path]) -> Iterator[tuple[Path, ...]]:
    """Return what could be left as it is: words, what came back, and one of each together."""
    parts = {part_of(path) for path in left}
    places = [one for one in _places(said, read, ()) if part_of(one) in parts]
    words = [one for one in places if at(said, one) is not ABSENT]
    others = [one for one in places if at(said, one) is ABSENT]
    return chain(((one,) for one in (*words, *others)), product(words, others))


def _places(said: Any, read: Any, path: Path) -> Iterator[Path]:
    """Return each place of a note; what is inside an object that stands alone comes before it."""
    alone = said is ABSENT or read is ABSENT
    one, other = ({} if side is ABSENT else side for side in (said, read))
    pair = alike(one, other)
    ours, theirs = pair or ({}, {})
    for key in dict.fromkeys((*ours, *theirs)):
        sides = ours.get(key, ABSENT), theirs.get(key, ABSENT)
        if not same(*sides):
            yield from _places(*sides, (*path, key))
    if alone or pair is None:
        yield path
