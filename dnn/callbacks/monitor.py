"""Watching one of an epoch's numbers: is it the best so far?"""

from backends import InputError
from dnn.validation.settings import look_up, require, require_number


class Best:
    """The best value so far of one of an epoch's numbers.

    Args:
        monitor: its name in the logs: "loss", "val_loss", "accuracy", "val_accuracy".
        mode: "min": small is good; "max": large is good; "auto": "max" for accuracies and R2, else "min".
        min_delta: what is better by no more than this is not better.

    Raises InputError: a setting out of range; in training, a number that is not there.
    """

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        look_up("mode", mode, dict.fromkeys(("auto", "min", "max")))
        require_number("min_delta", min_delta, 0.0)
        self.monitor, self.min_delta = monitor, min_delta
        require(isinstance(monitor, str), "monitor", monitor, "the name of a number such as 'val_loss'")
        large = mode == "max" or (mode == "auto" and ("acc" in monitor or "r2" in monitor))
        self.sign = -1.0 if large else 1.0
        self.clear()

    def clear(self) -> None:
        """Forget what was."""
        self.value = self.sign * float("inf")

    def improves(self, logs: dict[str, float]) -> bool:
        """Whether this epoch's number is better than all before; it is then the best. NaN never is."""
        if self.monitor not in logs:
            cure = "; give fit validation_data or validation_split" if self.monitor.startswith("val_") else ""
            raise InputError(f"monitor is {self.monitor!r}, expected one of {', '.join(logs)}{cure}")
        better = self.sign * logs[self.monitor] < self.sign * self.value - self.min_delta
        if better:
            self.value = logs[self.monitor]
        return better
