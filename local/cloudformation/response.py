"""The ResponseURL: HTTPS on loopback, as particular as the presigned S3 URL that CloudFormation hands out.

A PUT is taken only with the URL's signature, without a content-type, and with at most 4,096 bytes; S3 refuses the
first two with 403. One response is taken a request: the same bytes again are harmless, as they are to S3, and
anything else after them is refused.
"""

import secrets
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from local.cloudformation.journal import Journal

LIMIT = 4096


@dataclass
class Exchange:
    """One request of CloudFormation and the response to it."""

    request_id: str
    url: str
    lock: threading.Condition = field(default_factory=threading.Condition)
    _body: bytes | None = None
    _closed: bool = False

    def put(self, body: bytes) -> bool:
        """Take the response; False when another one was taken or the time is over. To be called with the lock held."""
        if self._body is None and not self._closed:
            self._body = body
            self.lock.notify_all()
        return self._body == body

    def wait(self, seconds: float) -> bytes | None:
        """Return the response, or None when there was none in time; none is taken afterwards."""
        with self.lock:
            self.lock.wait_for(lambda: self._body is not None, seconds)
            self._closed = True
            return self._body


class ResponseServer:
    """Serves the ResponseURLs of all requests from one thread a connection."""

    def __init__(self, certificate: Path, journal: Journal) -> None:
        self._journal = journal
        self._exchanges: dict[str, Exchange] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    def start(self) -> None:
        """Serve in the background until the process ends."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def open(self, stack_id: str, logical_id: str, request_id: str) -> Exchange:
        """Make the URL for one request, in the form of a presigned S3 URL."""
        signature = secrets.token_hex(32)
        path = urllib.parse.quote(f"{stack_id}|{logical_id}|{request_id}", safe="")
        query = urllib.parse.urlencode(
            {
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
                "X-Amz-Expires": "7200",
                "X-Amz-SignedHeaders": "host",
                "X-Amz-Signature": signature,
            }
        )
        exchange = Exchange(request_id, f"https://127.0.0.1:{self._server.server_port}/{path}?{query}")
        self._exchanges[signature] = exchange
        return exchange

    def accept(self, path: str, content_type: str | None, body: bytes) -> HTTPStatus:
        """Take or refuse one PUT."""
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
        exchange = self._exchanges.get(query.get("X-Amz-Signature", [""])[0])
        if exchange is None:
            return HTTPStatus.FORBIDDEN
        with exchange.lock:  # so that the journal has it before the stack goes on
            status = _judge(exchange, content_type, body)
            content = {"status": status, "body": body.decode(errors="replace")}
            self._journal.write("answer", exchange.request_id, content)
        return status

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        accept = self.accept

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(accept(self.path, self.headers.get("Content-Type"), body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: the URL is a secret."""

        return Handler


def _judge(exchange: Exchange, content_type: str | None, body: bytes) -> HTTPStatus:
    if content_type:
        return HTTPStatus.FORBIDDEN
    if len(body) > LIMIT:
        return HTTPStatus.BAD_REQUEST
    return HTTPStatus.OK if exchange.put(body) else HTTPStatus.FORBIDDEN
