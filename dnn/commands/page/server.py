"""The server: the page's files, and four questions about a picture that is posted to it.

A web page from elsewhere must not use it. Its browser names this page's address in Host only if it was
asked for by that address, and its own in Origin: other names than ours are refused, so that a name which is
made to lead here (DNS rebinding) gets nothing, and so is what another page posts.
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
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from backends import InputError
from backends.errors import one_line, short_repr
from dnn.commands.page.comparison import Comparison
from dnn.commands.page.drawings import Kept
from dnn.commands.page.reader import Answer, Reader

HERE = Path(__file__).resolve().parent
FILES = {"": "index.html", "page.css": "page.css", "page.js": "page.js"}  # path -> file
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
MAX_MEGABYTES = 16  # of a photo
MAX_CONNECTIONS = 64
THREADS = 2  # that answer; each keeps the memory of the largest picture it has decoded
SILENT_SECONDS = 10  # in which a request's headers must arrive, and then its body
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_ours(host: str, name: str) -> bool:
    """Whether a Host header is an address, "localhost", or the name that the page is served at."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@]+)(:\d{1,5})?", host)
    if match is None:
        return False
    if match[1].lower() in ("localhost", name.lower()):
        return True
    try:
        return bool(ip_address(match[1].strip("[]")))
    except ValueError:
        return False


class Guard:
    """Refuses what comes from elsewhere, and adds the headers to every reply."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        origin = headers.get("origin")
        elsewhere = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        app = self.app
        if not is_ours(host, self.name):
            app = _error(403, f"Host is {short_repr(host)}, expected this page's own address")
        elif scope["method"] != "GET" and (elsewhere or origin not in (None, f"http://{host}")):
            app = _error(403, f"Origin is {short_repr(origin)}, expected this page's own address")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await app(scope, receive, send_with_headers)


def _error(code: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, code)


async def _body(request: Request) -> bytes:
    """Return what was posted. Raises HTTPException: it is too large, or does not arrive in time."""
    content = bytearray()
    too_large = HTTPException(413, f"the picture is too large, expected at most {MAX_MEGABYTES} MB")
    if int(request.headers.get("content-length", 0)) > MAX_MEGABYTES * 1_000_000:
        raise too_large
    try:
        async with asyncio.timeout(SILENT_SECONDS):
            async for part in request.stream():
                content += part
                if len(content) > MAX_MEGABYTES * 1_000_000:
                    raise too_large
    except TimeoutError:
        raise HTTPException(408, f"the picture did not arrive within {SILENT_SECONDS} s") from None
    return bytes(content)


class ImpatientProtocol(H11Protocol):
    """uvicorn's HTTP protocol, which closes a connection that sends no complete request headers in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(SILENT_SECONDS, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.close()


def make_app(run: str, reader: Reader, comparison: Comparison, kept: Kept, name: str) -> Starlette:
    """The page of a run, served at an address or name."""

    def keep(content: bytes, request: Request) -> Answer:
        label = request.query_params.get("digit", "")
        if label not in map(str, range(reader.model.outputs)):
            raise InputError(f"digit is {short_repr(label)}, expected one of 0 to {reader.model.outputs - 1}")
        return {"file": str(kept.keep(reader.picture(content, only_digits=False), int(label)))}

    questions: dict[str, Callable[[bytes, Request], Answer]] = {
        "answer": lambda content, request: reader.answer(content),
        "pixels": lambda content, request: reader.pixels(content),
        "backends": lambda content, request: comparison.compare(reader.picture(content)),
        "keep": keep,
    }

    pool = ThreadPoolExecutor(THREADS)

    def question(path: str) -> Route:
        async def reply(request: Request) -> Response:
            content = await _body(request)
            loop = asyncio.get_running_loop()
            try:
                return JSONResponse(await loop.run_in_executor(pool, questions[path], content, request))
            except InputError:
                raise
            except Exception:  # a fault of this program's own: it is told, and the server lives
                traceback.print_exc()
                return _error(500, "draw.py has a fault, which it tells where it was started")

        return Route(f"/{path}", reply, methods=["POST"])

    def file(path: str) -> Route:
        content = (HERE / FILES[path]).read_bytes()
        kind = TYPES[Path(FILES[path]).suffix]
        return Route(f"/{path}", lambda request: Response(content, media_type=kind), methods=["GET"])

    def about(request: Request) -> Response:
        model = reader.model
        named = {"run": run, "outputs": model.outputs, "parameters": model.parameters.count}
        return JSONResponse({**named, "backend": model.backend.name, "only_digits": reader.only_digits})

    async def refuse(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return _error(error.status_code, error.detail)
        return _error(400 if isinstance(error, ClientDisconnect) else 422, one_line(error))

    handled = dict.fromkeys((HTTPException, InputError, ClientDisconnect), refuse)
    routes = [Route("/about", about), *map(file, FILES), *map(question, questions)]
    guard = Middleware(Guard, name=name)
    return Starlette(routes=routes, middleware=[guard], exception_handlers=handled)


def serve(app: Any, host: str, port: int, meanwhile: Callable[[], object]) -> None:
    """Print the page's address, and serve it until Ctrl-C; ``meanwhile`` is done beside it.
    Raises InputError: it cannot be served there.
    """
    if not host:  # which would mean every address of this computer
        raise InputError("host is '', expected an address; write 0.0.0.0 for all addresses of this computer")
    if not 0 <= port <= 65535:
        raise InputError(f"port is {short_repr(port)}, expected 0 to 65535")
    # Critical: it tells of each connection that breaks off in an answer, as a fault with its traceback.
    config = uvicorn.Config(
        app, host, port, log_level="critical", access_log=False, server_header=False, lifespan="off",
        ws="none", http=ImpatientProtocol, limit_concurrency=MAX_CONNECTIONS, timeout_graceful_shutdown=1,
    )  # fmt: skip
    try:  # it listens before the address is told
        door = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, UnicodeError) as error:
        why = (getattr(error, "strerror", None) or "no address").partition(" (while")[0]
        raise InputError(
            f"the page cannot be served at {short_repr(host)}, port {port} ({why}); choose another --port"
        ) from None
    shown_host = f"[{host}]" if ":" in host else host
    server = uvicorn.Server(config)
    beside = threading.Thread(target=meanwhile, daemon=True)

    def end(*_: object) -> None:
        server.should_exit = True

    signal.signal(signal.SIGINT, end)  # before the server is ready too; from then on it has its own
    try:
        print(f"open http://{shown_host}:{door.getsockname()[1]} in a browser; Ctrl-C ends it", flush=True)
        beside.start()
        server.run([door])
    finally:
        door.close()
    if beside.is_alive():  # amid an import or a compilation, in which Python's own end may crash
        os._exit(0)
