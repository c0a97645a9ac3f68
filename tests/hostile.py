"""Property-based tests with hostile input: odd values, and functions that run a case and judge its end.

``attempt`` calls a function, ``attempt_command`` a script. Either it works, or it rejects its input with one
sentence. Any other exception, a traceback or a call that takes too long fails the test.

Most cases come from hypothesis and are the same in every run of the same tests, so a failure is reproducible;
it is shrunk before it is shown. (With a different selection of tests hypothesis collects other constants and
tries those.) DNN_HOSTILE multiplies the number of cases.
"""

import copy
import json
import os
import signal
from typing import NamedTuple

from command_lines import assert_said, run_here
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends import InputError

EXAMPLE_FACTOR = int(os.environ.get("DNN_HOSTILE", "1"))
MAX_SENTENCE_LENGTH = 700
MAX_CALL_SECONDS = 60

# --------------------------------------------------------------------------- running and judging


def examples(n):
    """Return settings for n generated inputs to a test."""
    return settings(
        max_examples=n * EXAMPLE_FACTOR,
        derandomize=True,
        deadline=None,
        print_blob=True,
        database=None,
        suppress_health_check=[*HealthCheck],  # folders and models serve all examples
    )


def for_each(n, *strategies):
    """Return a decorator that calls a function at once with n cases of these strategies."""
    return lambda check: examples(n)(given(*strategies)(check))()


class Refusal(NamedTuple):
    """The result of a call that rejected its input."""

    error: Exception


def assert_sentence(error):
    """Check that an error message is one line of readable length."""
    text = str(error)
    assert text
    assert "\n" not in text, text
    assert len(text) < MAX_SENTENCE_LENGTH, text


def attempt(
    call,
    *arguments,
    refusals=(InputError,),
    **named,
):
    """Return the result of a call, or a Refusal if it raised one of ``refusals`` with one sentence."""

    def stop(*_):
        raise TimeoutError(f"a call took more than {MAX_CALL_SECONDS} s")

    handler = signal.signal(signal.SIGALRM, stop)
    signal.alarm(MAX_CALL_SECONDS)
    try:
        return call(*arguments, **named)
    except refusals as error:
        assert_sentence(error)
        return Refusal(error)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)


def attempt_command(script, arguments):
    """Return the exit code of a script run in this process: 0, or 2 with one sentence on stderr."""
    done = attempt(run_here, script, *arguments, refusals=())
    assert_said(done.returncode, done.stderr, arguments)
    return int(done.returncode)


# --------------------------------------------------------------------------- bytes

LENGTHS = st.sampled_from([0, 1, 2**20, 2**31, 2**40, 2**63, 2**64 - 1])


def _flip(content, bits):
    data = bytearray(content)
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def broken_bytes(content):
    """Return a strategy for damaged versions of a file's content, never the content itself.

    They are cut, flipped, overwritten, extended, start with a huge length, or are other bytes.
    """
    place = st.integers(0, len(content) - 1)
    run = st.binary(min_size=1, max_size=16)
    return st.one_of(
        place.map(lambda at: content[:at]),
        st.lists(st.integers(0, 8 * len(content) - 1), min_size=1, max_size=4, unique=True).map(
            lambda bits: _flip(content, bits)
        ),
        st.builds(lambda at, piece: content[:at] + piece + content[at + len(piece) :], place, run),
        st.builds(lambda at, piece: content[:at] + piece + content[at:], place, run),
        st.binary(min_size=1, max_size=64).map(lambda more: content + more),
        st.builds(
            lambda n, order: n.to_bytes(8, order) + content[8:], LENGTHS, st.sampled_from(["little", "big"])
        ),
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


# Values that most likely break a reader.
TRIP_VALUES = (10**400, float("inf"), float("nan"), -1, 0, 0.5, 2**40, 2**62, None, True, "x", "5", [], {},
               [None], '{"\ud800": 1}')  # fmt: skip


def json_values():
    """Return a strategy for JSON values, with many that are likely to cause trouble."""
    words = st.sampled_from(WORDS) | st.text(max_size=8)
    numbers = st.sampled_from(NUMBERS) | st.integers(-(2**65), 2**65) | st.floats()
    return st.recursive(
        st.none() | st.booleans() | numbers | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=5,
    )


@st.composite
def alter_json(draw, tree):
    """Draw a JSON tree with one to three values replaced, removed or renamed, at any depth."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        places = []
        inner = tree
        while isinstance(inner, (dict, list)) and inner and (not places or draw(st.booleans())):
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            places.append((inner, draw(st.sampled_from(keys))))
            inner = inner[places[-1][1]]
        if not places:
            break
        place, last = places[-1]
        how = draw(st.sampled_from(["another", "another", "another", "removed", "renamed"]))
        if how == "another":
            # A copy, because the next alteration may change it.
            place[last] = copy.deepcopy(draw(st.sampled_from(TRIP_VALUES) | json_values()))
            continue
        value = place.pop(last)
        if how == "renamed" and isinstance(place, dict):
            place[draw(st.sampled_from(WORDS))] = value
    return tree


def broken_json(tree):
    """Return a strategy for JSON texts that are broken, of another type, altered, or nested too deeply."""
    text = json.dumps(tree).encode()
    return st.one_of(
        broken_bytes(text),
        alter_json(tree).map(lambda value: json.dumps(value).encode()),
        json_values().map(lambda value: json.dumps(value).encode()),
        st.sampled_from([1, 100, 100_000]).flatmap(lambda n: st.sampled_from([b"[" * n, b'{"a":' * n])),
        st.sampled_from([b"", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"NaN", b"9" * 5000, b"{}", b"[]", b"null"]),
    )
