"""Steps that are recorded and replayed: their number, and recordings that fail."""

import warnings

import pytest

from backends.recording import UNROLL, WARM_UP_STEPS, RecordedSteps


class Recorded(RecordedSteps):
    """A replay runs the steps, and is noted; ``error`` is raised by each recording."""

    def __init__(self, error=None):
        self.done = 0
        self.replays = []
        self.error = error
        super().__init__(self.count)

    def count(self):
        self.done += 1

    def record(self, n):
        if self.error is not None:
            raise self.error

        def replay():
            self.replays.append(n)
            self.run_eagerly(n)

        return replay


def test_runs_the_requested_number_of_steps():
    run = Recorded()
    wanted = 0
    for n in (1, 1, 4, 0, 60, 7, 25):
        run(n)
        wanted += n
        assert run.done == wanted
    assert set(run.replays) == {UNROLL, 1}
    assert sum(run.replays) == wanted - WARM_UP_STEPS
    assert run.replays.count(UNROLL) >= 60 // UNROLL
    assert run.forms == {"graphs"}


def test_a_short_last_batch_is_not_recorded():
    run = Recorded()
    for _ in range(10):  # epochs, each with one such batch
        run(1)
    assert (run.done, run.replays, run.graphs) == (10, [], {})


@pytest.mark.parametrize(
    ("error", "words"),
    [(RuntimeError("not permitted\nmore"), r"\(not permitted\); continuing"), (RuntimeError(), r"\(\)")],
)
def test_a_failed_recording_warns_once_and_runs_eagerly(error, words):
    run = Recorded(error)
    with pytest.warns(UserWarning, match=f"graphs do not work here {words}"):
        run(40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(40)
    assert (run.done, run.replays, run.forms) == (80, [], set())
