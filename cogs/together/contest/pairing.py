"""Choose the pair that a person compares next: the least shown entries, and of these the nearest in strength."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

from db.together.contests import Entry

CANDIDATES = 24  # entries among which a pair is chosen, so that many entries take no time


def next_pair(
    voter_id: int, entries: Sequence[Entry], answered: Collection[tuple[int, int]], strengths: Mapping[int, float]
) -> tuple[Entry, Entry] | None:
    """Return two entries of other people, left and right; None if the person has compared all of them."""
    others = [each for each in entries if each.person_id != voter_id]
    others.sort(key=lambda each: (each.shown, _lot(voter_id, each.id)))
    most = CANDIDATES
    while True:
        pairs = [pair for pair in combinations(others[:most], 2) if _key(pair) not in answered]
        if pairs or most >= len(others):
            break
        most *= 2
    if not pairs:
        return None
    # Of equal pairs the first one is taken: the order differs from voter to voter.
    left, right = min(pairs, key=lambda pair: _preference(pair, strengths))
    return (right, left) if _lot(voter_id, left.id, right.id)[0] % 2 else (left, right)


def _key(pair: tuple[Entry, Entry]) -> tuple[int, int]:
    first, second = sorted((pair[0].id, pair[1].id))
    return first, second


def _preference(pair: tuple[Entry, Entry], strengths: Mapping[int, float]) -> tuple[int, int, float]:
    first, second = pair
    distance = abs(strengths.get(first.id, 0.0) - strengths.get(second.id, 0.0))
    return first.shown + second.shown, max(first.shown, second.shown), round(distance, 3)


def _lot(*numbers: int) -> bytes:
    """Return bytes by which things are ordered at random, but always alike."""
    text = "\0".join(map(str, numbers))
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
