"""The way of a call: account, faults, latency, throttling, effect, log. All else goes to moto's own server."""

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache, partial
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from moto.core.utils import get_service_model
from moto.ec2.exceptions import FilterNotImplementedError
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import BackendRequest, DomainDispatcherApplication, create_backend_app
from moto.sts.responses import TokenResponse
from werkzeug.wrappers import Response

from local.strict import quotas
from local.strict.authorization import Grant, asked_of, caller_of, refused
from local.strict.calls import Call
from local.strict.connections import State
from local.strict.ec2 import Ec2
from local.strict.faults import Fault, due
from local.strict.settings import Settings
from local.strict.sts import Sts, StsError
from local.strict.throttle import Throttle

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

Environ = dict[str, Any]

CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
ERROR_CODE = re.compile(r'<Code>(.*?)</Code>|"__type": "(.*?)"')
STRANGER = {"ec2": "AuthFailure", "sts": "InvalidClientTokenId", "servicequotas": "UnrecognizedClientException"}
"""Error code of a key that belongs to no account, by service: those that are answered here."""
GUARDED = {"dynamodb", "secretsmanager", "sns", "sqs", "ssm"}
"""Services that moto answers, and that are asked for permission all the same."""
DENIED = {"ec2": "UnauthorizedOperation", "sts": "AccessDenied"}
MODELS = {"servicequotas": "service-quotas"}
"""Names of botocore's models where they are not those of the signature."""
STATUSES = {
    "AccessDenied": 403,
    "AuthFailure": 401,
    "DryRunOperation": 412,
    "InternalError": 500,
    "InvalidClientTokenId": 403,
    "NotImplemented": 501,
    "RequestLimitExceeded": 503,
}


class Caller(NamedTuple):
    """What the signature says; the signature itself is not checked."""

    key: str
    region: str
    service: str


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    body: str

    @property
    def error(self) -> str | None:
        """AWS error code."""
        found = ERROR_CODE.search(self.body) if self.status >= 400 else None  # noqa: PLR2004 - HTTP
        return (found[1] or found[2]) if found else None


def refusal(service: str, code: str, message: str, status: int | None = None) -> Reply:
    """Answer an error in the service's protocol; the XML is read by the parsers of EC2 and of STS."""
    status = status or STATUSES.get(code, 400)
    if service == "servicequotas":
        return Reply(status, json.dumps({"__type": code, "Message": message}))
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    body = f"<Response><Errors>{error}</Errors>{error}<RequestID>strict</RequestID></Response>"
    return Reply(status, body)


def _account_of(key: str) -> str | None:
    if re.fullmatch(r"\d{12}", key):
        return key
    accounts = ((account, iam["aws"]) for account, iam in list(iam_backends.items()))
    return next((account for account, iam in accounts if key in iam.access_keys), None)


@cache
def operations_of(service: str) -> frozenset[str]:
    """List what botocore's model of the service knows."""
    return frozenset(get_service_model(service).operation_names)


class Gateway:
    """The WSGI application; one effect at a time, since moto is not made for threads."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.grants: list[Grant] = []
        self.watchers: list[Callable[[Call], None]] = []
        self.throttle = Throttle(state.clock)
        self.lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._others = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: Environ, start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        found = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        caller = Caller(*found.groups()) if found else Caller("", "", "")
        account = _account_of(caller.key)
        if account:
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
        if caller.service not in STRANGER and not (
            account and (denied := self._denied_elsewhere(environ, caller, account))
        ):
            others: Iterable[bytes] = self._others(environ, start_response)
            return others
        if caller.service not in STRANGER:
            reply = Reply(400, json.dumps({"__type": "AccessDeniedException", "Message": denied}))
        elif account is None:
            message = "AWS was not able to validate the provided access credentials"
            reply = refusal(caller.service, STRANGER[caller.service], message)
        else:
            reply = self._call(environ, caller, account)
        content_type = "application/x-amz-json-1.1" if caller.service == "servicequotas" else "text/xml"
        return Response(reply.body, reply.status, content_type=content_type)(environ, start_response)

    def _call(self, environ: Environ, caller: Caller, account: str) -> Reply:
        number, started = next(self._numbers), self.state.clock()
        request = BackendRequest(environ)
        operation = request.headers.get("X-Amz-Target", "").removeprefix(quotas.TARGET)
        operation = operation or request.values.get("Action", "")
        with self.lock:
            fault = due(self.faults, operation, account, caller.region)
        pause = self.state.settings.latency + (fault.seconds if fault and fault.effect == "delay" else 0)
        if pause:
            time.sleep(pause)
        with self.lock:
            reply, params = self._effect(request, operation, caller, account, fault)
            lost = fault is not None and fault.effect == "lost"
            ended = self.state.clock()
            call = (number, started, ended, caller.service, operation, account, caller.region, params)
            agent = request.headers.get("User-Agent", "")
            self.calls.append(Call(*call, 0 if lost else reply.status, reply.error, agent))
            for watch in self.watchers:
                watch(self.calls[-1])
        if lost:
            raise ConnectionResetError("a fault: the reply is lost")
        return Reply(200, "<broken") if fault and fault.effect == "malformed" else reply

    def _effect(
        self, request: BackendRequest, operation: str, caller: Caller, account: str, fault: Fault | None
    ) -> tuple[Reply, dict[str, Any]]:
        params, answer = self._prepared(request, operation, caller)
        refuse = partial(refusal, caller.service)
        if fault and fault.effect == "error":
            return refuse(fault.code, fault.message, fault.status), params
        if self.state.settings.throttled and not self.throttle.admits(operation, account, caller.region):
            return refuse("RequestLimitExceeded", "Request limit exceeded."), params
        if denied := self._denied(operation, params, caller, account):
            return refuse(DENIED.get(caller.service, "AccessDeniedException"), denied, 403), params
        if params.get("DryRun"):
            return refuse("DryRunOperation", "Request would have succeeded, but DryRun flag is set."), params
        return _answered(caller.service, answer), params

    def _denied_elsewhere(self, environ: Environ, caller: Caller, account: str) -> str | None:
        if caller.service not in GUARDED or not self.state.settings.enforced:
            return None
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = BytesIO(body)
        if "HTTP_X_AMZ_TARGET" in environ:
            operation, params = environ["HTTP_X_AMZ_TARGET"].rpartition(".")[2], json.loads(body)
        else:
            params = dict(parse_qsl(body.decode()))
            operation = params["Action"]
        return self._denied(operation, params, caller, account)

    def _denied(self, operation: str, params: dict[str, Any], caller: Caller, account: str) -> str | None:
        if not self.state.settings.enforced:
            return None
        asked = asked_of(self.state, caller.service, operation, params, account, caller.region)
        return refused(caller_of(self.state, account, caller.key), caller.key, asked, self.grants)

    def _prepared(
        self, request: BackendRequest, operation: str, caller: Caller
    ) -> tuple[dict[str, Any], Callable[[], Reply]]:
        if operation not in operations_of(MODELS.get(caller.service, caller.service)):
            message = f"The action {operation} is not valid for this web service."
            return {}, partial(refusal, caller.service, "InvalidAction", message)
        if caller.service == "servicequotas":
            params: dict[str, Any] = json.loads(request.get_data())
            return params, partial(_of_quotas, self.state.settings, operation, params)
        response = Ec2(self.state) if caller.service == "ec2" else Sts(self.state, caller.key)
        response.setup_class(request)
        return response.params, partial(_of_moto, response)


def _of_quotas(settings: Settings, operation: str, params: dict[str, Any]) -> Reply:
    return Reply(200, json.dumps(quotas.answer(settings, operation, params)))


def _of_moto(response: TokenResponse | Ec2) -> Reply:
    status, _, body = response.call_action()
    reply = Reply(status, body if isinstance(body, str) else body.decode())
    return reply._replace(status=STATUSES.get(reply.error or "", status))


def _answered(service: str, answer: Callable[[], Reply]) -> Reply:
    try:
        return answer()
    except (StsError, quotas.QuotaError) as error:
        return refusal(service, error.code, str(error))
    except FilterNotImplementedError as error:
        return refusal(service, "InvalidParameterValue", f"The filter is invalid: {error}")
    except NotImplementedError as error:
        return refusal(service, "NotImplemented", str(error))
