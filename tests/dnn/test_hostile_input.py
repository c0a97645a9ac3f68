"""Thousands of made-up bad inputs: each is refused in a sentence or handled right.

Every case is drawn from a seed, so that a failure can be repeated; DNN_HOSTILE multiplies their number.
"""

import io
import json
import os
import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from backends import InputError, get_backend
from dnn import Dense, Sequential
from dnn.checkpoints import load_model, save_model
from dnn.images import load_digit_image
from dnn.runs import load_run
from dnn.training_state import TrainingState, read_state, write_state

TIMES = int(os.environ.get("DNN_HOSTILE", "1"))
SENTENCE = 700  # characters


def refused(error):
    """A refusal is one line of a readable length."""
    text = str(error)
    assert text
    assert "\n" not in text.strip(), text
    assert len(text) < SENTENCE, text


def small_model():
    layers = [Dense(5, "relu"), Dense(3, "softmax")]
    model = Sequential(layers, input_shape=(4,), backend=get_backend("numpy"), seed=1)
    model.compile()
    return model


# --------------------------------------------------------------------------- files of numbers


def broken_file(rng, content):
    """A file with something wrong: cut, flipped, overwritten, lengthened, or with another header."""
    data = bytearray(content)
    how = rng.integers(7)
    at = int(rng.integers(len(data)))
    if how == 0:
        return bytes(data[:at])
    if how == 1:
        data[at] ^= 1 << int(rng.integers(8))
    elif how == 2:
        data[at : at + 8] = rng.bytes(8)
    elif how == 3:
        data += rng.bytes(int(rng.integers(1, 64)))
    elif how == 4:  # the header's length
        lengths = [0, 1, 2**20, 2**40, 2**63, 2**64 - 1]
        data[:8] = struct.pack("<Q", lengths[int(rng.integers(len(lengths)))])
    elif how == 5:
        data = bytearray(rng.bytes(int(rng.integers(0, 200))))
    else:
        data = bytearray(other_header(rng, content))
    return bytes(data)


def other_header(rng, content):
    """Valid safetensors with one thing in its header replaced by something odd."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    odd = [None, -1, 2**70, "", "../../../etc/passwd", [], {}, [[1]], float("inf"), True, "F64", "x" * 1000]
    value = odd[int(rng.integers(len(odd)))]
    names = [n for n in header if n != "__metadata__"]
    name = names[int(rng.integers(len(names)))]
    where = rng.integers(6)
    if where == 0:
        header[name] = value
    elif where == 1:
        header[name][str(rng.choice(["dtype", "shape", "data_offsets"]))] = value
    elif where == 2:
        header["../../outside"] = header.pop(name)
    elif where == 3:
        header["__metadata__"] = value
    else:
        key = next(iter(header["__metadata__"]))
        facts = json.loads(header["__metadata__"][key])
        inner = json.loads(facts["about"])
        if where == 4:
            facts[str(rng.choice(list(facts)))] = value
        else:
            inner[str(rng.choice(list(inner)))] = value
            facts["about"] = json.dumps(inner)
        header["__metadata__"][key] = json.dumps(facts)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


@pytest.mark.parametrize("kind", ["checkpoint", "training state"])
def test_broken_files_are_refused(tmp_path, kind):
    path = tmp_path / "file.safetensors"
    if kind == "checkpoint":
        save_model(small_model(), path)
    else:
        write_state(TrainingState(2, 5, {"seed": 1}, {"loss": [0.5]}, {"control": np.ones(4)}), path)
    content, rng = path.read_bytes(), np.random.default_rng(11)
    backend, same = get_backend("numpy"), 0
    for _ in range(900 * TIMES):
        broken = broken_file(rng, content)
        path.write_bytes(broken)
        try:
            if kind == "checkpoint":
                load_model(path, backend)
            else:
                read_state(path)
        except InputError as error:
            refused(error)
        else:
            same += 1
            assert broken == content or json_equal(broken, content), "a changed file was taken for whole"
    assert same < 30
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.safetensors"]


def json_equal(broken, content):
    """Whether only what means nothing was changed: the same header in other words, the same numbers."""

    def parts(data):
        (length,) = struct.unpack("<Q", data[:8])
        return json.loads(data[8 : 8 + length]), data[8 + length :]

    return parts(broken) == parts(content)


def test_broken_run_configurations_are_refused(tmp_path):
    save_model(small_model(), tmp_path / "model.safetensors")
    good = {"dataset": "digits", "hidden": [5], "seed": 0}
    rng, path = np.random.default_rng(12), tmp_path / "config.json"
    for _ in range(300 * TIMES):
        text = json.dumps(good).encode()
        how = rng.integers(4)
        if how == 0:
            text = text[: int(rng.integers(len(text)))]
        elif how == 1:
            text = rng.bytes(int(rng.integers(1, 60)))
        elif how == 2:
            text = b"[" * int(rng.choice([1, 100, 100_000]))
        else:
            text = rng.choice([b"[]", b"1", b"null", b'"x"', b"{}", b"\xff\xfe{}", b"NaN"])
        path.write_bytes(text)
        try:
            config, _ = load_run(tmp_path, lambda dtype: get_backend("numpy", dtype=dtype))
        except InputError as error:
            refused(error)
        else:
            assert isinstance(config, dict)


# --------------------------------------------------------------------------- pictures


def picture(rng):
    """A small picture in some mode and format, as bytes."""
    mode = str(rng.choice(["L", "RGB", "RGBA", "CMYK", "P", "1", "I;16", "LA"]))
    size = (int(rng.integers(1, 60)), int(rng.integers(1, 60)))
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0])).astype(np.uint8))
    image = image.convert(mode if mode != "I;16" else "I").convert(mode) if mode != "L" else image
    formats = {"CMYK": ["JPEG"], "I;16": ["PNG"], "1": ["PNG", "BMP"], "P": ["PNG", "GIF"], "LA": ["PNG"]}
    kind = str(
        rng.choice(formats.get(mode, ["PNG", "GIF", "WEBP", "BMP"] if mode != "RGB" else ["JPEG", "PNG"]))
    )
    options = {}
    if kind == "JPEG":
        exif = Image.Exif()
        exif[0x0112] = int(rng.integers(0, 10))  # orientation, also ones that do not exist
        options["exif"] = exif
    if kind == "GIF":
        options = {"save_all": True, "append_images": [image.copy()]}
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_odd_and_broken_pictures(tmp_path):
    rng, path = np.random.default_rng(13), tmp_path / "digit"
    read = 0
    for _ in range(700 * TIMES):
        content = bytearray(picture(rng))
        for _ in range(int(rng.integers(0, 4))):
            how, at = rng.integers(3), int(rng.integers(len(content) or 1))
            if how == 0:
                content = content[: at + 1]
            elif how == 1:
                content[at : at + 1] = rng.bytes(1)
            else:
                content[at : at + 4] = rng.bytes(4)  # sizes and lengths too
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                image = load_digit_image(path)
            except InputError as error:
                refused(error)
            else:
                read += 1
                assert image.shape == (28, 28)
                assert image.dtype == np.uint8
    assert read > 20 * TIMES  # noise is rarely a digit


# --------------------------------------------------------------------------- arrays


def arrays(rng, wanted):
    """(array, right): the wanted numbers in some form; right if they may be taken."""
    how = rng.integers(14)
    if how == 0:
        return np.asfortranarray(wanted), True
    if how == 1:
        frozen = wanted.copy()
        frozen.flags.writeable = False
        return frozen, True
    if how == 2:
        return wanted[::-1].copy()[::-1], True  # negative strides
    if how == 3:
        return np.repeat(wanted, 2, axis=-1)[..., ::2], True
    if how == 4:
        return wanted.astype(rng.choice(["float64", "float16", "int32", "complex64", "object"])), False
    if how == 5:
        return wanted[:0], False
    if how == 6:
        return np.ma.masked_array(wanted), False
    if how == 7:
        return wanted.tolist(), False
    if how == 8:
        return wanted.T.copy() if wanted.ndim > 1 else wanted[:, None, None], wanted.shape[0] == wanted.shape[
            -1
        ]
    if how == 9:
        broken = wanted.copy()
        broken.reshape(-1)[int(rng.integers(wanted.size))] = rng.choice([np.nan, np.inf, -np.inf])
        return broken, False
    if how == 10:
        return None, False
    if how == 11:
        return wanted[..., None], False
    if how == 12:
        return wanted.astype(">f4"), None  # big-endian: taken right or refused
    return np.asarray(wanted, order="C"), True


@pytest.mark.parametrize("name", ["numpy", "numba", "torch", "strict"])
def test_arrays_are_taken_right_or_refused(name):
    layers = [Dense(5, "relu"), Dense(3, "softmax")]
    model = Sequential(layers, input_shape=(4,), backend=get_backend(name), seed=1)
    model.compile()
    rng = np.random.default_rng(14)
    x = rng.random((12, 4), dtype=np.float32)
    y = rng.dirichlet(np.ones(3), 12).astype(np.float32)
    expected, value = model.predict(x), model.evaluate(x, y).loss
    weights = model.parameters.to_host()
    for _ in range(500 * TIMES):
        which = rng.integers(2)
        given, right = arrays(rng, x if which == 0 else y)
        try:
            if which == 0:
                answer, wanted = model.predict(given), expected
            else:
                answer, wanted = model.evaluate(x, given).loss, value
        except InputError as error:
            refused(error)
            assert right is not True, error  # noqa: PT017
        else:
            assert right is not False
            np.testing.assert_array_equal(answer, wanted)
    for parameter, values in model.parameters.to_host().items():
        np.testing.assert_array_equal(values, weights[parameter])


# --------------------------------------------------------------------------- values


ODD = (
    None,
    "",
    "x",
    -1,
    0,
    1.5,
    True,
    [],
    {},
    (),
    float("nan"),
    float("inf"),
    2**70,
    b"1",
    object(),
    "10",
    -0.0,
)


def test_settings_are_refused_or_right():
    from dnn import SGD, Adam, LinearDecay

    rng, made = np.random.default_rng(15), 0
    makers = {
        Dense: ("units", "activation", "initializer"),
        Adam: ("learning_rate", "beta1", "beta2", "epsilon"),
        SGD: ("learning_rate", "momentum", "nesterov"),
        LinearDecay: ("initial", "steps", "final"),
    }
    defaults = {Dense: {"units": 3}, LinearDecay: {"initial": 0.1, "steps": 5}}
    for _ in range(800 * TIMES):
        kind = list(makers)[int(rng.integers(len(makers)))]
        settings = dict(defaults.get(kind, {}))
        for name in rng.choice(makers[kind], int(rng.integers(1, 3)), replace=False):
            settings[str(name)] = ODD[int(rng.integers(len(ODD)))]
        try:
            kind(**settings)
        except InputError as error:
            refused(error)
        else:
            made += 1
    assert 0 < made < 400 * TIMES


def test_fit_settings_are_refused_before_anything_is_changed():
    model = small_model()
    rng = np.random.default_rng(16)
    x, y = rng.random((12, 4), dtype=np.float32), rng.integers(0, 3, 12)
    before = model.parameters.values.copy()
    for _ in range(300 * TIMES):
        name = str(rng.choice(["batch_size", "epochs", "validation_data"]))
        odd = [v for v in ODD if v is not True and not (name == "validation_data" and v is None)]
        with pytest.raises(InputError) as caught:
            model.fit(x, y, **{name: odd[int(rng.integers(len(odd)))]})
        refused(caught.value)
    np.testing.assert_array_equal(model.parameters.values, before)
