"""The benchmark runs and its arithmetic is correct. No test depends on durations."""

import json
import sys
from dataclasses import replace
from itertools import islice
from unittest.mock import Mock

import benchmark
import numpy as np
import pytest
from benchmarks import report, rotation
from benchmarks.contenders import CONTENDERS, CPU_CONTENDERS, WORKLOAD_CONTENDERS, get_contender
from benchmarks.task import WORKLOADS, Workload, load, scale_pixels
from command_lines import assert_refused, run_here
from helpers import input_error

from backends import BackendUnavailable, InputError, get_backend
from dnn.datasets.download import DatasetError

OPTIONS = ("--dataset", "random", "--updates", "4")


def run(*arguments, cwd="."):
    """Run benchmark.py in this process; contenders have their own processes."""
    return run_here("benchmark", *arguments, cwd=cwd)


def results_of(settings=None, other=None, **ms):
    """Return results with these milliseconds for each contender, one per rotation."""
    facts = {"processor": "Some", "instruction_set": "AVX9", "numpy": "2"}
    rest = {"other": other, "test_accuracy": 0.5, "facts": facts}
    runs = {name.replace("_", "-"): [{"ms": t, **rest} for t in times] for name, times in ms.items()}
    return rotation.Results(settings or Workload(), runs, {"jax": "no jax"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--contenders", "pytorhc"), ("contender", "'pytorhc'", "did you mean 'pytorch'")),
        (("--rotations", "0"), ("rotations", "0")),
        (("--updates", "0"), ("updates", "0")),
        (("--activation", "rellu"), ("activation", "relu")),
        (("--dataset", "minst"), ("dataset", "did you mean 'mnist'")),
        (("--workloads", "--activation", "relu"), ("--workloads", "leave out", "--activation")),
    ],
)
def test_bad_arguments_are_rejected_in_one_sentence(arguments, words):
    assert_refused(run(*arguments), *words)


def test_errors_of_a_worker_are_reported():
    assert_refused(run(*OPTIONS, "--contenders", "torch:x"), "'torch:x'", "device is 'x'")


def test_data_that_cannot_be_loaded_are_refused_before_any_worker_starts(monkeypatch):
    monkeypatch.setattr(rotation, "load", Mock(side_effect=DatasetError("no data")))
    monkeypatch.setattr(rotation, "run_in_process", Mock(side_effect=AssertionError))
    assert_refused(run("--contenders", "numpy"), "no data")


# ----- arithmetic


def test_quartiles_ignore_disturbed_slices():
    quiet = [1.0 + i / 100 for i in range(20)]
    disturbed = [t * (10.0 if i % 3 else 1.0) for i, t in enumerate(quiet)]
    found = report.lower_quartile(disturbed, quiet)
    assert found.value == pytest.approx(1.0, abs=0.1)
    assert found.low <= found.value <= found.high
    assert found.high > 2  # only a third of the slices are quiet: the interval shows that it may be chance
    assert report.lower_quartile([2 * t for t in quiet], quiet).value == pytest.approx(2.0)
    assert report.quartiles(results_of(numpy=[9.0, 1.0, 2.0, 3.0, 9.0]))["numpy"].value == 2.0


def test_the_table_is_sorted_and_relative_to_the_fastest():
    grid = report.speed_grid(results_of(numba=[3.0, 3.3], torch=[2.0, 2.0], pytorch=[6.0, 6.0]), str)
    assert [row[0] for row in grid[1:]] == ["ours on torch", "ours on NumPy with Numba", "PyTorch eager"]
    assert grid[1][1:] == ["2.000 (2.000 to 2.000)", "1.000 (1.000 to 1.000)"]
    assert grid[2][1:] == ["3.075 (3.000 to 3.300)", "0.650 (0.606 to 0.667)"]
    assert grid[3][2] == "0.333 (0.333 to 0.333)"


def test_the_table_of_workloads_compares_the_automatic_choice():
    """The second network has convolutions. An update of the first is 309.8 million operations."""
    peers = {"pytorch": [8.0], "pytorch_fused": [5.0], "jax": [4.0], "product": [10.0]}
    dense = results_of(numba=[2.0], torch=[4.0], numpy=[1.0], **peers)
    images = results_of(Workload(filters=(3,)), numba=[4.0], torch=[2.0], pytorch=[1.0])
    heading, one, two = report.workloads_grid({"one": dense, "two": images})
    choices = [get_backend("auto", "cpu", cpu_first=first).name for first in ("numba", "torch")]
    assert heading[-4:] == ["auto / our fastest", "auto / PyTorch", "auto / JAX", "auto: share of peak"]
    assert one[:7] == ["one", "2", "4", "1", "8", "5", "4"]
    assert two[:7] == ["two", "4", "2", "-", "1", "-", "-"]
    assert [one[7], two[7]] == choices
    if choices == ["numba", "torch"]:
        assert [one[8:], two[8:]] == [["2.00", "0.40", "0.50", "0.72"], ["1.00", "2.00", "-", "-"]]


def test_the_note_has_processor_versions_and_load():
    for cores, word in ((0.02, "used 0.02 cores on average during the slices: quiet"), (0.8, "NOT QUIET")):
        results = results_of(other=cores, numpy=[3.0, 3.0])
        note = report.describe([results])
        assert "cores of Some (AVX9), numpy 2. Not run: jax (no jax). Other processes" in note
        assert word in note
    assert "processes" not in report.describe([results_of(numpy=[3.0])])
    assert "Not run" not in report.describe([results_of(numpy=[3.0]), results_of(jax=[3.0])])


def test_options_become_settings(monkeypatch, tmp_path, capsys):
    """Networks, names, rotations: defaults and options, of one network and of the workloads."""

    def main(words):
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *words.split()])
        seen.clear()
        benchmark.main(benchmark.parse())
        return seen

    def rotate(names, settings, rotations, required):
        seen.append((names, settings, rotations, required))
        return results_of(settings, numba=[2.0], pytorch=[4.0])

    seen = []
    monkeypatch.setattr(rotation, "rotate", rotate)
    assert main("") == [(CPU_CONTENDERS, Workload(), 24, False)]
    printed = capsys.readouterr().out
    assert "| ours on NumPy with Numba | 2.000 (2.000 to 2.000) | 1.000 (" in printed
    assert "Not run: jax (no jax)" in printed
    more = "--dataset digits --data-dir d --activation relu --updates 5"
    settings = Workload("digits", "d", activation="relu", updates=5)
    assert main(f"--rotations 2 --contenders numpy {more}") == [(["numpy"], settings, 2, True)]
    networks = list(WORKLOADS.values())
    assert main("--workloads") == [(WORKLOAD_CONTENDERS, network, 24, False) for network in networks]
    printed = capsys.readouterr().out
    assert "| auto takes |" in printed
    assert "Not run: jax (no jax)" in printed
    page = tmp_path / "speed.md"
    empty = "<!-- table: speed -->\n<!-- end -->\n<!-- table: workloads -->\n<!-- end -->\n"
    page.write_text(empty)
    output = f"--json {tmp_path}/b.json --pages {tmp_path}"
    assert [row[1].updates for row in main(f"--workloads --updates 36 --rotations 3 {output}")] == [36] * 9
    content = json.loads((tmp_path / "b.json").read_text())
    assert list(content) == list(WORKLOADS)
    assert content["batch 1000"]["runs"]["numba"][0]["ms"] == 2.0
    assert page.read_text().startswith("<!-- table: speed -->\n<!-- end -->\n<!-- table: workloads -->\n|")
    page.write_text(empty)
    main(f"--pages {tmp_path}")
    assert "<!-- table: speed -->\n| contender" in page.read_text()
    assert "| PyTorch eager | 4.00 | 0.50 |" in page.read_text()


def test_rotations_alternate_and_drop_failing_contenders(monkeypatch, capsys):
    def ask(work, name, settings, timeout):
        while True:
            asked.append((name, settings.slice))
            yield {"reason": "no"} if name == "torch" else {"ms": 1.0, "test_accuracy": 0.5}

    asked = []
    monkeypatch.setattr(rotation, "run_in_process", ask)
    names = ["numpy", "torch", "pytorch"]
    results = rotation.rotate(names, Workload(), 2, required=False)
    assert [name for name, _ in asked] == ["numpy", "torch", "pytorch", "numpy", "pytorch"]
    assert results.missing == {"torch": "no"}
    assert results.ms("numpy") == [1.0, 1.0]
    assert capsys.readouterr().err.splitlines()[1] == "rotation 1/2  torch: no"
    with pytest.raises(BackendUnavailable, match="contender 'torch' cannot run: no"):
        rotation.rotate(names, Workload(), 2, required=True)
    for updates, rotations, size in ((7, 3, 2), (2, 3, 1), (1000, 3, 100)):
        rotation.rotate(["numpy"], Workload(updates=updates), rotations, required=True)
        assert asked[-1] == ("numpy", size)


def test_a_contender_may_name_its_device():
    assert get_contender("torch").device == "cpu"
    contender = get_contender("torch:cuda:1")
    assert (contender.device, contender.label) == ("cuda:1", "ours on torch on cuda:1")
    with input_error(r"numpy accepts no device; these do: torch, .*cupy"):
        get_contender("numpy:cuda")
    assert {"numpy", "torch", "torch-compile", "jax"} <= set(CPU_CONTENDERS)
    assert not {"cupy", "torch-graphs"} & set(CPU_CONTENDERS)


# ----- one slice


def test_slices_are_timed_one_by_one(monkeypatch):
    clock, runs = iter([10.0, 12.0, None, 3.0, 5.0, 4.0]), []
    monkeypatch.setattr(rotation, "other_core_seconds", lambda: next(clock))
    monkeypatch.setattr(rotation, "WAKE_SECONDS", 0.0)
    numpy = CONTENDERS["numpy"]

    def prepare(task):
        prepared = numpy.prepare(task)
        return replace(prepared, run=lambda n: runs.append(n) or prepared.run(n))

    monkeypatch.setitem(CONTENDERS, "numpy", replace(numpy, prepare=prepare))
    settings = Workload(dataset="random", hidden=(4,), updates=6, slice=2, batch=1000)
    first, second, last = islice(rotation.measure("numpy", settings), 3)
    assert first["other"] > 0
    assert [second["other"], last["other"]] == [None, 0.0]
    assert runs == [6, 2, 2, 2]  # an epoch is six
    assert all(found["ms"] > 0 and 0 <= found["test_accuracy"] <= 1 for found in (first, second, last))
    assert first["facts"]["backend"] == "numpy"
    clock = iter([1.0, 2.0])
    runs.clear()
    found = next(rotation.measure("numpy", replace(settings, slice_seconds=0.05)))
    assert found["ms"] * sum(runs[1:]) >= 50


def test_a_task_has_full_batches():
    task = load(Workload(dataset="digits", updates=7, hidden=(5,)), "there")
    assert (len(task.x), len(task.y), len(task.x_test), task.device) == (1400, 1400, 360, "there")
    assert task.updates_per_call == 7
    assert replace(task, settings=Workload(updates=20)).updates_per_call == 14
    assert sorted(task.order(3).ravel()) == list(range(1400))
    assert not np.array_equal(task.order(3), task.order(4))
    np.testing.assert_allclose(scale_pixels(task.x), task.x / 255, rtol=1e-6)


def test_noise_images():
    task = load(Workload("random", pixels=50, nonzero=0.19, batch=32))
    assert task.x.shape == (5984, 50)
    assert np.mean(task.x > 0) == pytest.approx(0.19, abs=0.01)
    assert np.all(load(Workload("random")).x > 0)


@pytest.mark.parametrize(
    "settings",
    [
        Workload(dataset="digits", hidden=(16,), batch=20, updates=60),
        *(WORKLOADS[name] for name in list(WORKLOADS)[-3:]),
    ],
)
def test_contenders_learn(settings):
    """All contenders get the same task in this process; ``run`` trains what ``probabilities`` evaluates."""
    task, n = load(settings), 3 * settings.batch
    task = replace(task, x=task.x[:n], y=task.y[:n])
    x = task.x[:50].astype(np.float32) / 255
    first = CONTENDERS["numpy"].prepare(task).probabilities(x)
    for name in ("torch", "pytorch", "pytorch-fused", "jax"):
        try:
            prepared = CONTENDERS[name].prepare(task)
        except ImportError:
            continue
        except InputError:  # timed for Dense layers only
            assert name == "jax"
            continue
        np.testing.assert_allclose(prepared.probabilities(x), first, atol=1e-5, err_msg=name)
        prepared.run(1)
        for n in (2, 4):  # within an epoch, and across its end
            before = prepared.probabilities(x)
            prepared.run(n)
        after = prepared.probabilities(x)
        np.testing.assert_allclose(after.sum(1), 1.0, rtol=1e-4, err_msg=name)
        assert np.abs(after - before).max() > 1e-3, name
