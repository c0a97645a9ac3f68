"""Other systems, simulated: DIFFERENCES is a table of what differs there, with fakes that do the same here.

A process installs the fakes of a system before it imports the library. Then a user's session must end with
the same bits, files, texts and class numbers as without them.

tests/dnn/test_processes.py: processes that start by spawn, as on macOS and Windows, train as their parent.
"""

import errno
import functools
import json
import os
import sys

import pytest
from command_lines import run_code
from documents import ROOT
from helpers import input_error, others_slow, small_model

ELSEWHERE = """
import ctypes, signal

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
MACOS = """
POSIX, MODULES, SIGNALS = True, (), ()
OS_NAMES = "sched_getaffinity", "sched_setaffinity", "memfd_create"
"""
WINDOWS = """
POSIX = False
MODULES = "fcntl", "resource", "pwd", "grp", "termios", "tty"
OS_NAMES = (
    "sched_getaffinity", "sched_setaffinity", "memfd_create", "getuid", "geteuid", "fork", "O_NOFOLLOW",
    "O_NONBLOCK", "O_DIRECTORY", "register_at_fork", "killpg", "getpgid", "setsid", "getgid", "getegid",
    "getloadavg", "sysconf", "mkfifo", "chown", "pread", "nice", "sync",
)
SIGNALS = (
    "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGTSTP", "setitimer",
    "alarm",
)
"""
REFUSE = """
import asyncio, builtins, contextlib, errno, io, os, pathlib, re, sys  # Windows has another asyncio

def refuse(module, names, refuses, number):
    # Let functions raise this OSError if refuses is true for one of their first two arguments, as text.
    for name in names.split():
        def call(*arguments, function=getattr(module, name), **options):
            if any(map(refuses, map(str, arguments[:2]))):
                raise OSError(number, os.strerror(number), *arguments[:1])
            return function(*arguments, **options)
        setattr(module, name, call)
"""
LOCK_OPEN_FILES = """
def is_open(path, plain_open=io.open):
    for handle in range(3, 256):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return True
    return f"{os.path.realpath(path)}\\n" in plain_open("/proc/self/maps").read()

refuse(os, "replace rename unlink remove", is_open, errno.EACCES)
"""
TRANSLATE_TEXT = """
plain_open = io.open

def open_text(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *rest, **options):
    if "b" not in mode:
        encoding = "cp1252" if encoding in (None, "locale") else encoding
        newline = "\\r\\n" if newline is None and "r" not in mode else newline
    return plain_open(file, mode, buffering, encoding, errors, newline, *rest, **options)

builtins.open = io.open = open_text
os.linesep = "\\r\\n"
"""
DIFFERENCES = [
    ("macOS", "no sched_getaffinity, no /proc", MACOS + ELSEWHERE),
    ("Windows", "an open file cannot be replaced or removed", LOCK_OPEN_FILES),
    (
        "Windows",
        "names have no colon, and no dot at the end",
        r"""refuse(os, "mkdir open replace", re.compile(r'[<>:"|?*]|[^/.][. ](/|$)').search, errno.EINVAL)""",
    ),
    (
        "Windows",
        "paths compare without case",
        "pathlib.PurePath.__lt__ = lambda one, other: str(one).lower() < str(other).lower()",
    ),
    ("Windows", "text files have other newlines, and cp1252 by default", TRANSLATE_TEXT),
    (
        "Windows",
        "a console without ö",
        "sys.stdout.reconfigure(encoding='ascii', errors='strict')",
    ),
    ("Windows", "no fcntl, fork, SIGHUP, O_NOFOLLOW, /proc and others", WINDOWS + ELSEWHERE),
    ("network file system", "no fsync", "refuse(os, 'fsync', bool, errno.EINVAL)"),
    ("network file system", "no locks", "import fcntl; refuse(fcntl, 'flock', bool, errno.ENOLCK)"),
]
"""System, what differs there, and the fake: code that runs before the library is imported."""
SESSION = """
import json, runpy
import numpy as np
from PIL import Image
from backends import get_backend
from dnn import Dense, Sequential
from dnn.callbacks import CSVLogger, TrainingCheckpoint, latest_state
from dnn.checkpoints import load_model
from dnn.datasets import load_image_folder
from dnn.distributed.facts import code_version

def größe(y, outputs):
    return outputs[:, 0]

backend = get_backend(NAME)
backend.describe()
rng = np.random.default_rng(0)
x, y = rng.normal(size=(60, 5)).astype(np.float32), rng.integers(0, 3, 60)
model = Sequential([Dense(8, "relu"), Dense(3, "softmax")], input_shape=(5,), backend=backend)
model.compile(metrics=[größe])
os.mkdir("states")
callbacks = [CSVLogger("log.csv"), TrainingCheckpoint("states")]
model.fit(x, y, batch_size=20, epochs=3, verbose=2, validation_split=0.2, callbacks=callbacks)
assert latest_state("states").epoch == 4
model.compile()
model.fit(x, y, batch_size=20, blocks=2, verbose=0)
for _ in range(2):
    model.save("model.safetensors")
    again = load_model("model.safetensors", backend)
assert np.array_equal(again.predict(x), model.predict(x))
for name in ("Bee", "ant", "Cat", "b"):
    os.makedirs(f"pictures/{name}")
    Image.new("L", (2, 2)).save(f"pictures/{name}/a.png")
train = "train --dataset digits --hidden 8 --epochs 2 --limit 200 --backend numpy"
sys.path.insert(0, "SCRIPTS")
for line in (train, "evaluate runs/RUN --dataset digits --json", *["doctor"] * (NAME == "torch")):
    if "RUN" in line:
        line = line.replace("RUN", os.listdir("runs")[0])
    sys.argv = line.split()
    try:
        runpy.run_path(f"SCRIPTS/{sys.argv[0]}.py", run_name="__main__")
    except SystemExit as done:
        assert not done.code, (line, done.code)
paths = [*pathlib.Path().rglob("*")]
files = sorted(re.sub(r"\\d+", "0", path.as_posix()) for path in paths)
texts = [path.read_bytes().decode() for path in paths if re.search("csv|jsonl|config.json", path.name)]
words = sorted(re.sub(r"\\d[\\d.e+-]*", "0", text) for text in texts)  # times differ
found = [load_image_folder("pictures").classes, code_version(), files, words]
if NAME != "numba":  # its worker pool adds in another order
    found.append(again.predict(x).tobytes().hex())
pathlib.Path(RESULT).write_text(json.dumps(found), "utf-8")
print("the end")
"""


def run_session(name, fakes, folder):
    """Run SESSION with this backend in a process with these fakes, and return its result."""
    (folder / "here").mkdir()
    settings = f"NAME = {name!r}; RESULT = {str(folder / 'result')!r}; sys.path.insert(0, {str(ROOT)!r})\n"
    # torch's build for Linux cannot be imported without os.register_at_fork.
    settings += "import torch\n" if name == "torch" else ""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    session = SESSION.replace("SCRIPTS", str(ROOT / "scripts"))
    done = run_code(f"{REFUSE}{settings}{fakes}\n{session}", cwd=folder / "here", env=environment)
    assert done.stdout.endswith("the end\n")
    return json.loads((folder / "result").read_text("utf-8"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return functools.cache(lambda name: run_session(name, "", tmp_path_factory.mktemp(name)))


@pytest.mark.skipif(sys.platform != "linux", reason="the fakes need Linux")
@pytest.mark.parametrize("name", others_slow(["numpy", "numba", "torch"], ["numpy"]))
@pytest.mark.parametrize("system", others_slow(["macOS", "Windows", "network file system"], ["Windows"]))
def test_a_session_ends_as_here(undisturbed, system, name, tmp_path):
    fakes = "\n".join(fake for where, _, fake in DIFFERENCES if where == system)
    assert run_session(name, fakes, tmp_path) == undisturbed(name)


def test_a_file_that_another_program_has_open_stays(tmp_path, monkeypatch):
    def replace(*paths):
        raise PermissionError(errno.EACCES, "The file is used by another process")

    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", replace)
    with input_error("another process"):
        small_model().save(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
