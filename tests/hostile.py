"""What is wrong with the input of the hostile tests, as hypothesis strategies; how many examples they take.

The examples are the same in every run of the same tests: a failure comes back, and is shrunk before it is
shown. (With other tests hypothesis has seen other constants, and tries those.) DNN_HOSTILE multiplies their
number.
"""

from __future__ import annotations

import copy
import json
import os
import struct
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("DNN_HOSTILE", "1"))
SENTENCE = 700  # characters


def examples(n: int) -> settings:
    """n generated inputs for a test."""
    return settings(
        max_examples=n * TIMES,
        derandomize=True,
        deadline=None,
        print_blob=True,
        database=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,  # folders and models that serve all examples
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )


def assert_sentence(error: BaseException) -> None:
    """A refusal is one line of a readable length."""
    text = str(error)
    assert text
    assert "\n" not in text, text
    assert len(text) < SENTENCE, text


# --------------------------------------------------------------------------- bytes

LENGTHS = (0, 1, 2**20, 2**31, 2**40, 2**63, 2**64 - 1)


def _put(content: bytes, at: int, piece: bytes) -> bytes:
    return content[:at] + piece + content[at + len(piece) :]


def _flip(content: bytes, bits: list[int]) -> bytes:
    data = bytearray(content)
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def broken_bytes(content: bytes) -> st.SearchStrategy[bytes]:
    """A file's content with something wrong: cut, flipped, overwritten, with more in it, with a huge length
    in front, or another file altogether. Never the content itself.
    """
    place = st.integers(0, len(content) - 1)
    run = st.binary(min_size=1, max_size=16)
    return st.one_of(
        place.map(lambda at: content[:at]),
        st.lists(st.integers(0, 8 * len(content) - 1), min_size=1, max_size=4, unique=True).map(
            lambda bits: _flip(content, bits)
        ),
        st.builds(lambda at, piece: _put(content, at, piece), place, run),
        st.builds(lambda at, piece: content[:at] + piece + content[at:], place, run),
        st.binary(min_size=1, max_size=64).map(lambda more: content + more),
        st.sampled_from(LENGTHS).map(lambda n: struct.pack("<Q", n) + content[8:]),
        st.sampled_from(LENGTHS).map(lambda n: struct.pack(">Q", n) + content[8:]),
        st.binary(max_size=200),
    ).filter(lambda data: data != content)


# --------------------------------------------------------------------------- JSON

WORDS = (
    "",
    "x",
    "../../outside",
    "/etc/passwd",
    "x" * 1000,
    "a\nb",
    "\x00",
    "\ud800",
    "10",
    "nan",
    "__class__",
)
NUMBERS = (-1, 0, 1, 2, 2**31, 2**40, 2**62, 2**63, 2**70, 10**400, 0.5, -0.0, 1e308,
           float("nan"), float("inf"), float("-inf"))  # fmt: skip


# What a reader is most likely to trip over; drawn half of the time.
TRIPS = (10**400, float("inf"), float("nan"), -1, 0, 0.5, 2**40, 2**62, None, True, "x", "5", [], {}, [None],
         '{"\ud800": 1}')  # fmt: skip


def json_values() -> st.SearchStrategy[Any]:
    """Whatever JSON can say, with a liking for what somebody would try."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from(NUMBERS),
        st.integers(-(2**65), 2**65),
        st.floats(),
        st.sampled_from(WORDS),
        st.text(max_size=8),
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=3)
        ),
        max_leaves=5,
    )


@st.composite
def altered(draw: Callable[..., Any], tree: Any) -> Any:
    """A JSON tree in which one to three values, at any depth, are another, gone, or under another name."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        place, last = None, None
        inner = tree
        while isinstance(inner, (dict, list)) and inner and (place is None or draw(st.booleans())):
            place, last = (
                inner,
                draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner)))),
            )
            inner = place[last]
        if place is None:
            break
        how = draw(st.sampled_from(["another", "another", "another", "gone", "renamed"]))
        if how == "another":
            # A copy: it may be what is altered next.
            place[last] = copy.deepcopy(draw(st.sampled_from(TRIPS) | json_values()))
        else:
            value = place.pop(last)
            if how == "renamed" and isinstance(place, dict):
                place[draw(st.sampled_from(WORDS))] = value
    return tree


def broken_json(tree: Any) -> st.SearchStrategy[bytes]:
    """A JSON text that is broken, of another kind, or says something else; also ones nested too deep."""
    text = json.dumps(tree).encode()
    return st.one_of(
        broken_bytes(text),
        altered(tree).map(lambda value: json.dumps(value).encode()),
        json_values().map(lambda value: json.dumps(value).encode()),
        st.sampled_from([1, 100, 100_000]).flatmap(lambda n: st.sampled_from([b"[" * n, b'{"a":' * n])),
        st.sampled_from([b"", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"NaN", b"9" * 5000, b"{}", b"[]", b"null"]),
    )


# --------------------------------------------------------------------------- values of Python


def odd_values() -> st.SearchStrategy[Any]:
    """Arguments of any type, the fitting ones among them."""
    return st.one_of(
        json_values(),
        st.sampled_from(TRIPS),
        st.sampled_from([(), b"1", object(), object, print, 3 + 4j, {1, 2}, range(3)]),
        st.integers(1, 5),
        st.floats(0.0, 1.0),
    )
