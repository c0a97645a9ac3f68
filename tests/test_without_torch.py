"""Features that do not need torch and torchvision work without them and do not import them."""

import pytest
from command_lines import run_code
from documents import ROOT

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Missing())
"""
PATH = f"import runpy; sys.path.insert(0, {str(ROOT / 'scripts')!r}); "
RUN = PATH + "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.mark.slow
def test_a_network_is_trained_and_evaluated(tmp_path):
    scripts = ROOT / "scripts"
    small = ["--dataset", "digits", "--hidden", "8", "--epochs", "1", "--run-dir", "run"]
    run_code(WITHOUT + RUN, scripts / "train.py", *small, cwd=tmp_path)
    found = run_code(WITHOUT + RUN, scripts / "evaluate.py", "run", cwd=tmp_path)
    assert "360 digits images" in found.stdout
    refused = run_code(WITHOUT + RUN, scripts / "train.py", "--backend", "torch", "--require-backend",
                     *small[:-1], "other", cwd=tmp_path, expected=2)  # fmt: skip
    assert "torch" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_mnist_is_read_from_raw_files(mnist_dir, tmp_path):
    code = (
        "from dnn.datasets import load_dataset; data = load_dataset('mnist', sys.argv[1], download=False)\n"
        "print(data.x_train.shape, data.y_test[:3], data.x_train.sum(dtype=int))"
    )
    done = run_code(WITHOUT + code, mnist_dir, cwd=tmp_path)
    assert done.stdout.split() == ["(60000,", "784)", "[7", "2", "1]", "1567298545"]


def test_missing_download_dependencies_are_reported(tmp_path):
    code = (
        "import dnn.datasets.download as d, pathlib\n"
        "try: d.fetch_from_torchvision('MNIST', [], pathlib.Path('.'))\n"
        "except d.SourceError as error: print(error)"
    )
    assert "torchvision cannot be imported" in run_code(WITHOUT + code, cwd=tmp_path).stdout


def test_missing_estimator_dependencies_are_reported(tmp_path):
    code = WITHOUT.replace('"torch", "torchvision"', '"sklearn", ""') + "import dnn.interop.sklearn"
    said = run_code(code, cwd=tmp_path, expected=1).stderr.splitlines()[-1]
    assert said.startswith("ImportError: dnn.interop.sklearn needs scikit-learn, which is not installed; pip")


def test_numpy_trains_without_loading_torch(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from dnn import Dense, Sequential\n"
        "from dnn.datasets import load_dataset\n"
        "from dnn.distributed import Workers\n"
        "model = Sequential([Dense(3, 'softmax')], input_shape=(4,), backend='numpy')\n"
        "model.compile(); model.fit(np.eye(4), [0, 1, 2, 0], validation_split=0.25, verbose=0)\n"
        "model.fit(np.eye(4), [0, 1, 2, 0], blocks=2, workers=Workers.from_environment(), verbose=0)\n"
        "print(sorted({'torch', 'torchvision', 'matplotlib', 'cupy', 'sklearn'} & sys.modules.keys()))"
    )
    assert run_code(code, cwd=tmp_path).stdout == "[]\n"
