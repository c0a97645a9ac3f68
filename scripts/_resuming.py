"""What ``train.py --resume`` takes from a run: its options, and a saved state that fits them."""

import argparse
from pathlib import Path
from typing import Any

# With --resume these may be said anew, and the others are the run's.
ANEW = {"backend", "device", "require_backend", "precision", "graphs", "threads", "data_dir", "quiet",
        "resume", "checkpoint_every", "keep", "on_nan", "mixed", "worker_timeout"}  # fmt: skip
UNWRITTEN = {"quiet", "resume", "run_dir", "mixed", "worker_timeout"}
NOT_KEPT = UNWRITTEN | {"data_dir"}
"""Not taken from config.json: they are the command's own, and no folder chooses where files are."""
UNSET = {"preset": str, "learning_rate": float, "limit": int, "checkpoint_every": int, "device": str,
         "threads": int}  # fmt: skip
ON_NAN = ("stop", "rewind")


def fits(name: str, value: Any, default: Any) -> bool:
    """Whether a value of config.json is one that the command line could give."""
    if name == "on_nan":
        return value in ON_NAN
    if isinstance(default, list):
        return isinstance(value, list) and all(type(part) is int for part in value)
    if value is None:
        return default is None
    expected = UNSET[name] if default is None else type(default)
    return type(value) is expected or (expected is float and type(value) is int)


def resumed(asked: Any, workers: Any) -> argparse.Namespace:
    """The options of the run that is continued, under this command's."""
    from backends import InputError
    from dnn.run_folder import RESULT, read_config

    place = Path(asked.options.resume)
    config, finished = workers.share(lambda: (read_config(place), (place / RESULT).exists()))
    if finished:
        raise InputError(f"run {place} is finished, there is nothing to resume; train anew with --run-dir")
    if wrong := sorted(asked.given - ANEW):
        option = wrong[0].replace("_", "-")
        raise InputError(
            f"--{option} was given with --resume, expected only options of the backend and of saving"
        )
    merged = vars(asked.options)
    for name in sorted(asked.defaults.keys() - asked.given - NOT_KEPT):
        if name not in config or not fits(name, config[name], asked.defaults[name]):
            raise InputError(f"{place}/config.json has no fitting {name!r}, expected what train.py writes")
        merged[name] = config[name]
    return argparse.Namespace(**merged)


def require_whole(state: Any, epochs: int) -> None:
    """Refuse a saved state that is past this training's end, or whose history is not from its start."""
    from backends import InputError

    names = ("loss", "accuracy", "seconds", "val_loss", "val_accuracy")
    lengths = {len(state.history.get(name, ())) for name in names}
    if state.epoch > epochs + 1 or lengths != {state.epoch - 1}:
        raise InputError(
            f"the saved state is in epoch {state.epoch} after {sorted(lengths)} epochs of history, expected "
            f"one of a training of {epochs} epochs; train anew with --run-dir"
        )
