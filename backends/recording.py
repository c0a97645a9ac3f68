"""Steps recorded as CUDA graphs and replayed, so that launches cost next to nothing."""

import warnings
from collections.abc import Callable

from backends.backend import Step

WARM_UP_STEPS = 3  # steps before the recording, as torch's documentation has it


class RecordedSteps:
    """``run(n)`` for a step recorded as CUDA graphs: one of ``unroll`` steps, one of a single step.

    Recording executes nothing, so the steps that warm the libraries up are real ones. If recording fails
    there is one warning, and the steps are run one by one. So is what is asked for one step at a time, as an
    epoch's short last batch: a recording would cost more than it saves.

    Args:
        forms: receives "graphs" when a recording was made.
    """

    def __init__(self, step: Step, unroll: int, forms: set[str] | None = None) -> None:
        self.step = step
        self.unroll = unroll
        self.forms = set() if forms is None else forms
        self.warm_up_left = WARM_UP_STEPS
        self.failed = False
        self.graphs: dict[int, Callable[[], None]] = {}  # steps -> what replays them

    def __call__(self, n: int) -> None:
        alone = n == 1
        if self.warm_up_left:
            warm = min(n, self.warm_up_left)
            self.warm_up_left = self.warm_up_left - warm
            n = n - warm
            self.warm_up(warm)
        for size in (self.unroll, 1):
            while n >= size and (size in self.graphs or not alone) and self._has_recording(size):
                self.graphs[size]()
                n -= size
        self.run_eagerly(n)

    def run_eagerly(self, n: int) -> None:
        """So many steps, one by one."""
        for _ in range(n):
            self.step()

    def warm_up(self, n: int) -> None:
        """So many steps before the first recording."""
        self.run_eagerly(n)

    def record(self, n: int) -> Callable[[], None]:
        """A replay of so many steps. Raises RuntimeError: they cannot be recorded."""
        raise NotImplementedError

    def _has_recording(self, size: int) -> bool:
        """Whether there is a recording of so many steps, which is made if it can be."""
        if size not in self.graphs and not self.failed:
            try:
                self.graphs[size] = self.record(size)
                self.forms.add("graphs")
            except RuntimeError as error:
                self.failed = True
                first = str(error).partition("\n")[0]
                warnings.warn(f"CUDA graphs do not work here ({first}); going on without", stacklevel=2)
        return not self.failed
