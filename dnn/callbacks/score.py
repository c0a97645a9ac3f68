"""Score: a number that needs all predictions at once, such as the area under a curve."""

from collections.abc import Callable
from typing import Any

from dnn.training.callback import CheckedCallback
from dnn.typing import Logs


class Score(CheckedCallback):
    """Add ``function(y, model.predict(x))`` to the logs after each epoch.

    The history contains the number, and later callbacks can read it. A callback that monitors it needs
    ``mode=``.

    Args:
        name: in the logs.
        function: returns a number, as those of ``sklearn.metrics`` do.
        x, y: examples as in ``predict``, and their targets in the form that the function takes.
    """

    name: str
    function: Callable[[Any, Any], float]
    x: Any
    y: Any

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        model: Any = self.model
        logs[self.name] = self.function(self.y, model.predict(self.x))
