"""Broken or forged checkpoints, training states and L-BFGS states are rejected with one sentence, or what is
read equals the content of the file.

Generated inputs: 3 x 400 broken files, 3 x 150 odd headers, 3 x 300 forged facts, 300 forged arrays, 60 names
that try paths, 60 with NaN: 2,970.
"""

import json
import struct

import numpy as np
import pytest
from helpers import NUMPY, build_network, input_error, others_slow, same_bits, small_model
from hostile import WORDS, Refusal, alter_json, attempt, broken_bytes, for_each
from hypothesis import strategies as st

from backends import InputError
from dnn import Dense
from dnn.callbacks import training_checkpoint
from dnn.callbacks.training_checkpoint import read_state, write_state
from dnn.checkpoints import load_model, load_weights, save_model
from dnn.io import safetensors as tensor_files
from dnn.lbfgs import LBFGS, load_state, minimise, save_state
from dnn.lbfgs import state as lbfgs_state
from dnn.training.state import TrainingState

KINDS = ("checkpoint", "training state", "L-BFGS state")
KEYS = {
    "checkpoint": (tensor_files.FORMAT, tensor_files.VERSION),
    "training state": (training_checkpoint.FORMAT, training_checkpoint.VERSION),
    "L-BFGS state": (lbfgs_state.FORMAT, lbfgs_state.VERSION),
}
REWRITTEN_FACTS = ("loss_settings", "layers", "training", "made_with")  # may change when saved again


def write(kind, path):
    """Return the path of a valid file of this kind."""
    if kind == "checkpoint":
        save_model(small_model(), path)
    elif kind == "training state":
        history = {"loss": [0.5], "val_loss": [0.25]}
        arrays = {"control": np.ones(4), "value x": np.arange(3.0)}
        write_state(TrainingState(2, 5, {"seed": 1, "model": {"layers": []}}, history, arrays), path)
    else:
        start = np.full(3, 0.5, dtype=np.float32)
        settings = LBFGS(max_iterations=4, gradient_tolerance=0.0)
        state = minimise(lambda x: (float(x @ x + x[0]), 2 * x + 1), start, backend=NUMPY, settings=settings)
        save_state(state, path, NUMPY)


def read(kind, path):
    """Return the reader of the kind, and a writer for its result."""
    if kind == "checkpoint":
        model = load_model(path, NUMPY)
        return lambda to: save_model(model, to)
    if kind == "training state":
        state = read_state(path)
        return lambda to: write_state(state, to)
    found = load_state(path, NUMPY)
    return lambda to: save_state(found, to, NUMPY)


def contents(kind, path):
    return tensor_files.read(path, *KEYS[kind], kind, InputError)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def whole(kind, tmp_path):
    """Return (path, content) of a file of this kind, alone in its folder."""
    (tmp_path / "a" / "b").mkdir(parents=True)  # so that ../../ exists
    path = tmp_path / "a" / "b" / "file.safetensors"
    write(kind, path)
    return path, path.read_bytes()


def parts(data):
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def meaning(data):
    header, numbers = parts(data)
    return {**header, "__metadata__": {k: json.loads(v) for k, v in header["__metadata__"].items()}}, numbers


def assert_refused_or_the_same(kind, path, content, changed):
    """Check that a changed file is rejected, or has an equivalent header and the same numbers."""
    path.write_bytes(changed)
    if not isinstance(attempt(read, kind, path), Refusal):
        assert meaning(changed) == meaning(content), "a changed file was accepted"


def assert_alone(path):
    """No file was created beside the file or above its folder."""
    assert [p for p in path.parents[2].rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize("n", others_slow([100, 400], [100]))
def test_rejects_broken_files(kind, whole, n):
    """400 of each kind, the first 100 in the short run."""
    path, content = whole

    @for_each(n, broken_bytes(content))
    def check(changed):
        assert_refused_or_the_same(kind, path, content, changed)

    assert_alone(path)


@pytest.mark.slow
def test_rejects_odd_headers(kind, whole):
    """150 of each kind: the header is valid JSON, and one to three of its values are not what they were."""
    path, content = whole
    header, numbers = parts(content)
    ((key, text),) = header["__metadata__"].items()
    facts = alter_json(json.loads(text)).map(
        lambda other: {**header, "__metadata__": {key: json.dumps(other)}}
    )

    half = json.dumps({**json.loads(text), "about": '{"\ud800": 1}'})  # a lone surrogate, which is not text

    @for_each(150, alter_json(header) | facts | st.just({**header, "__metadata__": {key: half}}))
    def check(other):
        text = json.dumps(other).encode()
        assert_refused_or_the_same(kind, path, content, struct.pack("<Q", len(text)) + text + numbers)

    assert_alone(path)


@pytest.mark.slow
def test_forged_facts_are_rejected_or_preserved(kind, whole):
    """300 of each kind with a correct checksum: an accepted file can be written and read again unchanged."""
    path, _ = whole
    about, arrays = contents(kind, path)
    again = path.with_name("again.safetensors")

    @for_each(300, alter_json(about))
    def check(forged):
        tensor_files.write(path, *KEYS[kind], forged, arrays)
        write_again = attempt(read, kind, path)
        if isinstance(write_again, Refusal):
            return
        write_again(again)
        kept, numbers = contents(kind, again)
        for name in about:
            if name in forged and name in kept and name not in REWRITTEN_FACTS:
                # NaN is not equal to NaN.
                assert kept[name] == forged[name] or repr(kept[name]) == repr(forged[name]), name
        assert numbers.keys() == arrays.keys()
        assert all(same_bits(numbers[name], arrays[name]) for name in arrays)
        read(kind, again)(path)
        assert path.read_bytes() == again.read_bytes()
        again.unlink()

    assert_alone(path)


def odd_arrays(arrays):
    """Change the dtype, shape or name of one array, or remove or add one."""
    dtypes = ("float64", "float16", "int32", "int64", "uint8", "bool")
    changes = st.one_of(
        st.sampled_from(dtypes).map(lambda dtype: lambda a: a.astype(dtype)),
        st.sampled_from(
            [lambda a: a[:0], lambda a: a[None], lambda a: a.reshape(-1)[:1], lambda a: a[..., :-1]]
        ),
        st.sampled_from([0, 1, 2**20]).map(lambda n: lambda a: np.zeros((n, 1), a.dtype)),
        st.just(lambda a: None),
    )
    names = st.sampled_from(sorted(arrays))
    changed = st.builds(lambda name, change: {**arrays, name: change(arrays[name])}, names, changes)
    named = st.builds(
        lambda name, other: {(other if n == name else n): a for n, a in arrays.items()},
        names,
        st.sampled_from(WORDS[1:7]) | st.text("abc./\\~ $%", min_size=1),
    )
    more = st.sampled_from(WORDS[1:7]).map(lambda name: {**arrays, name: np.zeros(3, np.float32)})
    return st.one_of(changed, named, more)


def test_rejects_forged_arrays(kind, whole):
    """100 forged files of each kind have a correct checksum; fit must reject a forged training state."""
    path, _ = whole
    about, arrays = contents(kind, path)
    model = small_model()
    before = model.parameters.vector.copy()

    @for_each(100, odd_arrays(arrays))
    def check(forged):
        forged = {name: np.ascontiguousarray(a) for name, a in forged.items() if a is not None}
        if forged.keys() == arrays.keys() and all(same_bits(forged[n], arrays[n]) for n in arrays):
            return
        tensor_files.write(path, *KEYS[kind], about, forged)
        if kind == "training state":
            x = np.ones((6, 6), np.float32)
            y = np.zeros(6, np.int64)
            outcomes = [attempt(lambda: model.fit(x, y, batch_size=2, epochs=3, resume=read_state(path)))]
        else:
            outcomes = [attempt(read, kind, path)]
        if kind == "checkpoint":
            outcomes.append(attempt(load_weights, model, path))
        assert all(isinstance(outcome, Refusal) for outcome in outcomes)

    assert_alone(path)
    np.testing.assert_array_equal(model.parameters.vector, before)


def test_layers_named_like_paths_stay_names(tmp_path):
    """60 names: a layer may have any name without dots; it never becomes a path."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    path = folder / "model.safetensors"
    x = np.ones((2, 4), np.float32)

    @for_each(60, st.text("ab/\\~:", min_size=1, max_size=12) | st.sampled_from(["~/outside", "/tmp/x"]))
    def check(name):
        model = build_network([Dense(3, name=name)], (4,), seed=2)
        save_model(model, path)
        again = load_model(path, NUMPY)
        assert again.layers[0].name == name
        np.testing.assert_array_equal(again.predict(x), model.predict(x))

    assert_alone(path)


def test_rejects_non_finite_weights_unless_allowed(tmp_path):
    """60 files with NaN or infinity in one element."""
    path = tmp_path / "model.safetensors"
    save_model(small_model(), path)
    about, arrays = contents("checkpoint", path)

    @for_each(
        60, st.sampled_from(sorted(arrays)), st.integers(0, 14), st.sampled_from([np.nan, np.inf, -np.inf])
    )
    def check(name, place, value):
        broken = {**arrays, name: arrays[name].copy()}
        broken[name].flat[place % broken[name].size] = value
        tensor_files.write(path, *KEYS["checkpoint"], about, broken)
        text = str(attempt(load_model, path, NUMPY).error)
        assert f"NaN or infinity in {name}" in text
        assert "--allow-nonfinite" in text
        taken = load_model(path, NUMPY, allow_nonfinite=True).parameters.to_host()
        assert all(same_bits(taken[n], broken[n]) for n in broken)


def test_allocates_nothing_of_a_forged_size(tmp_path):
    """The shapes of the weights are compared with those of the layers before any allocation."""
    path = tmp_path / "model.safetensors"
    save_model(small_model(), path)
    about, arrays = contents("checkpoint", path)
    about["layers"][0]["units"] = 10**6
    tensor_files.write(path, *KEYS["checkpoint"], about, arrays)
    with input_error(r"weights dense_1.W are of shape \(6, 8\), expected shape"):
        load_model(path, NUMPY)
