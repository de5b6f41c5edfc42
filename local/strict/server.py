"""The strict EC2 and STS as an HTTP server on loopback, in a thread of this process."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from moto.moto_api._internal import mock_random
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from local.strict import peering, routes
from local.strict.authorization import Grant
from local.strict.calls import Call
from local.strict.connections import EXPIRED, Connection, Place, State, Status
from local.strict.faults import Fault
from local.strict.gateway import Environ, Gateway
from local.strict.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

SEED = 20260101


class _Handler(MotoRequestHandler):
    """Silent, and without Nagle's delay: headers and body are two writes."""

    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the log of calls says more."""

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:  # noqa: ANN401, ARG002
        """Close the connection together with a lost reply."""
        self.close_connection = True


class StrictAws:
    """The server as a context manager: `with StrictAws(Settings()) as aws: ... aws.url`.

    moto's state belongs to the process, so one server at a time and process; starting one empties it, as does
    moto's own `mock_aws`. `clock` yields seconds: throttling, expiry, retention and the log of calls follow it.
    """

    def __init__(
        self, settings: Settings | None = None, port: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if "MOTO_ACCOUNT_ID" in os.environ:
            raise RuntimeError("MOTO_ACCOUNT_ID makes all accounts one: unset it")
        os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
        self._port, self._clock = port, clock
        self.reset(settings or Settings())

    def reset(self, settings: Settings | None = None) -> None:
        """Empty everything; identifiers repeat. Keeps the settings unless new ones are given."""
        state = State(settings or self.settings, self._clock)
        moto_api_backend.reset()
        mock_random.seed(SEED)
        self._gateway = Gateway(state)

    @property
    def settings(self) -> Settings:
        """Effective with the next call."""
        return self._gateway.state.settings

    @property
    def calls(self) -> list[Call]:
        """Every call of EC2, STS and Service Quotas, in the order in which they ended."""
        return self._gateway.calls

    @property
    def faults(self) -> list[Fault]:
        """Those that have not fired yet."""
        return self._gateway.faults

    @property
    def grants(self) -> list[Grant]:
        """Return every permission that a role's policies have given since the settings enforce them."""
        return self._gateway.grants

    @property
    def watchers(self) -> list[Callable[[Call], None]]:
        """Called after the effect of each such call, before its reply and before any other call.

        What a watcher looks at, it must look at directly, with `routes_of` say: a call of its own would wait for ever.
        """
        return self._gateway.watchers

    @property
    def url(self) -> str:
        """Of a server that runs."""
        return f"http://127.0.0.1:{self._server.port}"

    def start(self) -> None:
        """Listen on 127.0.0.1."""
        self._server = make_server("127.0.0.1", self._port, self._application, threaded=True, request_handler=_Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def connection(self, connection_id: str) -> Connection:
        """Return the truth about a connection, whatever the sides see. Raises KeyError."""
        return self._gateway.state.connections[connection_id]

    @property
    def connections(self) -> dict[str, Connection]:
        """The truth about all connections, by id."""
        return self._gateway.state.connections

    def routes_of(self, table_id: str) -> dict[str, str]:
        """Return the truth about a table, wherever it is: the target of each static route that works, by destination.

        A route to a connection that is not active is none.
        """
        return routes.working(table_id)

    def newest(self) -> str:
        """Return the id of the connection that was requested last."""
        return next(reversed(self._gateway.state.connections))

    def accept(self, connection_id: str, place: Place) -> None:
        """Let the accepter's account accept, in its Region, without a call; a watcher may."""
        peering.accept(self._gateway.state, place, connection_id)

    def reject(self, connection_id: str, place: Place) -> None:
        """Let it refuse."""
        peering.reject(self._gateway.state, place, connection_id)

    def expire(self, connection_id: str) -> None:
        """Let a pending request expire now."""
        connection = self.connection(connection_id)
        self._gateway.state.end(connection, EXPIRED, connection.requester.place)

    def fail(self, connection_id: str, message: str) -> None:
        """Let a connection fail, for that reason."""
        connection = self.connection(connection_id)
        self._gateway.state.end(connection, Status("failed", message), connection.requester.place)

    def forget(self, connection_id: str) -> None:
        """Show an ended connection no longer; routes to it stay."""
        del self._gateway.state.connections[connection_id]

    def plant_propagated_route(self, table_id: str, cidr: str, gateway_id: str) -> None:
        """Propagate a route into a table, wherever that table is, as a virtual private gateway does."""
        routes.plant(table_id, cidr, gateway_id)

    def _application(self, environ: Environ, start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/strict/"):
            return self._administer(Request(environ))(environ, start_response)
        return self._gateway(environ, start_response)

    def _administer(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/strict/calls":
                since = request.args.get("since", 0, int)
                calls = [call.as_json() for call in list(self.calls) if call.number > since]
                return Response(json.dumps(calls, default=str), content_type="application/json")
            case "POST", "/strict/reset":
                self.reset()
            case "POST", "/strict/settings":
                for name, value in request.get_json(force=True).items():
                    if not hasattr(self.settings, name):
                        return Response(f"no such setting: {name}\n", 400)
                    setattr(self.settings, name, value)
            case _:
                return Response("GET /strict/calls?since=N, POST /strict/reset, POST /strict/settings\n", 404)
        return Response(status=204)
