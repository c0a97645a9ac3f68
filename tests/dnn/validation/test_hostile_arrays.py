"""Arrays of every odd kind as examples, targets and weights of examples: what is taken gives the bits of its
plain contiguous copy, all else is refused in a sentence and leaves the model as it was.

Generated inputs: 4 backends x 300 into evaluate and predict, 2 x 100 into fit: 1,400.
"""

import numpy as np
import pytest
import torch
from hostile import assert_sentence, examples
from hypothesis import given
from hypothesis import strategies as st

from backends import InputError, get_backend
from dnn import Dense, Sequential

ROWS, FEATURES, CLASSES = 12, 4, 3


class Sub(np.ndarray):
    """A subclass that means nothing to anybody."""


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def unaligned(a):
    memory = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    memory[...] = a
    return memory


def on_disk(a):
    import tempfile

    with tempfile.TemporaryFile() as file:
        kept = np.memmap(file, a.dtype, "w+", shape=a.shape)
    kept[...] = a
    return kept


def torch_array(device):
    def make(a):
        return torch.zeros(a.shape, device=device)

    return make


def strict_array(a):
    backend = get_backend("strict", "device1")
    return backend.from_host(a.copy())


# The same numbers in memory of another order: they must be taken.
LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "read-only": read_only,
    "backwards": lambda a: a[::-1].copy()[::-1],
    "backwards in both": lambda a: np.flip(np.flip(a).copy()),
    "every second": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "every second row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "transposed": lambda a: a.T.copy().T,
    "unaligned": unaligned,
    "on the disk": on_disk,
    "a row for all": lambda a: np.broadcast_to(a[:1], a.shape),
    "plain": np.array,
}
# The same numbers in what another library or the language holds them in: they must be taken.
HOLDERS = {
    "a list": np.ndarray.tolist,
    "of torch": lambda a: torch.from_numpy(a.copy()),
    "of torch, with a gradient": lambda a: torch.tensor(a, requires_grad=a.dtype.kind == "f"),
    "of strict": lambda a: get_backend("strict").from_host(a.copy()),
}
WELL = {**LAYOUTS, **HOLDERS}
# Other numbers, or no array of ours: taken right or refused; of these the second must be refused.
ODD = {
    **{f"as {t}": lambda a, t=t: a.astype(t) for t in (
        "float16", "float64", "int8", "int32", "uint8", "uint16", "bool", ">f4", ">i8", "longdouble"
    )},
    "empty": lambda a: a[:0],
    "fewer rows": lambda a: a[:-1],
    "one axis more": lambda a: a[..., None],
    "one axis less": lambda a: a[0],
    "no axis": lambda a: a.reshape(-1)[0:1].reshape(()),
    "on its side": lambda a: np.ascontiguousarray(a.T),
}  # fmt: skip
NEVER = {
    **{f"as {t}": lambda a, t=t: a.astype(t) for t in ("complex64", "object", "U8", "S8")},
    "dates": lambda a: a.astype("i8").astype("M8[s]"),
    "records": lambda a: np.zeros(len(a), [("x", "f4"), ("y", "f4")]),
    "masked": np.ma.masked_array,
    "matrix subclass": lambda a: a.view(Sub),
    "bytes": np.ndarray.tobytes,
    "memoryview": memoryview,
    "None": lambda a: None,
    "a string": str,
    "the type": type,
    "of torch, without memory": torch_array("meta"),
    "of strict, elsewhere": strict_array,
}


@st.composite
def arrays(draw, wanted):
    """(kind, array, whether it must be taken, may be, or must not), from one array or a broken copy of it."""
    well, layout, odd, never = (st.sampled_from(sorted(names)) for names in (WELL, LAYOUTS, ODD, NEVER))
    group = draw(st.sampled_from(["layout", "layout", "odd", "odd on odd", "never", "not finite"]))
    if group == "layout":
        name = draw(well)
        return name, WELL[name](wanted), "must"
    if group == "never":
        name = draw(never)
        return name, NEVER[name](wanted), "never"
    if group == "not finite":
        broken = wanted.copy()
        if broken.dtype.kind == "f":
            broken.flat[draw(st.integers(0, broken.size - 1))] = draw(
                st.sampled_from([np.nan, np.inf, -np.inf])
            )
        else:
            broken.flat[draw(st.integers(0, broken.size - 1))] = draw(st.sampled_from([-1, CLASSES, 2**62]))
        name = draw(well.filter(lambda name: name != "a row for all"))
        return f"not finite, {name}", WELL[name](broken), "never"
    name, under = draw(odd), "plain" if group == "odd" else draw(layout)
    return f"{name} of {under}", ODD[name](LAYOUTS[under](wanted)), "may"


def model_and_data(name):
    layers = [Dense(5, "relu"), Dense(CLASSES, "softmax")]
    model = Sequential(layers, input_shape=(FEATURES,), backend=get_backend(name), seed=1)
    model.compile()
    rng = np.random.default_rng(14)
    x = rng.random((ROWS, FEATURES), dtype=np.float32)
    rows = rng.dirichlet(np.ones(CLASSES), ROWS).astype(np.float32)
    return model, x, {"rows": rows, "numbers": rng.integers(0, CLASSES, ROWS)}


def plain(given, use):
    """The plain contiguous copy, in the dtype that the model has for it."""
    if hasattr(given, "detach"):
        given = given.detach()
    host = np.asarray(given).copy(order="C")
    if host.dtype == np.uint8 and use in ("predict", "x"):
        return host
    return host.astype(np.int64 if use == "numbers" else np.float32)


@pytest.mark.parametrize("name", ["numpy", "numba", "torch", "strict"])
def test_arrays_are_taken_right_or_refused(name, make_backend):
    """300 for each backend."""
    make_backend(name)
    model, x, y = model_and_data(name)
    weights = model.parameters.to_host()
    uses = {
        "predict": (x, model.predict),
        "x": (x, lambda a: np.asarray(model.evaluate(a, y["numbers"]))),
        "rows": (y["rows"], lambda a: np.asarray(model.evaluate(x, a))),
        "numbers": (y["numbers"], lambda a: np.asarray(model.evaluate(x, a))),
    }
    cases = [arrays(wanted).map(lambda case, use=use: (use, *case)) for use, (wanted, _) in uses.items()]

    @examples(300)
    @given(st.one_of(cases))
    def check(case):
        use, kind, array, verdict = case
        before = np.array(array).tobytes() if isinstance(array, np.ndarray) and verdict != "never" else b""
        call = uses[use][1]
        if name == "strict" and kind == "of strict, elsewhere":
            verdict = "never"
        try:
            answer = call(array)
        except InputError as error:
            assert_sentence(error)
            verdicts = ("may", "never")
        else:
            verdicts = ("may", "must")
            np.testing.assert_array_equal(answer, call(plain(array, use)))
        assert verdict in verdicts, kind
        if before:
            assert np.array(array).tobytes() == before, "the caller's array was written to"

    check()
    for parameter, values in model.parameters.to_host().items():
        np.testing.assert_array_equal(values, weights[parameter])


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_training_takes_arrays_right_or_not_at_all(name):
    """100 for each backend: the weights after two updates are those from plain copies, or as before."""

    def trained(x, y, **more):
        model, _, _ = model_and_data(name)
        start = (
            model.parameters.values.tobytes() if name == "numpy" else bytes(model.parameters.values.numpy())
        )
        try:
            model.fit(x, y, batch_size=6, **more)
        except InputError as error:
            assert_sentence(error)
            values = model.backend.to_host(model.parameters.values)
            assert values.tobytes() == start, "a refused fit changed the weights"
            return None
        return model.backend.to_host(model.parameters.values).tobytes()

    _, x, y = model_and_data(name)
    weights = np.linspace(0.5, 1.5, ROWS, dtype=np.float32)
    uses = {
        "x": (x, lambda a: trained(a, y["numbers"])),
        "numbers": (y["numbers"], lambda a: trained(x, a)),
        "rows": (y["rows"], lambda a: trained(x, a)),
        "sample_weight": (weights, lambda a: trained(x, y["numbers"], sample_weight=a)),
    }
    cases = [arrays(wanted).map(lambda case, use=use: (use, *case)) for use, (wanted, _) in uses.items()]

    @examples(100)
    @given(st.one_of(cases))
    def check(case):
        use, kind, array, verdict = case
        if use == "sample_weight" and kind == "None":
            return
        call = uses[use][1]
        got = call(array)
        if got is None:
            assert verdict != "must"
        else:
            assert verdict != "never"
            assert got == call(plain(array, use))

    check()
