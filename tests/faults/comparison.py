"""Compare the files of two run folders, ignoring measured times."""

import json
from pathlib import Path

from dnn.callbacks.training_checkpoint import FILE_PATTERN, read_state
from dnn.commands.run_folder import LOCK_FILE, METRICS_FILE, RESULT_FILE

TIME_FIELDS = ("seconds", "ms_per_update", "seconds_to_first_update")


def _drop_times(numbers):
    return {name: value for name, value in numbers.items() if name not in TIME_FIELDS}


def _lines(path):
    return [_drop_times(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _result(path):
    return _drop_times(json.loads(path.read_text(encoding="utf-8")))


def _state(path):
    state = read_state(path)
    arrays = {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in state.arrays.items()}
    history = {name: column.tobytes() for name, column in _drop_times(state.history).items()}
    return state.epoch, state.updates, state.facts, history, arrays


def contents(run):
    """Return name -> content of each file of a run folder."""
    readers = {METRICS_FILE: _lines, RESULT_FILE: _result}
    found = {}
    for path in sorted(run.iterdir()):
        read = _state if FILE_PATTERN.fullmatch(path.name) else readers.get(path.name, Path.read_bytes)
        if path.name != LOCK_FILE:
            found[path.name] = read(path)
    return found


def differences(found, expected, other_states=False):
    """Return the differences in words, one line for each file.

    Args:
        other_states: allow other state files: a full disk loses states, and older ones are kept instead.
    """
    free = {name for name in found.keys() | expected.keys() if other_states and FILE_PATTERN.fullmatch(name)}
    missing, more = expected.keys() - found.keys() - free, found.keys() - expected.keys() - free
    other = {name for name in found.keys() & expected.keys() if found[name] != expected[name]}
    kinds = {"is missing": missing, "is one too many": more, "differs": other}
    return [f"{name} {how}" for how, names in kinds.items() for name in sorted(names)]
