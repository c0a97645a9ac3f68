"""The library imports, trains and saves without Linux-only and without POSIX-only features.

A process is disguised as another system: modules are missing, /proc and /sys do not exist, and names of
``os`` and ``signal`` that Windows or macOS lack are deleted before other imports.
"""

import os

import pytest
from command_lines import run_code
from documents import ROOT
from helpers import others_slow

ELSEWHERE = """
import builtins, ctypes, io, os, pathlib, signal, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Missing())
for name in MODULES:
    sys.modules.pop(name, None)
for module, names in ((os, OS_NAMES), (signal, SIGNALS)):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

def refusing(function):
    def refuse(path, *rest, **options):
        if str(path).startswith(("/proc", "/sys")):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return function(path, *rest, **options)
    return refuse

builtins.open = io.open = refusing(io.open)
os.open = refusing(os.open)
os.readlink = refusing(os.readlink)
if not POSIX:
    library = ctypes.CDLL

    class Library(library):
        def __init__(self, name, *rest, **options):
            if name is None:  # as on Windows
                raise TypeError("argument of type 'NoneType' is not iterable")
            super().__init__(name, *rest, **options)

    ctypes.CDLL = Library
"""
# Names that macOS lacks, and names that Windows lacks too. NumPy, torch and the standard library keep the
# modules that they import themselves.
SYSTEMS = {
    "macos": (True, (), ("sched_getaffinity", "sched_setaffinity", "memfd_create"), ()),
    "windows": (
        False,
        ("fcntl", "resource", "pwd", "grp", "termios", "tty"),
        ("sched_getaffinity", "sched_setaffinity", "memfd_create", "getuid", "geteuid", "fork", "O_NOFOLLOW",
         "O_NONBLOCK", "O_DIRECTORY", "register_at_fork", "killpg", "getpgid", "setsid", "getgid", "getegid",
         "getloadavg", "sysconf", "mkfifo", "chown", "pread", "nice", "sync"),
        ("SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGTSTP", "setitimer",
         "alarm"),
    ),
}  # fmt: skip
TRAINS = """
import numpy as np
from backends import get_backend
from dnn import Dense, Sequential
from dnn.checkpoints import load_model

backend = get_backend(NAME)
backend.describe()
rng = np.random.default_rng(0)
x, y = rng.normal(size=(60, 5)).astype(np.float32), rng.integers(0, 3, 60)
model = Sequential([Dense(8, "relu"), Dense(3, "softmax")], input_shape=(5,), backend=backend)
model.compile()
model.fit(x, y, batch_size=20, epochs=3, verbose=0, validation_split=0.2)
model.fit(x, y, batch_size=20, blocks=2, verbose=0)
model.save("model.safetensors")
again = load_model("model.safetensors", backend)
assert np.array_equal(again.predict(x), model.predict(x))
"""
COMMANDS = """
import runpy
sys.path.insert(0, "SCRIPTS")
for line in (
    "train --dataset digits --hidden 8 --epochs 1 --limit 200 --backend numpy --quiet --run-dir run",
    "evaluate run --dataset digits --json",
    "doctor",
):
    sys.argv = line.split()
    try:
        runpy.run_path(f"SCRIPTS/{sys.argv[0]}.py", run_name="__main__")
    except SystemExit as done:
        assert not done.code, (line, done.code)
"""


def run_elsewhere(system, code, folder, before=""):
    """Run code in a process disguised as this system, in this folder; ``before`` runs before the disguise."""
    posix, modules, names, signals = SYSTEMS[system]
    settings = f"POSIX = {posix}; MODULES = {modules}; OS_NAMES = {names}; SIGNALS = {signals}\n"
    paths = f"sys.path.insert(0, {str(ROOT)!r})\n"
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    run_code(before + settings + ELSEWHERE + paths + code, cwd=folder, env=environment)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", others_slow(["numpy", "numba", "torch"], ["numpy"]))
def test_train_save_and_load(system, name, tmp_path):
    pytest.importorskip(name)
    # torch's build for Linux cannot be imported without os.register_at_fork.
    before = "import torch\n" if name == "torch" else ""
    run_elsewhere(system, f"NAME = {name!r}\n{TRAINS}", tmp_path, before)


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_commands_run(system, tmp_path):
    # asyncio, which scikit-learn imports, has another module on Windows.
    before = "import asyncio\n"
    run_elsewhere(system, COMMANDS.replace("SCRIPTS", str(ROOT / "scripts")), tmp_path, before)
    assert (tmp_path / "run" / "model.safetensors").exists()
