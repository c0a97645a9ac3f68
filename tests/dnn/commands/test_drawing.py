"""The drawing page without a browser: what the server answers, rejects and saves, and how it ends.

Generated inputs: 100 requests that are broken, huge or from other pages, times DNN_HOSTILE (10 gives 1,000).
"""

import contextlib
import io
import json
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from command_lines import assert_refused, run, run_here
from helpers import MAX_SECONDS, both_dtypes, build_network, input_error
from hostile import for_each
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from backends import get_backend
from dnn import Dense
from dnn.layers import BatchNormalization, Conv2D, Flatten, Rescaling

httpx = pytest.importorskip("httpx", reason="it asks the page's server")
pytest.importorskip("starlette", reason="the page's server")
pytest.importorskip("uvicorn", reason="the page's server")

from dnn.commands.page.comparison import Comparison  # noqa: E402
from dnn.commands.page.reader import Reader, forward  # noqa: E402
from dnn.commands.page.server import MAX_MEGABYTES, is_own_host  # noqa: E402


def post(url, **settings):
    return httpx.post(url, timeout=MAX_SECONDS, **settings)


def png(draw=None, size=(96, 96)):
    """Return a page as PNG bytes, with a 7 on it or with what ``draw`` draws."""
    page, data = Image.new("L", size, 255), io.BytesIO()
    pen = ImageDraw.Draw(page)
    (draw or (lambda d: d.line([(30, 20), (65, 20), (42, 78)], 0, 7, joint="curve")))(pen)
    page.save(data, "PNG")
    return data.getvalue()


def network(dtype="float32", side=28):
    layers = [Rescaling(1 / 255), Dense(40), BatchNormalization(), Dense(30, "tanh"), Dense(10, "softmax")]
    return build_network(layers, (side * side,), get_backend("numpy", dtype=dtype))


@pytest.fixture(scope="module")
def reader():
    return Reader(network(), only_digits=True)


# ----- predictions


def test_answer_matches_predict(reader):
    answer = reader.answer(png())
    x = np.array(answer["picture"], np.uint8)
    expected = reader.model.predict(x.reshape(1, 784))[0]
    np.testing.assert_allclose(answer["outputs"], expected, atol=1e-6)
    assert answer["digit"] == expected.argmax()
    assert [(h["name"], h["units"]) for h in answer["hidden"]] == [("dense_1", 40), ("dense_2", 30)]
    assert max(np.abs(answer["hidden"][1]["values"])) <= 1  # tanh


def test_pixel_contribution_of_a_linear_network():
    """With one layer a pixel's contribution is its ink times the difference of two weights."""
    model = build_network([Dense(10, "softmax")], (784,))
    reader = Reader(model, only_digits=True)
    found = reader.pixels(png())
    x = reader.picture(png()).ravel().astype(np.float64)
    weights = model.parameters.to_host()["dense_1.W"].astype(np.float64)
    expected = x * (weights[:, found["for"]] - weights[:, found["against"]])
    np.testing.assert_allclose(found["parts"], expected, atol=1e-3)
    assert reader.answer(png())["digit"] == found["for"] != found["against"]


def test_convolutions_have_hidden_layers_too():
    layers = [Conv2D(4, 3, "relu"), Flatten(), Dense(10, "softmax")]
    model = build_network(layers, (28, 28, 1))
    (hidden,) = forward(model, np.ones((2, 28, 28, 1), np.float32)).hidden.items()
    assert (hidden[0], hidden[1].shape) == ("conv2d_1", (2, 26 * 26 * 4))
    assert len(Comparison(model)._inner) == 2


@both_dtypes
def test_backends_are_within_the_bound(reader, dtype):
    comparison = Comparison(network(dtype))
    found = comparison.compare(reader.picture(png()))
    names = [row["backend"] for row in found["rows"]]
    assert names[0] == "numpy"
    assert {"torch", "strict"} <= set(names)
    assert found["holds"]
    assert 0 < found["largest"] < found["bound"] < (1e-5 if dtype == "float32" else 1e-13)
    values = comparison._models["torch"].parameters.vector  # a wrong backend is found
    values[...] = values * (1 + 1e-4)
    assert not comparison.compare(reader.picture(png()))["holds"]


@pytest.mark.parametrize(
    "draw", [lambda d: None, lambda d: d.rectangle((20, 20, 70, 70), 0), lambda d: d.point((50, 50), 0)]
)
def test_rejects_pictures_without_a_digit(reader, draw):
    for ask in (reader.answer, reader.pixels):
        with input_error("the picture shows no"):
            ask(png(draw))


def test_rejects_models_for_other_inputs():
    with input_error("expected"):
        Reader(build_network([Dense(10)], (5,)), only_digits=True)


# ----- the server


def test_a_drawing_is_answered_and_saved(url, page_folder):
    reply = post(f"{url}/answer", content=png())
    assert reply.status_code == 200
    assert reply.json()["shape"] == [8, 8]
    assert post(f"{url}/pixels", content=png()).json()["for"] == reply.json()["digit"]
    rows = post(f"{url}/backends", content=png()).json()["rows"]
    assert {row["digit"] for row in rows} == {reply.json()["digit"]}
    drawings = post(f"{url}/keep?digit=7", content=png()).json()["file"]
    assert Path(drawings).parent == page_folder / "run-drawings" / "7"
    for digit in ("", "10", "-1", "7/..", "../7", "\x00", "seven"):
        refused = post(f"{url}/keep", params={"digit": digit}, content=png())
        assert (refused.status_code, "digit is" in refused.json()["error"]) == (422, True)
    assert {path.name for path in (page_folder / "run-drawings").iterdir()} <= {"1", "3", "7", "9"}


def test_the_page_loads_no_external_resources(url):
    for path in ("", "page.css", "page.js"):
        reply = httpx.get(f"{url}/{path}", timeout=MAX_SECONDS)
        assert reply.status_code == 200
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert not {"//cdn", "https:", "http:", "@import"} & set(reply.text.split())
        assert "http" not in reply.text.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8000", True), ("localhost", True), ("LOCALHOST:1", True), ("[::1]:8000", True),
        ("192.168.0.7:80", True), ("mine.local:8000", True), ("evil.example", False), ("", False),
        ("evil.example:8000", False), ("localhost.evil.example", False), ("127.0.0.1.evil.example", False),
        ("localhost@evil.example", False), ("[::1", False), ("localhost:x", False),
        ("127.0.0.1:8000/x", False),
    ],
)  # fmt: skip
def test_host_headers(host, ours):
    assert is_own_host(host, "mine.local") is ours


def test_requests_of_other_pages_are_rejected(url):
    address = {"host": urlsplit(url).netloc}
    for headers in (
        {"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
        {"origin": url.replace("http", "https")}, {"origin": "http://localhost:1"},
        {"sec-fetch-site": "same-site"}, {"host": "evil.example"}, {"host": "evil.example", "origin": "http://evil.example"},
    ):  # fmt: skip
        for path in ("answer", "keep?digit=3"):
            reply = post(f"{url}/{path}", content=png(), headers={**address, **headers})
            assert reply.status_code == 403, headers
    good = {**address, "origin": url, "sec-fetch-site": "same-origin"}
    assert post(f"{url}/answer", content=png(), headers=good).status_code == 200


def request(path, body, length, method, headers, host):
    length = len(body) if length is None else length
    head = f"{method} /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}\r\n"
    return head.encode() + body


def hostile_requests(host):
    """Return a strategy for requests with odd parts, or bytes that are no request."""
    one, bomb = st.sampled_from, bytearray(png())
    bomb[16:24] = (100_000).to_bytes(4, "big") * 2  # width and height in the header
    return st.binary(min_size=1, max_size=5000) | st.builds(
        request,
        one(["answer", "pixels", "backends", "keep?digit=3", "keep?digit=../3", "", "%00", "a" * 9000]),
        one([png(), b"", b"x", bytes(3000), png()[:60], bytes(bomb), png(lambda d: None), b"Z\r\n"]),
        st.none() | one([10**9, 10**30, -1, "x", "", 5]),
        one(["POST", "POST", "POST", "GET", "PUT", "DELETE", "X"]),
        one(["", "", f"X: {'y' * 200_000}\r\n", "Transfer-Encoding: chunked\r\n", "Origin: http://evil\r\n",
             "A: b\r\n" * 500]),
        one([host, host, host, "evil", "", "a b", "x" * 500, "[::", "127.0.0.1:99999"]),
    )  # fmt: skip


def test_the_server_survives_hostile_requests(url, page_folder):
    address, codes = urlsplit(url), []

    @for_each(100, hostile_requests(address.netloc), st.booleans())
    def check(content, hangs_up):
        connection = socket.create_connection((address.hostname, address.port), timeout=MAX_SECONDS)
        with connection, contextlib.suppress(OSError):  # the server may close the connection
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            if not hangs_up:
                codes.append(connection.recv(200)[9:12])

    assert set(codes) & {b"400", b"403", b"404", b"405", b"413", b"422"}
    assert b"500" not in codes
    assert post(f"{url}/answer", content=png()).status_code == 200
    assert {path.name for path in page_folder.iterdir()} <= {"run", "run-drawings"}
    # test_page_limits.py, which uses the same folder, saves a drawing as 1.
    assert {path.name for path in (page_folder / "run-drawings").glob("*")} <= {"1", "3", "7", "9"}


def test_body_size_is_limited_regardless_of_content_length(url):
    def parts():
        for _ in range(MAX_MEGABYTES + 1):
            yield bytes(1_000_000)

    for content in (parts(), b"".join(parts())):
        with contextlib.suppress(httpx.TransportError):  # the server may close the connection
            assert post(f"{url}/answer", content=content).status_code == 413
    assert httpx.get(f"{url}/about", timeout=MAX_SECONDS).status_code == 200


# ----- the command line


def test_a_busy_port_is_reported(url, page_folder):
    port = str(urlsplit(url).port)
    assert_refused(run("draw run --port", port, cwd=page_folder), "port", port, "in use")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], ["expected"]),
        (["run", "--port", "99999"], ["expected"]),
        (["run", "--host", "no.such.name."], ["served"]),
        (["run", "--host", ""], ["host is ''", "0.0.0.0"]),
    ],
)
def test_bad_server_arguments_are_reported(arguments, words, page_folder):
    assert_refused(run_here("draw", *arguments, cwd=page_folder), *words)


def test_a_missing_extra_is_reported(page_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "dnn.commands.page.server", None)  # importing it raises
    assert_refused(run_here("draw run", cwd=page_folder), "Starlette", "[page]")


@pytest.mark.slow
def test_predict_deskews_digits(page_folder):
    slanted = png(lambda d: d.line([(75, 15), (20, 80)], 0, 8))
    (page_folder / "one.png").write_bytes(slanted)
    said = run_here("predict run one.png --json --deskew", cwd=page_folder).stdout
    assert json.loads(said)["images"][0]["digit"] == 1
