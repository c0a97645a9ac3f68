"""The benchmark runs and its arithmetic is correct. No test depends on durations."""

import os
from itertools import islice

import numpy as np
import pytest
from benchmarks import report, rotation, worker
from benchmarks.contenders import CONTENDERS, CPU_CONTENDERS, environment, get_contender
from benchmarks.task import WORKLOADS, Settings, load
from command_lines import assert_refused, run_here

from backends import BackendUnavailable, InputError, get_backend


def run(*arguments, cwd="."):
    """Run benchmark.py in this process; contenders have their own processes."""
    return run_here("benchmark", *arguments, cwd=cwd)


def results_of(settings=None, other=None, **ms):
    """Return results with these milliseconds for each contender, one per slice."""
    rest = {"other": other, "facts": {"processor": "Some", "instruction_set": "AVX9", "numpy": "2"}}
    runs = {name.replace("_", "-"): [{"ms": t, **rest} for t in times] for name, times in ms.items()}
    return rotation.Results(settings or Settings(), runs, {"jax": "no jax"})


@pytest.mark.slow
def test_the_table_is_printed_and_written(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    page = tmp_path / "speed.md"
    page.write_text("a\n<!-- table: speed -->\n<!-- end -->\nb\n")
    options = "--dataset", "digits", "--contenders", "numpy", "pytorch", "--slices", 2, "--pages", tmp_path
    result = run(*options)
    assert result.returncode == 0, result.stderr
    assert f"a\n<!-- table: speed -->\n{result.stdout}<!-- end -->\nb\n" == page.read_text()
    assert "ours on NumPy alone" in result.stdout
    assert "2/2  pytorch: " in result.stderr
    assert "OPENBLAS_CORETYPE" not in os.environ


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--contenders", "pytorhc"), ("contender", "'pytorhc'", "did you mean 'pytorch'")),
        (("--slices", "0"), ("slices", "0")),
        (("--threads", "0"), ("threads", "0")),
    ],
)
def test_bad_arguments_are_rejected_in_one_sentence(arguments, words):
    assert_refused(run(*arguments), *words)


def test_errors_of_a_worker_are_reported():
    assert_refused(run("--dataset", "minst", "--contenders", "numpy"), "'numpy'", "minst")


def test_help_names_the_contenders():
    printed = "".join(run("--help").stdout.split())  # argparse breaks lines after hyphens
    assert all(name in printed for name in CONTENDERS)


# ----- arithmetic


def test_quartiles_ignore_disturbed_slices():
    assert results_of(numpy=[9.0, 1.0, 2.0, 3.0, 9.0]).quartile("numpy") == 2.0


def test_the_table_is_sorted_and_relative_to_numba():
    _, *rows = report.ratio_grid(results_of(numba=[3.0], torch=[2.0], pytorch=[6.0]))
    assert [row[1:] for row in rows] == [["2.00", "1.50"], ["3.00", "1.00"], ["6.00", "0.50"]]
    assert rows[0][0] == "ours on torch"
    assert report.ratio_grid(results_of(torch=[2.0]))[1][2] == "-"


def test_the_table_of_workloads_compares_the_automatic_choice():
    """The second network has convolutions."""
    dense = results_of(numba=[2.0], torch=[4.0], numpy=[1.0], pytorch=[8.0], pytorch_fused=[5.0], jax=[4.0])
    images = results_of(Settings(filters=(3,)), numba=[4.0], torch=[2.0], pytorch=[1.0])
    heading, one, two = report.workloads_grid({"one": dense, "two": images})
    choices = [get_backend("auto", "cpu", convolutions=wanted).name for wanted in (False, True)]
    assert heading[-4:] == ["auto takes", "auto / our fastest", "auto / PyTorch", "auto / JAX"]
    assert one[:7] == ["one", "2", "4", "1", "8", "5", "4"]
    assert two[:7] == ["two", "4", "2", "-", "1", "-", "-"]
    assert [one[7], two[7]] == choices
    if choices == ["numba", "torch"]:
        assert [one[8:], two[8:]] == [["2.00", "0.40", "0.50"], ["1.00", "2.00", "-"]]


def test_the_note_has_processor_versions_and_load():
    for cores, word in ((0.02, "used 0.02 cores during the slices: quiet."), (0.8, "NOT QUIET")):
        note = report.describe([results_of(other=cores, numpy=[3.0, 3.0])])
        assert "cores of Some (AVX9), numpy 2. Not run: jax (no jax). Other processes" in note
        assert word in note
    assert "Other" not in report.describe([results_of(numpy=[3.0])])
    assert "Not run" not in report.describe([results_of(numpy=[3.0]), results_of(jax=[3.0])])


def test_slices_alternate_and_drop_failing_contenders(monkeypatch):
    def ask(work, name, settings, timeout, variables):
        while True:
            asked.append(name)
            yield {"reason": "no"} if name == "torch" else {"ms": 1.0}

    asked, told = [], []
    monkeypatch.setattr(rotation, "run_in_process", ask)
    names = ["numpy", "torch", "pytorch"]
    results = rotation.rotate(names, Settings(), 2, told.append, required=False)
    assert asked == ["numpy", "torch", "pytorch", "numpy", "pytorch"]
    assert results.missing == {"torch": "no"}
    assert results.quartile("numpy") == 1.0
    assert told[1] == "slice 1/2  torch: no"
    with pytest.raises(BackendUnavailable, match="contender 'torch' cannot run: no"):
        rotation.rotate(names, Settings(), 2, told.append, required=True)


def test_a_contender_may_name_its_device():
    assert get_contender("torch").device == "cpu"
    there = get_contender("torch:cuda:1")
    assert (there.device, there.label) == ("cuda:1", "ours on torch on cuda:1")
    with pytest.raises(InputError, match=r"numpy accepts no device; these do: torch, .*cupy"):
        get_contender("numpy:cuda")
    assert all(get_contender(name).device != "cuda" for name in CPU_CONTENDERS)


def test_threads_are_limited_before_a_process_starts():
    assert environment(1)["OPENBLAS_NUM_THREADS"] == "1"
    assert environment(None) == {}


# ----- one slice


def test_slices_are_timed_one_by_one(monkeypatch):
    clock, cores_set = iter([10.0, 12.0, None, 3.0, 5.0, 4.0]), []
    monkeypatch.setattr(worker, "other_core_seconds", lambda: next(clock))
    monkeypatch.setattr(worker, "WAKE_SECONDS", 0.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 1, 2}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: cores_set.append(cores), raising=False)
    settings = Settings(dataset="random", hidden=(4,), batch=1000, threads=2)
    first, second, last = islice(worker.measure("numpy", settings), 3)
    assert first["other"] > 0
    assert [second["other"], last["other"]] == [None, 0.0]
    assert all(found["ms"] > 0 for found in (first, second, last))
    assert first["facts"]["backend"] == "numpy"
    assert cores_set == []
    monkeypatch.setitem(CONTENDERS, "jax", CONTENDERS["numpy"])  # XLA is limited to this number of cores
    clock = iter([1.0, 2.0])
    next(worker.measure("jax", settings))
    assert cores_set == [[1, 2]]


def test_a_task_has_full_batches():
    task = load(Settings(dataset="digits", hidden=(5,)), "there")
    assert (len(task.x), len(task.y), len(task.x_test), task.device) == (1400, 1400, 360, "there")
    assert task.updates_per_epoch == 14
    assert sorted(task.order(3).ravel()) == list(range(1400))
    assert not np.array_equal(task.order(3), task.order(4))
    np.testing.assert_allclose(task.floats(), task.x / 255, rtol=1e-6)


def test_noise_images():
    task = load(Settings("random", pixels=50, nonzero=0.19, batch=32))
    assert task.x.shape == (5984, 50)
    assert np.mean(task.x > 0) == pytest.approx(0.19, abs=0.01)
    assert np.all(load(Settings("random")).x > 0)
    with pytest.raises(InputError, match="batch is 6001"):
        load(Settings("random", batch=6001))


@pytest.mark.parametrize(
    "settings",
    [
        Settings(dataset="digits", hidden=(16,), batch=20),
        *(WORKLOADS[name] for name in list(WORKLOADS)[-3:]),
    ],
    ids=lambda settings: "-".join(map(str, settings.filters + settings.hidden)),
)
def test_contenders_learn(settings):
    """All contenders get the same task in this process; ``run`` trains what ``probabilities`` evaluates."""
    task = load(settings)
    x = task.x[:50].astype(np.float32) / 255
    first = CONTENDERS["numpy"].prepare(task).probabilities(x)
    for name in ("torch", "pytorch", "pytorch-fused", "sklearn", "jax"):
        try:
            prepared = CONTENDERS[name].prepare(task)
        except ImportError:
            continue
        except InputError:  # timed for Dense layers only
            assert name in ("sklearn", "jax")
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
