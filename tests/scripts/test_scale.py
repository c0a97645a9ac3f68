"""scale.py: what it asks of train.py and of the processes that it times, and its cost model."""

import inspect
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from types import SimpleNamespace

import _workers
import numpy as np
import pytest
import scale
import train
from scaling import contenders, model, runs
from scaling.model import Costs

from backends import InputError
from dnn.distributed import Workers


def asked(*words, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scale.py", "--dataset", "digits", *words])
    return scale.parse()


@pytest.mark.parametrize(
    "wrong",
    ["--kills=-1", "--epochs=-1", "--rotations=-1", "--batch-size=0", "--updates=0", "--workers=0,1",
     "--workers=1,x", "--workers=1,,2", "--workers=16", "--blocks=3", "--backend=nunpy"],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_trained(wrong, monkeypatch):
    fitting = asked("--kills=0", "--epochs=0", "--rotations=0", monkeypatch=monkeypatch)
    assert scale.checked(fitting) == [1, 2, 4, 8]
    with pytest.raises(InputError):
        scale.checked(asked(wrong, monkeypatch=monkeypatch))


def test_trainings_are_asked_for_as_train_py_takes_them(monkeypatch):
    def one(workers, line, folder):
        asked_of.append((workers, train.make_parser().parse_args([*line, "--run-dir", str(folder)])))
        return runs.Outcome(f"{workers} workers", "0123456789abcdef" * 4, 0, 1.0, 0.5)

    def killed(counts, line, folder, kills, seed):
        return one([*counts, kills, seed], line, folder)

    asked_of = []
    monkeypatch.setattr(runs, "undisturbed", one)
    monkeypatch.setattr(runs, "killed", killed)
    options = asked("--epochs", "3", "--limit", "99", "--kills", "2", "--seed", "5", monkeypatch=monkeypatch)
    assert len(scale.trainings(options, [1, 4])) == 3
    assert [workers for workers, _ in asked_of] == [1, 4, [1, 4, 2, 5]]
    for _, given in asked_of:
        assert (given.quiet, given.require_backend, given.preset) == (True, True, None)
        assert given.checkpoint_every == 10
        assert (given.dataset, given.backend, given.blocks, given.batch_size) == ("digits", "numpy", 8, 800)
        assert (given.epochs, given.limit, given.data_dir) == (3, 99, None)
    assert len({given.run_dir for _, given in asked_of}) == 3
    assert len(scale.trainings(asked(monkeypatch=monkeypatch), [2])) == 1


# Milliseconds: whole, an example's, a block's, an exchange's; bytes a millisecond; bytes.
FIXED, EXAMPLE, BLOCK, LATENCY, BANDWIDTH, SIZE = 3.0, 0.02, 0.25, 0.05, 2e6, 4.0 * 648_048
COSTS = Costs(FIXED / 1e3, EXAMPLE / 1e3, BLOCK / 1e3, LATENCY / 1e3, 1e3 * BANDWIDTH, SIZE)


def made_up(module, kind, settings, timeout, times, variables):
    """Slices that take what the constants above say."""
    alone = settings["threads"] == 1 or settings["size"] > 1
    assert (module, variables.get("OMP_NUM_THREADS")) == ("scaling.contenders", "1" if alone else None)
    assert {name: settings[name] for name in ("backend", "dataset", "data_dir")} == {
        "backend": "numpy", "dataset": "digits", "data_dir": None,
    }  # fmt: skip
    cpu = FIXED + EXAMPLE * settings["batch"] / settings["size"]
    cpu += BLOCK * settings["blocks"] / settings["size"] * (settings["blocks"] > 1)
    ms = 2 * LATENCY + SIZE / BANDWIDTH * (settings.get("numbers", 9) > 2) if kind == "exchange" else cpu
    for _ in range(times):
        yield {"ms": ms if settings["threads"] else ms / 2, "cpu": cpu, "sums": 0.5 * (settings["size"] > 1)}


def test_the_report_has_the_costs_that_were_measured(monkeypatch, tmp_path, capsys, drawn):
    def trainings(arguments, counts):
        return [runs.Outcome(f"{n} workers", hashes[n % 2], 0, 12.34, 0.256) for n in counts]

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(_workers, "ask_often", made_up)
    monkeypatch.setattr(scale, "trainings", trainings)
    figures, file, hashes = drawn(model), tmp_path / "scale.json", ["a" * 64, "a" * 64]
    words = ("--blocks=4", "--workers=1,2", "--rotations=3", f"--json={file}", "--picture=x.png")
    assert scale.main(asked(*words, monkeypatch=monkeypatch)) == 0
    report, printed = json.loads(file.read_text()), capsys.readouterr().out
    assert report["costs"] == pytest.approx(vars(COSTS))
    assert report["blocked_of_whole"] == pytest.approx((19 + 1) / 19)
    assert {len(slices) for slices in report["slices"].values()} == {3}
    assert [found["kills"] for found in report["trainings"]] == [0, 0]
    rows = [" ".join(line.split()) for line in printed.splitlines()]
    assert "1 workers aaaaaaaaaaaaaaaa 12.3 26 %" in rows
    assert "B = 4, 2 workers 11.50 0.61 11.50 0.61 0.50" in rows
    assert printed.count("PREDICTED, ") == 3
    (small, _, _) = figures[0].axes
    assert list(small.lines[1].get_ydata()) == pytest.approx([20.0, 11.5])  # what two workers' CPUs took
    hashes[1] = "b" * 64
    assert scale.main(asked("--workers", "1,2", "--rotations", "0", monkeypatch=monkeypatch)) == 1
    assert scale.main(asked("--epochs", "0", "--rotations", "0", monkeypatch=monkeypatch)) == 0
    monkeypatch.setattr(_workers, "ask_often", lambda *_: iter([{"reason": "no such thing"}]))
    with pytest.raises(InputError, match="cannot be timed: no such thing"):
        scale.timed(asked(monkeypatch=monkeypatch))


def test_costs_are_not_below_nothing():
    """Noise may make a small batch dearer, or blocks cheaper; a batch of 100 has no smaller one beside it."""
    cpu = {"B = 1, one thread": 17.0, "B = 1, one thread, batch 100": 1.0, "B = 4, one thread": 9.0}
    took = {"exchange of 1 number": 2.0, "exchange of 648,048": 1.0}
    found = scale.calibrated(took, cpu, SimpleNamespace(batch_size=800, blocks=4))
    assert (found.fixed, found.block, found.latency) == (0.0, 0.0, 1e-3)
    assert found.example == pytest.approx(16e-3 / 700)
    assert found.bandwidth == pytest.approx(SIZE / 1e-6)
    assert scale.calibrated(took, cpu, SimpleNamespace(batch_size=100, blocks=4)).example == 16e-3


HAND = Costs(fixed=1e-3, example=1e-6, block=1e-5, latency=1e-3, bandwidth=1.0, size=0.0)


def test_predictions_by_hand():
    """A shared batch takes 1 + 73.728 / W + 2 log2 W ms, one of W times 800 takes 1.88 + 2 log2 W."""
    rows = model.predictions(HAND)
    assert rows[0] == ("1", "74.7", "100", "1.9", "100")
    assert rows[1] == ("2", "39.9", "94", "3.9", "48")
    assert rows[-1] == ("4096", "25.0", "0", "25.9", "7")


def test_the_picture_has_the_model_and_what_was_measured(drawn):
    figures = drawn(model)
    model.draw("x.png", {"here": HAND, "there": COSTS}, [7.0, 5.0], 100)
    small, strong, weak = figures[0].axes
    (ours, measured), (speed, other, ideal) = small.lines, strong.lines
    assert (list(ours.get_xdata()), list(measured.get_xdata())) == ([1, 2, 4, 8], [1, 2])
    assert list(ours.get_ydata())[:2] == pytest.approx([1.18, 1 + 0.09 + 2])
    assert list(measured.get_ydata()) == [7.0, 5.0]
    assert list(speed.get_ydata())[:2] == pytest.approx([1.0, 74.728 / 39.864])
    assert list(ideal.get_ydata()) == list(ideal.get_xdata()) == list(model.WORKERS)
    assert list(weak.lines[0].get_ydata())[:2] == pytest.approx([100.0, 100 * 1.88 / 3.88])
    for lines in (weak.lines, (speed, other)):
        assert [line.get_label() for line in lines] == ["here", "there"]
    assert {axes.get_xscale() for axes in figures[0].axes} == {"log"} == {strong.get_yscale()}


# ----- whole trainings


def test_train_py_alone_or_under_torchrun():
    assert runs.command(1, ["--quiet"], 3) == [sys.executable, str(runs.TRAIN), "--quiet"]
    words = runs.command(2, ["--quiet"], 3)
    assert words[:3] == [sys.executable, "-m", "torch.distributed.run"]
    assert [words[words.index(name) + 1] for name in ("--nproc-per-node", "--max-restarts")] == ["2", "3"]
    assert words[-2:] == [str(runs.TRAIN), "--quiet"]


def test_a_training_that_fails_says_its_last_words(monkeypatch, tmp_path):
    failed = SimpleNamespace(stderr="x" * 900 + " it broke")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(InputError, match=r"a training of 2 workers failed: x{591} it broke$"):
        runs.undisturbed(2, [], tmp_path)


LAUNCHER = """
import os, pathlib, signal, sys, time
restarts, *words, folder = sys.argv[1:]
folder = pathlib.Path(folder)
if "--broken" in words:
    sys.exit("it broke")
folder.mkdir(exist_ok=True)
(folder / "config.json").touch()
with open(f"{folder}.lines", "a") as file:
    print(*words, file=file)
def work():
    while not os.path.exists(f"{folder}.enough"):
        (folder / f"state-{time.time_ns()}").touch()
        time.sleep(0.01)
    os._exit(0)
for restart in range(int(restarts) + 1):
    alive = [os.fork() or work() for _ in range(2)]
    gone, status = os.wait()
    for pid in {*alive} - {gone}:
        os.kill(pid, signal.SIGKILL)
        os.wait()
    if status == 0:
        (folder / "result.json").touch()
        sys.exit(0)
sys.exit(1)
"""
"""As torchrun: two workers that save states, and two others where one was killed, until it is enough."""


@pytest.fixture
def launched(monkeypatch, tmp_path):
    """(counts of workers asked for, the folder), where LAUNCHER stands for torchrun, and nobody waits long.
    It is enough once the end of a launcher is waited for that was not killed.
    """

    class Launched(subprocess.Popen):
        killed = False

        def wait(self):
            if not self.killed:
                (tmp_path / "run.enough").touch()
            return super().wait()

    def end(launcher, workers):
        launcher.killed = True
        really_end(launcher, workers)

    def command(workers, arguments, restarts):
        counts.append(workers)
        return [sys.executable, "-S", "-E", "-c", LAUNCHER, str(restarts), *arguments]

    counts, sleep, really_end = [], runs.time.sleep, runs._end
    monkeypatch.setattr(runs, "command", command)
    monkeypatch.setattr(runs, "_end", end)
    monkeypatch.setattr(runs, "subprocess", SimpleNamespace(Popen=Launched))
    monkeypatch.setattr(runs, "time", SimpleNamespace(sleep=lambda s: sleep(min(s, 0.01))))
    monkeypatch.setattr(runs, "outcome", lambda *found: found)
    return counts, tmp_path / "run"


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="children are found in /proc")
def test_workers_are_killed_until_so_often_and_the_training_goes_on(launched):
    counts, folder = launched
    assert runs.killed([1, 2, 4], ["--quiet"], folder, 5, 3) == ("5 kills", folder, 5)
    first, *others = folder.with_suffix(".lines").read_text().splitlines()
    assert (first, {*others} - {"--resume"}) == ("--quiet --run-dir", set())
    assert set(counts) <= {2, 4}


def test_a_training_that_fails_though_nobody_kills_it_any_more_is_an_error(launched):
    counts, folder = launched
    with pytest.raises(InputError, match="a training with kills failed: it broke"):
        runs.killed([1], ["--broken"], folder, 0, 0)
    assert counts == [2]


# ----- what is timed


def test_a_slice_is_timed_after_as_many_updates_that_are_not(monkeypatch):
    """Milliseconds of an update: of the clock, of the CPU and in sums."""

    def kind(settings, workers, stack):
        def run(updates):
            asked_for.append(updates)
            workers.seconds = 0.75 if len(asked_for) % 2 else 9.0

        return run

    asked_for, words = [], iter(["next", "last", ""])
    monkeypatch.setitem(contenders.KINDS, "made up", kind)
    monkeypatch.setattr("builtins.input", lambda: next(words))
    ticks = {"perf_counter": iter([1.0, 3.0, 7.0, 8.0]), "process_time": iter([10.0, 10.5, 20.0, 20.25])}
    clock = {name: (lambda ticking=ticking: next(ticking)) for name, ticking in ticks.items()}
    monkeypatch.setattr(contenders, "time", SimpleNamespace(**clock))
    found = list(contenders.work("made up", json.dumps({"size": 1, "updates": 5})))
    assert asked_for == [2, 5, 5, 5, 5]
    assert found == [{"ms": 400.0, "cpu": 100.0, "sums": 150.0}, {"ms": 200.0, "cpu": 50.0, "sums": 150.0}]


DIGITS = {"backend": "numpy", "dataset": "digits", "data_dir": None}
SETTINGS = {**DIGITS, "batch": 500, "threads": 1, "blocks": 2}


def test_updates_of_ours_go_through_epochs():
    """1,437 digits are three batches; what does not fit into an epoch begins the next."""
    workers = Workers()
    with ExitStack() as stack:
        run, done = contenders.ours(SETTINGS, workers, stack), []
        batches = inspect.getclosurevars(run).nonlocals["batches"]
        for updates in (2, 2, 1, 1):
            run(updates)
            done.append(batches.done)
    assert done == [2, 2, 3, 1]
    assert workers.local_size == os.cpu_count()
    network = batches.network
    assert [layer.output_shape for layer in network.layers] == [(64,), (500,), (500,), (10,)]
    assert batches.totals.read(500)[0] < np.log(10)


def test_updates_of_torchs_own_take_batch_after_batch():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    try:
        run = contenders.ddp({**SETTINGS, "batch": 50}, Workers(), ExitStack())
        found = inspect.getclosurevars(run).nonlocals
        network, x, y, order = (found[name] for name in ("model", "x", "y", "order"))
        rows, losses = order[:1000], []
        for _ in range(2):
            losses.append(found["loss_of"](network(x[rows].float() / 255), y[rows]).item())
            run(20)
    finally:
        torch.set_num_threads(before)
    assert [tuple(W.shape) for W in network.parameters() if W.ndim > 1] == [(500, 64), (500, 500), (10, 500)]
    assert sorted(order.tolist()) == list(range(len(x)))
    assert losses[1] < 0.5 * losses[0]


def test_sums_alone_are_sums_over_workers():
    class Counted(Workers):
        added = 0

        def add(self, backend, vector):
            self.added += len(vector)

    workers = Counted()
    contenders.exchange({"numbers": 7}, workers, ExitStack())(3)
    assert workers.added == 21
