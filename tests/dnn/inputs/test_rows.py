"""Examples that stay on the disk, or sparse: the same numbers as from an array."""

import numpy as np
import pytest
import scipy.sparse
from helpers import (
    NUMPY,
    assert_same_training,
    build_network,
    input_error,
    numbers,
    others_slow,
    same_bits,
    small_data,
    small_model,
    weights,
)

from backends import get_backend
from dnn import Dense, Dropout, Rescaling
from dnn.inputs.arrays import check_examples
from dnn.inputs.rows import OnDisk, Rows
from dnn.settings.base import layer_from_config
from dnn.training.evaluation import load_batches
from dnn.training.state import fingerprint

# A call of a model ignores NumPy's warnings; these tests call what is below it.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")


def on_disk(path, array, mode="r"):
    array.tofile(path)
    return np.memmap(path, array.dtype, mode, shape=array.shape)


FORMS = {
    "map": on_disk,
    "map to write to": lambda path, a: on_disk(path, a, "r+"),
    "map with changes": lambda path, a: on_disk(path, a, "c"),
    "half of a map": lambda path, a: on_disk(path, np.concatenate([a, a]))[len(a) :],
    "csr": lambda path, a: scipy.sparse.csr_array(a),
    "csc": lambda path, a: scipy.sparse.csc_matrix(a),
    "coo": lambda path, a: scipy.sparse.coo_array(a),
}
DTYPES = ("float32", "float64", "uint8", "int16")


def data_of(dtype):
    x, y = small_data()
    return (np.maximum(x, 0) * 20).astype(dtype), y


@pytest.mark.parametrize("dtype", others_slow(DTYPES, ["float32", "uint8"]))
@pytest.mark.parametrize("form", FORMS)
def test_rows_have_the_numbers_of_an_array(backend, tmp_path, form, dtype):
    x, y = data_of(dtype)
    source = FORMS[form](tmp_path / "x", x)
    plain = small_model(backend)
    other = small_model(backend)
    options = {"batch_size": 8, "epochs": 2, "validation_split": 0.3}
    one = plain.fit(x, y, **options).history
    two = other.fit(source, y, **options).history
    assert_same_training(plain, other, numbers(one), numbers(two))
    assert same_bits(other.predict(x, batch_size=7), other.predict(source, batch_size=7))
    assert other.evaluate(x, y) == other.evaluate(source, y)
    checked = check_examples(backend, "x", source, (6,))
    assert isinstance(checked, Rows)
    assert fingerprint(backend, checked) == fingerprint(backend, check_examples(backend, "x", x, (6,)))


@pytest.mark.parametrize(
    ("layers", "loss"),
    [
        ([Rescaling(0.5), Dense(8, "gelu", use_bias=False), Dense(3)], "hinge"),
        ([Dropout(0.1), Dense(3, "softmax")], "categorical_crossentropy"),  # becomes dense
    ],
)
def test_few_nonzeros_stay_sparse(backend, layers, loss):
    """With a penalty and weights; the product adds in another order, so numbers differ by rounding."""
    rng = np.random.default_rng(0)
    x = rng.random((50, 30)) * (rng.random((50, 30)) < 0.1)
    y = small_data()[1]
    found = []
    for source in (x, scipy.sparse.csr_array(x)):
        copies = [layer_from_config(type(layer), layer.config()) for layer in layers]
        model = build_network(copies, (30,), backend)
        model.compile(loss, "adam", l2=1e-3)
        history = model.fit(source, y, batch_size=8, epochs=2, sample_weight=np.linspace(0.5, 1.0, 50))
        evaluated = model.evaluate(source, y)
        found.append(
            [weights(model), model.predict(source, batch_size=7), history.history["loss"], evaluated]
        )
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_changes_to_a_memory_map_are_used(tmp_path):
    x, _ = small_data()
    for mode in ("r+", "c"):
        source = on_disk(tmp_path / mode, x, mode)
        source[3] = 7.0
        checked = check_examples(NUMPY, "x", source, (6,))
        assert isinstance(checked, OnDisk)
        for _ in range(2):
            assert checked.take(np.asarray([3, 3, 4]))[:2].tolist() == [[7.0] * 6] * 2
        assert source[3, 0] == 7.0
        # A copy is not a memory map.
        assert not isinstance(check_examples(NUMPY, "x", source.copy(), (6,)), Rows)


@pytest.mark.parametrize(("size", "rows"), [(1, 1), (48, 2), (71, 2), (10**6, 50)])
def test_bytes_read_at_a_time(monkeypatch, size, rows):
    """As many rows of 24 bytes as fit into a block, and at least one."""
    x, _ = small_data()
    monkeypatch.setattr("dnn.inputs.rows.CHUNK_BYTES", size)
    places, parts = zip(*Rows(scipy.sparse.csr_array(x), "float32")[3:, ...].chunks(), strict=True)
    assert same_bits(np.concatenate(parts), x[3:])
    assert [len(x[3:][place]) for place in places] == [len(part) for part in parts]
    assert len(parts[0]) == min(rows, 47)


def test_duplicate_entries_are_added(backend):
    twice = scipy.sparse.csr_array((np.ones(2, "f4"), [1, 1], [0, 2, 2]), shape=(2, 6))
    assert check_examples(backend, "x", twice, (6,)).take(np.asarray([0])).tolist() == [[0, 2, 0, 0, 0, 0]]
    too_large = twice * np.float32(3e38)
    with np.errstate(over="ignore"), input_error("x holds NaN or infinity"):
        check_examples(backend, "x", too_large, (6,))


REFUSED = {
    "nan": (np.nan, "f4", "x holds NaN or infinity, first in example 8, expected"),
    "too large": (1e39, "f8", "x holds NaN or infinity, or a number too large for float32"),
    "complex": (1j, "c8", "x has dtype complex64, expected numbers"),
}


@pytest.mark.parametrize("form", ["map", "csr", "csc"])
@pytest.mark.parametrize("case", REFUSED)
def test_rejects_invalid_arguments(backend, tmp_path, form, case):
    value, dtype, message = REFUSED[case]
    x = np.zeros((9, 6), dtype)
    x[8, 5] = value
    with backend.isolated(), input_error(message):
        check_examples(backend, "x", FORMS[form](tmp_path / "x", x), (6,))
    with input_error(r"x has shape \(9, 6\), expected \(N, 5\)"):
        check_examples(backend, "x", FORMS[form](tmp_path / "x", x), (5,))


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_array, scipy.sparse.csr_matrix])
@pytest.mark.parametrize(
    ("indices", "starts"), [([0, 9], [0, 1, 2]), ([-1, 1], [0, 1, 2]), ([0, 1], [0, 5, 2])]
)
def test_rejects_damaged_matrices(form, indices, starts):
    """SciPy makes them, and its products read or write outside of the arrays."""
    x = form((np.ones(2, "f4"), indices, starts), shape=(2, 2))
    with input_error(r"x is a damaged sparse matrix .*, expected indices inside its shape"):
        check_examples(get_backend("numpy"), "x", x, (2,))


def test_rejects_memory_maps_of_a_single_number(tmp_path):
    alone = np.memmap(tmp_path / "x.bin", "f4", "w+", shape=())
    with input_error(r"x has shape \(\), expected \(N, 3\)"):
        check_examples(NUMPY, "x", alone, (3,))


@pytest.mark.parametrize(("chunk", "rows"), [(8, 8), (100, 50)])
def test_chunks_share_the_memory_of_the_largest(chunk, rows):
    x, _ = small_data(50)
    batches = [batch for _, _, batch in load_batches(small_model(), x, chunk)]
    assert {batch.base.nbytes for batch in batches} == {rows * 6 * 4 + 64}  # 64 bytes for the alignment
