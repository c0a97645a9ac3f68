"""The web server of the drawing page: its files, and four POST routes that take a picture.

Other web pages must not use this server. A request is rejected unless its Host header is this page's own
address, which stops DNS rebinding, and a POST is rejected if its Origin is another page.
"""

import asyncio
import os
import re
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, DispatchFunction, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from uvicorn.protocols.http.h11_impl import H11Protocol

from backends import InputError
from backends.errors import one_line, reraise, short_repr
from dnn.commands.page.comparison import Comparison
from dnn.commands.page.drawings import save_drawing
from dnn.commands.page.reader import Reader
from dnn.commands.pictures import read_picture
from dnn.io.notices import print_line
from dnn.settings.checks import require
from dnn.typing import Json

PAGE_FOLDER = Path(__file__).with_name("static")
MAX_MEGABYTES = 16  # size of an uploaded picture
MAX_CONNECTIONS = 64
N_THREADS = 2  # worker threads; each keeps the memory of the largest picture it has decoded
RECEIVE_TIMEOUT_SECONDS = 10  # for a request's headers, and again for its body
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Connection": "close",  # a second request on a connection would have no time limit for its headers
}


def is_own_host(host: str, name: str) -> bool:
    """Return whether a Host header is an IP address, "localhost", or the name that the page is served at."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@]+)(:\d{1,5})?", host)
    if match is None:
        return False
    if match[1].lower() in ("localhost", name.lower()):
        return True
    try:
        return bool(ip_address(match[1].strip("[]")))
    except ValueError:
        return False


def _error_response(code: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, code)


async def _read_body(request: Request) -> bytes:
    """Return the request's body. Raises HTTPException: it is too large, or does not arrive in time."""
    content = bytearray()
    try:
        async with asyncio.timeout(RECEIVE_TIMEOUT_SECONDS):
            async for part in request.stream():
                content += part
                if len(content) > MAX_MEGABYTES * 1_000_000:
                    expected = f"expected at most {MAX_MEGABYTES} MB"
                    raise HTTPException(413, f"the picture is too large, {expected}")
    except TimeoutError:
        raise HTTPException(408, f"the picture did not arrive within {RECEIVE_TIMEOUT_SECONDS} s") from None
    return bytes(content)


class HeaderTimeoutProtocol(H11Protocol):
    """uvicorn's HTTP protocol with a time limit on the request headers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(RECEIVE_TIMEOUT_SECONDS, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.close()


def make_guard(name: str) -> DispatchFunction:
    """Return a middleware that rejects requests of other pages, and adds SECURITY_HEADERS to every reply."""

    async def guard(request: Request, answer: RequestResponseEndpoint) -> Response:
        host = request.headers.get("host", "")
        origin = request.headers.get("origin")
        elsewhere = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        reply: Response
        if not is_own_host(host, name):
            reply = _error_response(403, f"Host is {short_repr(host)}, expected this page's own address")
        elif request.method != "GET" and (elsewhere or origin not in (None, f"http://{host}")):
            reply = _error_response(403, f"Origin is {short_repr(origin)}, expected this page's own address")
        else:
            reply = await answer(request)
        reply.headers.update(SECURITY_HEADERS)
        return reply

    return guard


def make_app(run: str, reader: Reader, comparison: Comparison, drawings: Path, name: str) -> Starlette:
    """Return the web application for a run.

    Args:
        drawings: folder for saved drawings; it is created when the first one is saved.
        name: address or name that the page is served at.
    """

    classes = reader.names or tuple(map(str, range(reader.model.outputs)))

    def keep(content: bytes, request: Request) -> Json:
        label = request.query_params.get("digit", "")
        require(label in classes, "digit", label, f"one of {', '.join(classes)}")
        picture = read_picture(content, reader.model, reader.names, only_digits=False)
        return {"file": str(save_drawing(drawings, picture.squeeze(), label))}

    questions: dict[str, Callable[[bytes, Request], Json]] = {
        "answer": lambda content, request: reader.answer(content),
        "pixels": lambda content, request: reader.pixels(content),
        "backends": lambda content, request: comparison.compare(reader.picture(content)),
        "keep": keep,
    }

    pool = ThreadPoolExecutor(N_THREADS)

    def post_route(path: str) -> Route:
        async def reply(request: Request) -> Response:
            content = await _read_body(request)
            loop = asyncio.get_running_loop()
            try:
                return JSONResponse(await loop.run_in_executor(pool, questions[path], content, request))
            except InputError:
                raise
            except Exception:  # a bug: report it and keep serving
                traceback.print_exc()
                return _error_response(500, "draw.py has an internal error; its terminal shows the traceback")

        return Route(f"/{path}", reply, methods=["POST"])

    def about(request: Request) -> Response:
        model = reader.model
        named = {"run": run, "classes": classes, "parameters": model.parameters.count}
        return JSONResponse({**named, "digits": not reader.names, "backend": model.backend.name})

    async def refuse(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return _error_response(error.status_code, error.detail)
        return _error_response(422, one_line(error))

    handled = dict.fromkeys((HTTPException, InputError), refuse)
    files = Mount("/", StaticFiles(directory=PAGE_FOLDER, html=True))
    routes = [Route("/about", about), *map(post_route, questions), files]
    guards = [Middleware(BaseHTTPMiddleware, dispatch=make_guard(name))]
    return Starlette(routes=routes, middleware=guards, exception_handlers=handled)


def serve(app: Any, host: str, port: int, meanwhile: Callable[[], object]) -> None:
    """Print the page's address and serve it until Ctrl-C. ``meanwhile`` runs in a thread beside it.

    Raises InputError: the address or port cannot be used.
    """
    # socket would listen on all addresses of this computer for an empty host.
    require(host != "", "host", host, "an address", "write 0.0.0.0 for all addresses of this computer")
    require(0 <= port <= 65535, "port", port, "0 to 65535")
    # Log level "critical": below it uvicorn prints a traceback for each connection that breaks off.
    config = uvicorn.Config(
        app, host, port, log_level="critical", access_log=False, server_header=False, lifespan="off",
        ws="none", http=HeaderTimeoutProtocol, limit_concurrency=MAX_CONNECTIONS, timeout_graceful_shutdown=1,
    )  # fmt: skip
    got = f"the page cannot be served at {short_repr(host)}, port {port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with reraise((OSError, UnicodeError), got, cure="choose another --host or --port"):
        listener = socket.create_server((host, port), family=family)  # before the address is printed
    host_in_url = f"[{host}]" if ":" in host else host
    server = uvicorn.Server(config)
    thread = threading.Thread(target=meanwhile, daemon=True)

    def end(*_: object) -> None:
        server.should_exit = True

    signal.signal(signal.SIGINT, end)  # until uvicorn installs its own handler
    try:
        address = f"http://{host_in_url}:{listener.getsockname()[1]}"
        print_line(f"open {address} in a browser; Ctrl-C stops the server")
        thread.start()
        server.run([listener])
    finally:
        listener.close()
    if thread.is_alive():  # Python's own exit may crash during an import or a compilation
        os._exit(0)
