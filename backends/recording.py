"""Record steps as CUDA graphs and replay them: one replay costs far less than its many launches."""

import warnings

from backends.backend import Step

UNROLL = 25
WARM_UP_STEPS = 3  # before the recording, as torch's documentation recommends


class RecordedSteps:
    """``run(n)`` for a step that is recorded as CUDA graphs: one of UNROLL steps and one of a single step.

    Recording executes nothing, so the steps that warm up the libraries are real ones. If recording fails,
    there is one warning and all steps run eagerly. A call with n = 1, such as an epoch's short last batch,
    never records: that would cost more than it saves.

    Args:
        forms: the set to which "graphs" is added at the first recording.
    """

    def __init__(self, step: Step, forms: set[str] | None = None) -> None:
        self.step = step
        self.forms = set() if forms is None else forms
        self.warm_up_left = WARM_UP_STEPS
        self.failed = False
        self.graphs: dict[int, Step] = {}  # number of steps -> replay function

    def __call__(self, n: int) -> None:
        single = n == 1
        if self.warm_up_left:
            warm = min(n, self.warm_up_left)
            self.warm_up_left -= warm
            n -= warm
            self.warm_up(warm)
        for size in (UNROLL, 1):
            while n >= size and (size in self.graphs or not single) and self._ensure_recorded(size):
                self.graphs[size]()
                n -= size
        self.run_eagerly(n)

    def run_eagerly(self, n: int) -> None:
        """Run n steps one by one."""
        for _ in range(n):
            self.step()

    def warm_up(self, n: int) -> None:
        """Run n steps before the first recording."""
        self.run_eagerly(n)

    def record(self, n: int) -> Step:
        """Record n steps; return the function that replays them.

        Raises RuntimeError: they cannot be recorded.
        """
        raise NotImplementedError

    def _ensure_recorded(self, size: int) -> bool:
        """Record ``size`` steps unless done or failed before; return whether there is a recording."""
        if size not in self.graphs and not self.failed:
            try:
                self.graphs[size] = self.record(size)
                self.forms.add("graphs")
            except RuntimeError as error:
                self.failed = True
                first = str(error).partition("\n")[0]
                warnings.warn(f"CUDA graphs do not work here ({first}); continuing without", stacklevel=2)
        return not self.failed
