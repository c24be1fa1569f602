from __future__ import annotations

import numpy as np
from ferrule.models.prefix_cache import PrefixCache, Snapshot
from hypothesis import given
from hypothesis import strategies as st


def snapshot(text: str, **options) -> Snapshot:
    return Snapshot(tuple(text.encode()), None, np.zeros(1), **options)


def find(cache: PrefixCache, text: str, setting: int | None = None) -> str | None:
    found = cache.find(text.encode(), setting)
    return bytes(found.ids).decode() if found else None


def test_the_longest_beginning_is_found():
    cache = PrefixCache()
    assert find(cache, "abc") is None
    for text in ("ab", "abcd", "abX"):
        cache.add(snapshot(text))
    assert [find(cache, text) for text in ("abcde", "abcd", "abc", "ab", "a", "xab", "abX!")] == [
        *("abcd", "abcd", "ab", "ab", None, None, "abX")
    ]
    cache.clear()
    assert len(cache) == 0


@given(known=st.lists(st.text("ab", min_size=1, max_size=5), max_size=6), text=st.text("ab", max_size=7))
def test_no_other_is_longer(known, text):
    cache = PrefixCache(keep=10)
    for one in known:
        cache.add(snapshot(one))
    fitting = [one for one in known if text.startswith(one)]
    assert find(cache, text) == (max(fitting, key=len) if fitting else None)


def test_the_least_recently_used_goes():
    cache = PrefixCache(keep=2)
    cache.add(snapshot("a"))
    cache.add(snapshot("b"))
    find(cache, "a!")
    cache.add(snapshot("c"))
    assert [find(cache, text) for text in "abc"] == ["a", None, "c"]
    cache.add(snapshot("a"))
    assert len(cache) == 2


def test_announced_beginnings_are_not_pushed_out_by_others():
    cache = PrefixCache(keep=2)
    cache.add(snapshot("tools", is_pinned=True))
    for i in range(9):
        cache.add(snapshot(f"tools and turn {i}"))
    assert len(cache) == 3
    assert find(cache, "tools and another goal") == "tools"
    for i in range(2):
        cache.add(snapshot(f"{i} other tools", is_pinned=True))
    assert find(cache, "tools and another goal") is None
    assert find(cache, "tools and turn 8!") == "tools and turn 8"


def test_once_announced_always_announced():
    cache = PrefixCache(keep=1)
    cache.add(snapshot("tools", is_pinned=True))
    cache.add(snapshot("tools"))
    cache.add(snapshot("other"))
    assert find(cache, "tools") == "tools"


def test_states_that_depend_on_the_pin():
    cache = PrefixCache()
    cache.add(snapshot("abc", setting=2))
    cache.add(snapshot("ab", setting=0))
    assert [find(cache, "abcd", setting) for setting in (2, 0, 1)] == ["abc", "ab", None]
