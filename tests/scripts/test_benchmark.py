"""The benchmark runs and its arithmetic is correct. No test depends on durations."""

import json
import os
import sys
from itertools import islice

import benchmark
import numpy as np
import pytest
from benchmarks import report, rotation, worker
from benchmarks.contenders import CONTENDERS, CPU_CONTENDERS, environment, get_contender
from benchmarks.task import Settings, load
from command_lines import assert_refused, run_here

from backends import BackendUnavailable, InputError

OPTIONS = ("--dataset", "random", "--hidden", "8", "--updates", "4", "--batch-size", "10")


def run(*arguments, cwd="."):
    """Run benchmark.py in this process; contenders have their own processes."""
    return run_here("benchmark", *arguments, cwd=cwd)


def results_of(other=None, **ms):
    """Return results with these milliseconds for each contender, one per rotation."""
    rest = {"preparation": 1.0, "other": other, "test_accuracy": 0.5}
    runs = {name.replace("_", "-"): [{"ms": t, **rest} for t in times] for name, times in ms.items()}
    return rotation.Results(Settings(), runs, {"jax": "jax not installed"})


@pytest.mark.slow
def test_contenders_run_and_write_json(tmp_path):
    names = ("numpy", "torch", "pytorch")
    result = run(*OPTIONS, "--rotations", 2, "--contenders", *names, "--json", tmp_path / "b.json")
    assert result.returncode == 0, result.stderr
    content = json.loads((tmp_path / "b.json").read_text())
    assert set(content["runs"]) == set(names)
    assert content["missing"] == {}
    for name, (first, found) in content["runs"].items():
        assert found["ms"] > 0
        assert found["trained"] > first["trained"] >= 6  # warm-up of at most an epoch, wake-up, and a slice
        assert found["preparation"] > 0
        assert 0 <= found["test_accuracy"] <= 1
        assert name in result.stdout
    assert content["ratio_to_pytorch"]["pytorch"] == {"value": 1.0, "low": 1.0, "high": 1.0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--contenders", "pytorhc"), ("contender", "'pytorhc'", "did you mean 'pytorch'")),
        (("--rotations", "0"), ("rotations", "0")),
        (("--updates", "0"), ("updates", "0")),
        (("--batch-size", "0"), ("batch", "0")),
        (("--threads", "0"), ("threads", "0")),
        (("--hidden", "0"), ("hidden", "0")),
        (("--activation", "rellu"), ("activation", "relu")),
        (("--json", "/nowhere/b.json"), ("json", "/nowhere")),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_bad_arguments_are_rejected_in_one_sentence(arguments, words):
    assert_refused(run(*arguments), *words)


def test_errors_of_a_worker_are_reported():
    assert_refused(run(*OPTIONS, "--batch-size", 7000, "--contenders", "numpy"), "'numpy'", "batch is 7000")


def test_help_names_the_contenders():
    printed = "".join(run("--help").stdout.split())  # argparse breaks lines after hyphens
    assert all(name in printed for name in CONTENDERS)


# ----- arithmetic


def test_quartiles_ignore_disturbed_slices():
    quiet = [1.0 + i / 100 for i in range(20)]
    disturbed = [t * (10.0 if i % 3 else 1.0) for i, t in enumerate(quiet)]
    found = report.lower_quartile(disturbed, quiet)
    assert found.value == pytest.approx(1.0, abs=0.1)
    assert found.low <= found.value <= found.high
    assert found.high > 2  # only a third of the slices are quiet: the interval shows that it may be chance
    assert report.lower_quartile([2 * t for t in quiet], quiet).value == pytest.approx(2.0)


def test_report_says_if_the_machine_was_quiet():
    for cores, word in (
        (None, "ms"),
        (0.02, "other processes used 0.02 cores on average during the slices: quiet"),
        (0.8, "NOT QUIET"),
    ):
        text = report.table(results_of(other=cores, numpy=[3.0, 3.0]))
        assert word in text
        assert ("cores" in text) == (cores is not None)


def test_report_is_sorted_and_names_missing_contenders():
    text = report.table(results_of(numpy=[3.0, 6.0], torch=[2.5, 5.0], pytorch=[4.0, 8.0]))
    assert "0.750  (0.750 to 0.750)" in text
    assert "not run: jax: jax not installed" in text
    assert text.index("ours on torch") < text.index("ours on NumPy") < text.index("PyTorch eager")


def test_number_of_timed_updates(monkeypatch):
    def main(words):
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *words.split()])
        benchmark.main(benchmark.parse())
        return seen.pop()

    seen = []
    monkeypatch.setattr(
        benchmark, "compare", lambda words, settings: seen.append((words.rotations, settings))
    )
    assert main("") == (24, Settings())
    more = "--dataset digits --data-dir d --hidden 3 --activation relu --batch-size 4 --updates 5 --threads 1"
    assert main(f"--rotations 2 {more}") == (2, Settings("digits", "d", (3,), "relu", 4, 5, threads=1))


def test_rotations_alternate_and_drop_failing_contenders(monkeypatch):
    def ask(work, name, settings, timeout, variables):
        while True:
            asked.append((name, settings.slice))
            yield {"reason": "no"} if name == "torch" else {"ms": 1.0}

    asked, told = [], []
    monkeypatch.setattr(rotation, "run_in_process", ask)
    names = ["numpy", "torch", "pytorch"]
    monkeypatch.setattr(rotation, "CPU_CONTENDERS", names)
    results = rotation.rotate(None, Settings(), 2, told.append)
    assert [name for name, _ in asked] == ["numpy", "torch", "pytorch", "numpy", "pytorch"]
    assert results.missing == {"torch": "no"}
    assert results.ms("numpy") == [1.0, 1.0]
    assert told[1] == "rotation 1/2  torch: no"
    with pytest.raises(BackendUnavailable, match="contender 'torch' cannot run: no"):
        rotation.rotate(names, Settings(), 2, told.append)
    for updates, rotations, size in ((7, 3, 2), (2, 3, 1), (1000, 3, 100)):
        rotation.rotate(["numpy"], Settings(updates=updates), rotations, told.append)
        assert asked[-1] == ("numpy", size)


def test_a_contender_may_name_its_device():
    assert get_contender("torch").device == "cpu"
    there = get_contender("torch:cuda:1")
    assert (there.device, there.label) == ("cuda:1", "ours on torch on cuda:1")
    with pytest.raises(InputError, match=r"numpy accepts no device; these do: torch, .*cupy"):
        get_contender("numpy:cuda")
    assert {"numpy", "torch", "sklearn"} <= set(CPU_CONTENDERS)
    assert not {"cupy", "torch-graphs"} & set(CPU_CONTENDERS)


def test_variables_are_set_before_a_process_starts():
    assert environment("numpy", 1)["OPENBLAS_NUM_THREADS"] == "1"
    assert environment("keras-jax", None) == {"KERAS_BACKEND": "jax"}


# ----- one slice


def test_slices_are_timed_one_by_one(monkeypatch):
    clock, cores_set = iter([10.0, 12.0, None, 3.0, 5.0, 4.0]), []
    monkeypatch.setattr(worker, "other_core_seconds", lambda: next(clock))
    monkeypatch.setattr(worker, "WAKE_SECONDS", 0.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 1, 2}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: cores_set.append(cores), raising=False)
    settings = Settings(dataset="random", hidden=(4,), updates=6, slice=2, batch=1000, threads=2)
    first, second, last = islice(worker.measure("numpy", settings), 3)
    assert first["other"] > 0
    assert [second["other"], last["other"]] == [None, 0.0]
    assert [found["trained"] for found in (first, second, last)] == [8, 10, 12]  # an epoch is six
    assert all(found["ms"] > 0 and 0 <= found["test_accuracy"] <= 1 for found in (first, second, last))
    assert cores_set == []
    monkeypatch.setitem(CONTENDERS, "jax", CONTENDERS["numpy"])  # XLA is limited to this number of cores
    clock = iter([1.0, 2.0])
    next(worker.measure("jax", settings))
    assert cores_set == [[1, 2]]


def test_a_task_has_full_batches():
    task = load(Settings(dataset="digits", updates=7, hidden=(5,)), "there")
    assert (len(task.x), len(task.y), len(task.x_test), task.device) == (1400, 1400, 360, "there")
    assert (task.updates_per_epoch, task.updates_per_call) == (14, 7)
    assert sorted(task.order(3).ravel()) == list(range(1400))
    assert not np.array_equal(task.order(3), task.order(4))
    np.testing.assert_allclose(task.floats(), task.x / 255, rtol=1e-6)


def test_contenders_learn():
    """All contenders get the same task in this process; ``run`` trains what ``probabilities`` evaluates."""
    task = load(Settings(dataset="digits", hidden=(16,), batch=20, updates=60))
    x = task.x[:50].astype(np.float32) / 255
    first = CONTENDERS["numpy"].prepare(task).probabilities(x)
    for name in ("torch", "pytorch", "pytorch-fused", "sklearn", "jax"):
        try:
            prepared = CONTENDERS[name].prepare(task)
        except ImportError:
            continue
        if name != "sklearn":  # draws weights of its own
            np.testing.assert_allclose(prepared.probabilities(x), first, atol=1e-5, err_msg=name)
        prepared.run(1)
        for n in (2, 100):  # within an epoch, and across its end
            before = prepared.probabilities(x)
            prepared.run(n)
        after = prepared.probabilities(x)
        np.testing.assert_allclose(after.sum(1), 1.0, rtol=1e-4, err_msg=name)
        assert np.abs(after - before).max() > 1e-3, name
