"""The command lines as a user types them, judged by their output.

``train`` and ``predict`` run once in a process of their own, where warnings are not errors.
"""

import json
import os

import numpy as np
import pytest
from command_lines import SCRIPTS, assert_refused, run, run_code, run_here, succeed
from helpers import no_gpu, three_backends

OPTIONS = "--dataset digits --hidden 16 --epochs 2"
COUNTS = ("epochs", "batch-size", "limit", "keep", "checkpoint-every")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Return (folder, stdout) of a finished run on digits with NumPy."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    result = succeed(f"train {OPTIONS} --backend numpy --seed 3 --run-dir", folder)
    return folder, result.stdout


@pytest.mark.parametrize("script", ["train", "evaluate", "predict", "export", "doctor"])
def test_help_imports_no_large_library(script):
    code = (
        f"import sys; sys.argv = ['{script}.py', '--help']; sys.path.insert(0, {str(SCRIPTS)!r})\n"
        f"import runpy\n"
        f"try: runpy.run_path({str(SCRIPTS / script)!r} + '.py', run_name='__main__')\n"
        f"except SystemExit as stop: assert stop.code == 0\n"
        f"heavy = {{'torch', 'cupy', 'matplotlib', 'numba', 'rich'}} & set(sys.modules)\n"
        f"assert not heavy, heavy\n"
    )
    assert "usage" in run_code(code).stdout


@pytest.mark.slow
def test_run_folder_contents(run_folder):
    folder, printed = run_folder
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json", "metrics.jsonl", "model.safetensors", "result.json", "curves.png", ".lock",
        "state-00002-0000000.safetensors", "state-00003-0000000.safetensors",
    }  # fmt: skip
    result = json.loads((folder / "result.json").read_text())
    assert result["backend_asked"] == result["backend_used"] == "numpy"
    assert result["updates"] == 2 * 15
    assert 0 < result["seconds_to_first_update"] < 600
    assert result["describe"]["numpy"] == np.__version__
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[-1]["val_accuracy"] == result["test_accuracy"]
    assert result["test_loss"] == lines[-1]["val_loss"]
    assert result["ms_per_update"] == pytest.approx(1e3 * np.median([line["seconds"] for line in lines]) / 15)
    assert (result["device"], result["seconds_in_sums"], "sure" in result) == ("cpu", 0.0, False)
    config = json.loads((folder / "config.json").read_text())
    assert not {"quiet", "resume", "run_dir", "worker_timeout"} & set(config)
    last = printed.splitlines()[-1].split()
    assert last[:2] == ["test", "accuracy"]
    assert last[-3:-1] == ["numpy", "weights"]
    assert f"{result['test_accuracy']:.4f}" == last[2]


@three_backends
def test_backends_evaluate_alike(run_folder, backend_id):
    folder, printed = run_folder
    result = succeed("evaluate", folder, "--backend", backend_id)
    assert result.stdout.split()[:6] == printed.splitlines()[-1].split()[:6]


def test_predict_reads_images(run_folder, tmp_path):
    from PIL import Image

    from dnn.datasets import load_dataset

    data = load_dataset("digits")
    picture = 255 - data.x_test[0].reshape(8, 8)  # dark ink on a white page, enlarged
    Image.fromarray(picture).resize((64, 64)).save(tmp_path / "digit.png")
    result = run("predict", run_folder[0], tmp_path / "digit.png")
    assert result.returncode == 0, result.stderr
    name, digit, word, probability = result.stdout.split()
    assert (name, word) == (f"{tmp_path}/digit.png:", "probability")
    (tmp_path / "text.png").write_text("not a picture")
    page = Image.new("L", (99, 99), 255)
    page.paste(0, (30, 30, 70, 70))
    page.save(tmp_path / "square.png")
    names = [tmp_path / f"{name}.png" for name in ("text", "digit", "square")]
    result = run_here("predict", run_folder[0], *names, "--json")
    assert_refused(result, "square.png shows no digit: it is a filled area")
    unread, read, no_digit = json.loads(result.stdout)["images"]  # the other images are still answered
    assert (str(read["digit"]), f"{read['probability']:.4f}") == (digit, probability)
    for answer, reason in ((unread, "cannot be read as an image"), (no_digit, "no digit")):
        assert answer["digit"] is answer["probability"] is None
        assert reason in answer["reason"]


@no_gpu
def test_cupy_without_a_gpu_warns_and_falls_back_to_numpy(tmp_path):
    folder = tmp_path / "run"
    result = succeed(f"train {OPTIONS} --backend cupy --run-dir", folder)
    assert result.stderr.count("WARNING") == 1
    assert "; install the driver" in result.stderr or "; pip install" in result.stderr  # the cure
    assert result.stdout.split()[-3:-1] == ["numpy", "weights"]
    recorded = json.loads((folder / "result.json").read_text())
    assert (recorded["backend_asked"], recorded["backend_used"]) == ("cupy", "numpy")
    place = tmp_path / "other"
    assert_refused(run_here("train --backend cupy --require-backend --run-dir", place), "cupy")
    assert not place.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--backend nunpy", ["backend", "'nunpy'", "'numpy'"]),
        *((f"--{name} 0", [name.replace("-", "_") + " is 0", "an integer of at least 1"]) for name in COUNTS),
        (f"--dataset mnist --data-dir {os.devnull}", ["data"]),
        ("--typo", ["--typo"]),
    ],
)
def test_bad_arguments_are_rejected_in_one_sentence(arguments, words, tmp_path):
    command = run if arguments == "--epochs 0" else run_here
    result = command(f"train {OPTIONS} --backend numpy {arguments} --run-dir", tmp_path / "run")
    assert_refused(result, *words)
    assert list(tmp_path.iterdir()) == []


def test_train_with_a_preset(tmp_path):
    words = "--dataset digits --limit 200 --epochs 2 --backend torch --preset best"
    result = succeed(f"train {words} --run-dir", tmp_path / "run")
    assert "digits, 200 training examples, 64-500-500-10, torch on cpu" in result.stdout
    succeed("evaluate", tmp_path / "run")


def test_exported_model_matches_evaluate(run_folder, tmp_path):
    """onnxruntime has the same test accuracy, and no file is overwritten."""
    import onnxruntime

    from dnn.datasets import load_dataset

    file, data = tmp_path / "model.onnx", load_dataset("digits")
    result = succeed("export", run_folder[0], file, "--input", "uint8")
    assert result.stdout.startswith(f"{file}  {file.stat().st_size} bytes  ")
    session = onnxruntime.InferenceSession(file)
    (probabilities,) = session.run(["probabilities"], {"x": data.x_test})
    right = float(np.mean(probabilities.argmax(1) == data.y_test))
    assert f"test accuracy {right:.4f} " in run_here("evaluate", run_folder[0]).stdout
    metadata = session.get_modelmeta().custom_metadata_map
    assert (metadata["dataset"], json.loads(metadata["class_names"])) == (
        "digits",
        [str(i) for i in range(10)],
    )
    (tmp_path / "link.onnx").symlink_to("nowhere")
    for name in ("model.onnx", "link.onnx"):
        refused = run_here("export", run_folder[0], tmp_path / name)
        assert_refused(refused, f"{name} exists", "--overwrite")
    succeed("export", run_folder[0], file, "--overwrite")
    assert onnxruntime.InferenceSession(file).get_inputs()[0].type == "tensor(float)"
    refused = run_here("export", run_folder[0], tmp_path / "model.pt", "--overwrite")
    assert_refused(refused, "expected a name that ends in .onnx")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "predict digit.png",
            "digit.png names no image, expected a run or a model first, and an image after it",
        ),
        (
            "predict {half} digit.png",
            "has no model.safetensors, expected a finished training; continue it with train.py --resume",
        ),
        ("train --resume {half}/..", "is not a folder with config.json, expected a run folder that train.py"),
        ("train --resume {half} --epochs 9", "--epochs was given with --resume, expected only backend"),
        (
            "train --run-dir {half}",
            "or continue an unfinished training with --resume {half} and no other option",
        ),
        ("evaluate {run} --dataset mnist", "{run} does not fit the data set mnist: x has"),
        ("agree --my-layer {half}/exits.py", "exits.py cannot be run: 0"),
        ("agree --my-layer {half}/functions.py", "check functions in Python with gradcheck(backward, "),
    ],
)
def test_advice_that_a_user_can_follow(words, expected, run_folder, tmp_path, monkeypatch):
    from dnn.commands import evaluate
    from dnn.datasets import Dataset

    x, y = np.zeros((3, 784), np.uint8), np.zeros(3, np.int64)
    monkeypatch.setattr(evaluate, "load_dataset", lambda *_: Dataset("mnist", x, y, x, y, (28, 28), 10))
    half = tmp_path / "half"
    half.mkdir()
    (half / "config.json").write_bytes((run_folder[0] / "config.json").read_bytes())
    (half / "exits.py").write_text("raise SystemExit(0)")
    (half / "functions.py").write_text("def backward(dy): return dy")
    places = {"run": run_folder[0], "half": half}
    assert_refused(run_here(words.format(**places), cwd=tmp_path), expected.format(**places))
