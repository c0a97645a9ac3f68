"""The page's server limits memory and connections."""

import contextlib
import io
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from command_lines import serving, serving_process
from helpers import MAX_SECONDS, others_slow
from PIL import Image, ImageDraw

from dnn.datasets.digits import load_digit_image

httpx = pytest.importorskip("httpx", reason="it asks the page's server")
pytest.importorskip("starlette", reason="the page's server")
server = pytest.importorskip("dnn.commands.page.server", reason="the page's server")

# The largest image of each kind that the server accepts.
LARGE_FORMATS = {
    "PNG, RGB": ("RGB", (2000, 2000), "PNG"),
    "PNG, RGBA": ("RGBA", (2000, 2000), "PNG"),
    "JPEG": ("RGB", (8000, 6250), "JPEG"),
    "WebP": ("RGB", (2000, 2000), "WEBP"),
}


def picture(mode, size, form):
    """Return an image of a black 1 on white as bytes."""
    image = Image.new(mode, size, "white")
    width, height = size
    stroke = (width // 2, height // 5, width // 2, 4 * height // 5)
    ImageDraw.Draw(image).line(stroke, "black", width // 12)
    content = io.BytesIO()
    image.save(content, form)
    return content.getvalue()


@pytest.mark.parametrize("kind", others_slow(LARGE_FORMATS, ["PNG, RGB", "JPEG"]))
def test_large_uploads_are_read(kind):
    digit = load_digit_image(picture(*LARGE_FORMATS[kind]))
    assert digit.shape == (28, 28)
    assert digit[14].max() == 255


@pytest.mark.parametrize(
    ("mode", "size", "form"),
    [("RGB", (2100, 2100), "PNG"), ("RGB", (2100, 2100), "WEBP"), ("RGB", (9000, 6250), "JPEG")],
)
def test_too_large_uploads_are_rejected(mode, size, form):
    with pytest.raises(ValueError, match=r"the picture is too large: .* at most 4 megapixels"):
        load_digit_image(picture(mode, size, form))


def peak_mb(process):
    """Return the peak memory of a process in MB."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) / 1000


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_concurrent_large_pictures_use_bounded_memory(page_folder):
    """Two threads, and what the allocator keeps."""
    small = picture("L", (90, 90), "PNG")
    large = picture(*LARGE_FORMATS["PNG, RGB"])
    with serving_process("run", cwd=page_folder) as (url, process):

        def post(route, content):
            return httpx.post(f"{url}/{route}", content=content, timeout=MAX_SECONDS).status_code

        # Waits for the import of all backends, which the server begins in a thread: it takes more memory.
        assert post("backends", small) == 200
        first = peak_mb(process)
        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(post, ["answer"] * 12, [large] * 12)) <= {200, 422}
        assert peak_mb(process) < first + 3 * 80


@pytest.mark.slow
@pytest.mark.parametrize("first", [b"", b"GET /about HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_silent_connections_are_closed(page_folder, first):
    """Also after a complete request and the first bytes of another one."""
    with serving("run", cwd=page_folder) as url:
        address = urlsplit(url)
        silent = []
        for _ in range(server.MAX_CONNECTIONS):
            silent.append(socket.create_connection((address.hostname, address.port)))
            if first:
                silent[-1].sendall(first)
                assert silent[-1].recv(4096).startswith(b"HTTP/1.1 200")
                with contextlib.suppress(OSError):  # it is closed
                    silent[-1].sendall(first[:-2])
        slow = socket.create_connection((address.hostname, address.port))
        slow.sendall(b"GET / HTTP/1.1\r\nHost: ")  # incomplete headers
        deadline = time.monotonic() + MAX_SECONDS
        while time.monotonic() < deadline:
            reply = httpx.get(url, timeout=MAX_SECONDS)
            if reply.status_code == 200:
                break
            assert reply.status_code == 503  # while the other connections are open
            time.sleep(0.5)
        assert reply.status_code == 200
        for connection in (*silent, slow):
            connection.close()
        httpx.post(f"{url}/keep?digit=1", content=picture("L", (90, 90), "PNG"), timeout=MAX_SECONDS)
    assert len(list((page_folder / "run-drawings" / "1").iterdir())) == 1
