"""Other systems, simulated: what differs there, the fake that does the same here, and what must hold.

SYSTEMS: a process is disguised before its imports. Modules are missing, /proc and /sys do not exist, and
names of ``os`` and ``signal`` that macOS or Windows lack are deleted. It must train, save and load, and run
the commands.

DIFFERENCES: functions of Python act as there. A session of a user must end with the same bits, files and
class numbers as without the fake.

tests/dnn/test_processes.py: processes that start by spawn, as on macOS and Windows, train as their parent.
"""

import builtins
import contextlib
import errno
import io
import itertools
import math
import os
import pathlib
import re
import sys
import time
from pathlib import Path

import pytest
from command_lines import run_code, succeed
from documents import ROOT
from helpers import fit_small, input_error, others_slow, small_model, weights
from PIL import Image

from dnn.callbacks import CSVLogger, JSONLogger, TrainingCheckpoint, latest_state
from dnn.checkpoints import load_model
from dnn.datasets import load_image_folder
from dnn.distributed.facts import code_version

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

        def __getattr__(self, name):
            if "umath" in self._name:  # Windows looks for a name in this library only
                raise AttributeError(name)
            return super().__getattr__(name)

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


# The fakes of DIFFERENCES; each takes pytest's monkeypatch.


def names_fail_if(patch, names, module, refuses, error):
    """Let functions raise this error for paths that ``refuses`` names."""
    for name in names:
        function = getattr(module, name)

        def call(*paths, function=function, **options):
            for path in paths[:2]:
                if isinstance(path, (str, os.PathLike)) and refuses(os.fspath(path)):
                    raise OSError(error, os.strerror(error), str(path))
            return function(*paths, **options)

        patch.setattr(module, name, call)


def open_files_are_locked(patch):
    def is_open(path):
        handles = [f"/proc/self/fd/{handle}" for handle in os.listdir("/proc/self/fd")]
        maps = Path("/proc/self/maps").read_text("utf-8").splitlines()
        real = os.path.realpath(path)
        return os.path.isfile(path) and (
            real in map(os.path.realpath, handles) or any(line.endswith(real) for line in maps)
        )

    names_fail_if(patch, ["replace", "rename", "unlink", "remove"], os, is_open, errno.EACCES)


def names_are_restricted(patch):
    reserved = re.compile(r'.*[<>:"|?*\0-\x1f].*|.*[^.][. ]|(?i:con|prn|aux|nul|com\d|lpt\d)(\..*)?')

    def is_refused(path):
        return any(map(reserved.fullmatch, path.split("/"))) and not path.startswith("/dev")

    names_fail_if(patch, ["mkdir", "open", "replace"], os, is_refused, errno.EINVAL)
    names_fail_if(patch, ["open"], io, is_refused, errno.EINVAL)
    patch.setattr(builtins, "open", io.open)


def paths_ignore_case(patch):
    path = pathlib.PurePath
    patch.setattr(path, "__lt__", lambda one, other: str(one).lower() < str(other).lower())
    patch.setattr(path, "__eq__", lambda one, other: str(one).lower() == str(other).lower())
    patch.setattr(path, "__hash__", lambda one: hash(str(one).lower()))


def text_is_translated(patch):
    def open_text(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *rest, **options):
        if "b" not in mode:
            encoding = "cp1252" if encoding in (None, "locale") else encoding
            newline = "\r\n" if newline is None and "r" not in mode else newline
        return plain_open(file, mode, buffering, encoding, errors, newline, *rest, **options)

    plain_open = io.open
    patch.setattr(io, "open", open_text)
    patch.setattr(builtins, "open", open_text)
    patch.setattr(os, "linesep", "\r\n")


def clocks_tick_slowly(patch):
    for name in ("perf_counter", "time", "monotonic"):
        clock = getattr(time, name)
        patch.setattr(time, name, lambda clock=clock: math.floor(clock() * 64) / 64)


def stdout_encodes(encoding):
    def fake(patch):
        patch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))

    return fake


def calls_fail(module, name, *errors):
    """Let a function raise these errors in turn, as file systems that lack it do."""

    def fake(patch):
        numbers = itertools.cycle(errors)

        def fail(*arguments):
            error = next(numbers)
            raise OSError(error, os.strerror(error))

        patch.setattr(pytest.importorskip(module), name, fail)

    return fake


DIFFERENCES = {
    "Windows: an open file cannot be replaced, renamed or removed": open_files_are_locked,
    "Windows: names with : or *, that end with a dot, or NUL, cannot be made": names_are_restricted,
    "Windows: paths compare without case": paths_ignore_case,
    "Windows: text files have another newline and cp1252 unless told": text_is_translated,
    "Windows: clocks tick 64 times a second": clocks_tick_slowly,
    "Windows: the console has cp1252": stdout_encodes("cp1252"),
    "LC_ALL=C: the console has ASCII": stdout_encodes("ascii"),
    "network file systems: fsync is missing": calls_fail(
        "os", "fsync", errno.EINVAL, errno.ENOSYS, errno.ENOTSUP
    ),
    "network file systems: locks are missing": calls_fail(
        "fcntl", "flock", errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP
    ),
}


def größe(y, outputs):
    """A metric of the user."""
    return outputs.max(1)


def user_session(folder):
    """Train with logs and states, resume, save twice, run a command; return bits, files and classes."""
    with contextlib.chdir(folder):
        for name in ("Bee", "ant", "Cat", "b"):
            os.makedirs(f"pictures/{name}")
            Image.new("L", (2, 2)).save(f"pictures/{name}/B.png")
            Image.new("L", (2, 2), "white").save(f"pictures/{name}/a.png")
        first, second = small_model(), small_model()
        for model in (first, second):
            model.compile(metrics=[größe])
        logs = CSVLogger("log.csv"), JSONLogger("log.jsonl")
        os.mkdir("states")
        fit_small(first, epochs=2, verbose=2, callbacks=[*logs, TrainingCheckpoint("states")])
        fit_small(second, epochs=3, callbacks=[*logs], resume=latest_state("states"))
        second.compile()
        for _ in range(2):
            second.save("model.safetensors")
            second = load_model("model.safetensors")
        succeed("train --dataset digits --hidden 8 --epochs 2 --limit 200 --backend numpy")
        pictures = load_image_folder("pictures")
        files = {}
        for path in Path().rglob("*"):
            is_text = path.suffix in (".csv", ".json", ".jsonl")
            content = path.read_bytes() if is_text else b""
            files[re.sub(r"\d+", "0", str(path))] = re.sub(rb"\d[\d.e+-]*", b"0", content)  # of times too
        return weights(second).tobytes(), pictures.classes, pictures.x.tobytes(), code_version(), files


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return user_session(tmp_path_factory.mktemp("here"))


@pytest.mark.skipif(sys.platform != "linux", reason="the fakes need Linux")
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_session_ends_as_here(undisturbed, difference, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        DIFFERENCES[difference](patch)
        found = user_session(tmp_path)
    assert found == undisturbed


@pytest.mark.skipif(sys.platform != "linux", reason="the fakes need Linux")
def test_a_file_that_another_program_has_open_stays(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    model = small_model()
    model.save(path)
    before = path.read_bytes()
    fit_small(model)
    open_files_are_locked(monkeypatch)
    with path.open("rb"), input_error("Permission denied"):
        model.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
