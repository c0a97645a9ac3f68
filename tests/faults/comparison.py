"""Whether two run folders hold the same: every file, apart from the times that were measured."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dnn.callbacks.training_checkpoint import NAME, read_state
from dnn.commands.run_folder import LOCK, METRICS, RESULT

TIMES = ("seconds", "seconds_in_sums", "ms_per_update", "seconds_to_first_update")
Reader = Callable[[Path], Any]


def _timeless(numbers):
    return {name: value for name, value in numbers.items() if name not in TIMES}


def _lines(path):
    return [_timeless(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _result(path):
    return _timeless(json.loads(path.read_text(encoding="utf-8")))


def _state(path):
    state = read_state(path)
    arrays = {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in state.arrays.items()}
    return state.epoch, state.updates, state.facts, _timeless(state.history), arrays


def contents(run):
    """Name -> what the file says, for each file of a run folder."""
    readers: dict[str, Reader] = {METRICS: _lines, RESULT: _result}
    found = {}
    for path in sorted(run.iterdir()):
        read = _state if NAME.fullmatch(path.name) else readers.get(path.name, Path.read_bytes)
        if path.name != LOCK:
            found[path.name] = read(path)
    return found


def differences(found, expected, other_states=False):
    """What is not as it should be, in words, a line for each file.

    Args:
        other_states: which states are there may differ: those that a full disk refused are missing, and
            older ones are among the last instead.
    """
    free = {name for name in found.keys() | expected.keys() if other_states and NAME.fullmatch(name)}
    missing, more = expected.keys() - found.keys() - free, found.keys() - expected.keys() - free
    other = {name for name in found.keys() & expected.keys() if found[name] != expected[name]}
    kinds = {"is missing": missing, "is one too many": more, "differs": other}
    return [f"{name} {how}" for how, names in kinds.items() for name in sorted(names)]
