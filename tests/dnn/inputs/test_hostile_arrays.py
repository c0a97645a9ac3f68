"""Odd arrays as examples, targets and sample weights.

An accepted array gives the bits of its plain contiguous copy. Any other is rejected with one sentence and
leaves the model unchanged.

Generated inputs: 4 backends x 350, into predict, evaluate and fit: 1,400.
"""

import numpy as np
import pytest
import torch
from helpers import others_slow, same_bits, small_model, weights
from hostile import Refusal, attempt, for_each
from hypothesis import strategies as st

from backends import InputError, get_backend

ROWS = 12
FEATURES = 6
CLASSES = 3


class Subclass(np.ndarray):
    """A subclass that adds nothing."""


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def make_unaligned(a):
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


# The same numbers in another memory layout: must be accepted.
LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "read-only": read_only,
    "backwards": lambda a: a[::-1].copy()[::-1],
    "backwards in both": lambda a: np.flip(np.flip(a).copy()),
    "every second": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "every second row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "transposed": lambda a: a.T.copy().T,
    "unaligned": make_unaligned,
    "on the disk": on_disk,
    "a row for all": lambda a: np.broadcast_to(a[:1], a.shape),
    "plain": np.array,
}
# The same numbers in objects of another library or of Python: must be accepted.
HOLDERS = {
    "a list": np.ndarray.tolist,
    "of torch": lambda a: torch.from_numpy(a.copy()),
    "of torch, with a gradient": lambda a: torch.tensor(a, requires_grad=a.dtype.kind == "f"),
    "of strict": lambda a: get_backend("strict").from_host(a.copy()),
}
WELL = {**LAYOUTS, **HOLDERS}
# Other numbers: ODD arrays may be accepted if they are read correctly, NEVER must be rejected.
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
    "matrix subclass": lambda a: a.view(Subclass),
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
    """Return (kind, array, whether it must, may or must not be accepted), from one array or a broken copy."""
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
    name = draw(odd)
    under = "plain" if group == "odd" else draw(layout)
    return f"{name} of {under}", ODD[name](LAYOUTS[under](wanted)), "may"


def plain(odd_array, use):
    """Return the plain contiguous copy, in the model's dtype."""
    if hasattr(odd_array, "detach"):
        odd_array = odd_array.detach()
    host = np.asarray(odd_array).copy(order="C")
    if host.dtype == np.uint8 and use in ("predict x", "evaluate x", "fit x"):
        return host
    return host.astype(np.int64 if use.endswith("numbers") else np.float32)


@pytest.mark.parametrize("name", others_slow(["numpy", "numba", "torch", "strict"], ["numpy", "torch"]))
def test_arrays_are_converted_correctly_or_rejected(name, make_backend):
    """350 for each backend. A rejected array leaves the model and the caller's array unchanged."""
    backend = make_backend(name)
    model = small_model(backend)
    start = weights(small_model(backend))
    rng = np.random.default_rng(14)
    x = rng.random((ROWS, FEATURES), dtype=np.float32)
    y = rng.integers(0, CLASSES, ROWS)
    rows = rng.dirichlet(np.ones(CLASSES), ROWS).astype(np.float32)

    def trained_weights(x, y, **more):
        fresh = small_model(backend)
        try:
            fresh.fit(x, y, batch_size=6, **more)
        except InputError:
            assert same_bits(weights(fresh), start), "a refused fit changed the weights"
            raise
        return weights(fresh)

    uses = {
        "predict x": (x, model.predict),
        "evaluate x": (x, lambda a: np.asarray(model.evaluate(a, y))),
        "evaluate rows": (rows, lambda a: np.asarray(model.evaluate(x, a))),
        "evaluate numbers": (y, lambda a: np.asarray(model.evaluate(x, a))),
        "fit x": (x, lambda a: trained_weights(a, y)),
        "fit rows": (rows, lambda a: trained_weights(x, a)),
        "fit numbers": (y, lambda a: trained_weights(x, a)),
        "fit sample_weight": (np.linspace(0.5, 1.5, ROWS, dtype=np.float32),
                              lambda a: trained_weights(x, y, sample_weight=a)),
    }  # fmt: skip
    if name == "numba":  # a plan adds in another order if x is in plain memory (backends.plan)
        uses = {use: way for use, way in uses.items() if not use.startswith("fit")}
    cases = [arrays(wanted).map(lambda case, use=use: (use, *case)) for use, (wanted, _) in uses.items()]

    @for_each(350, st.one_of(cases))
    def check(case):
        use, kind, array, verdict = case
        if use == "fit sample_weight" and kind == "None":
            return
        before = np.array(array).tobytes() if isinstance(array, np.ndarray) and verdict != "never" else b""
        call = uses[use][1]
        found = attempt(call, array)
        if isinstance(found, Refusal):
            assert verdict in ("may", "never"), kind
        else:
            assert verdict in ("may", "must"), kind
            np.testing.assert_array_equal(found, call(plain(array, use)))
        if before:
            assert np.array(array).tobytes() == before, "the caller's array was written to"

    assert same_bits(weights(model), start)
