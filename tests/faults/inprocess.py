"""AWS in this process: the handler's own botocore, without a socket, a thread or a clock that waits.

A call goes through all of botocore (serialising, signing, parsing, raising) up to where it would be sent; there it is
handed to the strict EC2, STS and DynamoDB. So a run takes milliseconds, is one thread, and can be forked at any call.
"""

import contextlib
import functools
import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from io import BytesIO
from types import SimpleNamespace
from typing import Any, Self, TypeVar
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.core.utils import method_names_from_class
from moto.dynamodb.models import dynamodb_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from werkzeug.test import EnvironBuilder, run_wsgi_app

from handler.cfn import PeeringResource
from handler.function import Function
from handler.lifecycle import Lifecycle
from handler.maintenance import Maintenance
from handler.model import Guard, Mode
from handler.outbox import Outbox
from handler.registry import DynamoStore, Registry
from handler.sessions import Sessions
from local import world as local_world
from local.strict import Settings, StrictAws
from tests.harness import EXTERNAL_ID, HUB, INSTALLATION, VirtualTime, models_made_once

T = TypeVar("T")
URL = "http://aws.in-process"
RESPONSE_URL = (
    "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x?X-Amz-Signature=presigned-secret"
)
TABLE = "registry"
STORED = "/installation/external-id/network-team"
REFERENCES = {
    "ExternalId": f"{{{{resolve:secretsmanager:{STORED[1:]}:SecretString:id}}}}",
    "PeerExternalId": f"{{{{resolve:ssm-secure:{STORED}}}}}",
}
"""How a stack gives the external id without knowing it."""
CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
BLOCKED_SECONDS = 0.5
"""After so long (of the machine's own time) a timer's thread waits for a lock that its process will never release."""

READS = "Describe"
VOLATILE = {"Action", "Version"}
KEY = {"StackId", "LogicalResourceId"}
"""What a call to the registry is told by: the rest of an item changes from run to run."""


@dataclass(frozen=True)
class Call:
    """A call of the handler: what it asks of whom, and the how many of its kind in this invocation it is."""

    service: str
    operation: str
    account: str
    region: str
    parameters: str
    nth: int = 0

    @property
    def kind(self) -> tuple[str, str, str, str]:
        """What a lasting fault is about: an operation of an account and Region."""
        return self.service, self.operation, self.account, self.region

    def __str__(self) -> str:
        return f"{self.service}.{self.operation} {self.account} {self.region} {self.parameters} #{self.nth}"


OF_THREAD = threading.local()
"""The process that a thread belongs to: a timer's may outlive the invocation, and two may run at the same time."""


class Raw(BytesIO):
    """A body as botocore reads it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        """Yield it whole."""
        yield self.read()


Send = Callable[[], AWSResponse]
Hook = Callable[[Call, Send], AWSResponse]
"""What is done in place of sending: the fault, or nothing but to send."""


class Unserved(StrictAws):
    """The strict AWS without a server."""

    url = URL  # type: ignore[assignment]  # a property of the served one

    def answer(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer a request at once."""
        parts = urlsplit(request.url)
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        headers = {k: v.decode() if isinstance(v, bytes) else v for k, v in request.headers.items()}
        builder = EnvironBuilder(parts.path or "/", URL, parts.query, method=request.method, headers=headers, data=body)
        chunks, status, answered = run_wsgi_app(self._application, builder.get_environ())
        return AWSResponse(request.url, int(status.split()[0]), dict(answered), Raw(b"".join(chunks)))


_PEOPLE: dict[str, Unserved] = {}
"""The AWS that people's calls go to: their clients outlive a world."""


def _answer_people(request: AWSPreparedRequest, **_: object) -> AWSResponse:
    return _PEOPLE["asked"].answer(request)


class Serial:
    """A thread pool of one thread, this one."""

    def __init__(self, *_: object) -> None:
        """Take no workers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """All is done."""

    def submit(self, task: Callable[..., T], *arguments: object) -> "Future[T]":
        """Run a task, and return what came of it."""
        future: Future[T] = Future()
        try:
            future.set_result(task(*arguments))
        except Exception as failure:  # noqa: BLE001  # as a pool does
            future.set_exception(failure)
        return future


class Killed(BaseException):
    """Lambda has ended the process; nothing of it goes on."""


@dataclass
class Bucket:
    """Where responses are put, by request: every body, in order."""

    puts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def put(self, body: bytes) -> None:
        """Take one."""
        response = json.loads(body)
        self.puts.setdefault(response["RequestId"], []).append(response)


@dataclass
class Process:
    """One sandbox of the function, and what is done to its calls."""

    hook: Hook
    request_id: str | None = None
    """The request that it serves, if it is one of CloudFormation's."""
    calls: list[Call] = field(default_factory=list)
    dead: bool = False

    def __post_init__(self) -> None:
        """Nothing was called yet."""
        self._counts: dict[Call, int] = {}

    def numbered(self, call: Call) -> Call:
        """Return the call with its number in this invocation."""
        number = self._counts[call] = self._counts.get(call, -1) + 1
        numbered = Call(*call.kind, call.parameters, number)
        self.calls.append(numbered)
        return numbered


class Clients:
    """Clients made once for all processes: a fifth of a run's time. None of them repeats a call, and so none learns."""

    def __init__(self, session: botocore.session.Session) -> None:
        """Make none yet."""
        self._session, self._make = session, session.create_client
        self._made: dict[tuple[object, ...], Any] = {}

    def __call__(
        self,
        service_name: str,
        region_name: str | None = None,
        **more: Any,  # noqa: ANN401  # of botocore's
    ) -> Any:  # noqa: ANN401
        """Return a client; one that repeats calls is made anew."""
        config = more.get("config")
        if config is None or config.retries is None or config.retries.get("total_max_attempts") != 1:
            return self._make(service_name, region_name, **more)
        own = self._session.get_credentials()
        given = more.get("aws_access_key_id", own.access_key if own else None)
        key = (service_name, region_name, id(config), given, more.get("aws_session_token"))
        if key not in self._made:
            self._made[key] = self._make(service_name, region_name, **more)
        return self._made[key]


class InProcess:
    """The function, its AWS and its CloudFormation bucket in this process; one at a time."""

    def __init__(self) -> None:
        self.time = AlarmedTime()
        self.aws = Unserved(Settings(), clock=self.time.now)
        self.bucket = Bucket()
        self.late: list[tuple[str, Call]] = []
        """What was to change EC2 for a request that CloudFormation had the answer to."""
        self.process = Process(lambda _call, send: send())
        session = botocore.session.Session()
        session.register("before-send", self._send)
        session.create_client = Clients(session)
        self.session, self._sessions = session, Sessions(session)
        _PEOPLE["asked"] = self.aws
        people = local_world._session().events  # noqa: SLF001  # of whoever is not the handler
        people.register("before-send", _answer_people, unique_id="in-process")
        for service in ("ec2", "sts", "service-quotas", "dynamodb", "ssm", "secretsmanager", "sqs", "sns"):
            session.create_client(service, "us-east-1")  # parses its model, once for all that are forked
        self._make_table()
        queue = {"QueueName": "maintenance.fifo", "Attributes": {"FifoQueue": "true"}}
        self.queue_url: str = local_world.client(URL, "sqs", HUB, "us-east-1").create_queue(**queue)["QueueUrl"]
        self.topic_arn: str = local_world.client(URL, "sns", HUB, "us-east-1").create_topic(Name="findings")["TopicArn"]
        local_world.client(URL, "ssm", HUB, "us-east-1").put_parameter(
            Name=STORED, Value=EXTERNAL_ID, Type="SecureString"
        )
        local_world.client(URL, "secretsmanager", HUB, "us-east-1").create_secret(
            Name=STORED[1:], SecretString=json.dumps({"id": EXTERNAL_ID})
        )

    def _make_table(self) -> None:
        names = {"StackId": "HASH", "LogicalResourceId": "RANGE"}
        index = {"Maintained": "HASH", "Place": "RANGE"}
        local_world.client(URL, "dynamodb", HUB, "us-east-1").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (*names, *index)],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in names.items()],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "Maintained",
                    "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in index.items()],
                    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Names"]},
                }
            ],
        )

    def items(self) -> list[dict[str, Any]]:
        """Return all items of the registry, parsed."""
        table = dynamodb_backends[HUB]["us-east-1"].tables[TABLE]
        return [json.loads(item.attrs["Body"].value) for item in table.all_items()]

    def sent(self) -> tuple[list[str], list[str]]:
        """Return the messages that wait in the queue of maintenance, and those that the topic of findings has told."""
        topic = sns_backends[HUB]["us-east-1"].topics[self.topic_arn]
        return [str(each.body) for each in self._waiting], [str(each) for each in topic.sent_notifications]

    def received(self) -> list[str]:
        """Return the messages that wait in the queue of maintenance, and take them out of it."""
        waiting, _ = self.sent()
        self._waiting.clear()
        return waiting

    @property
    def _waiting(self) -> list[Any]:
        queue = sqs_backends[HUB]["us-east-1"].queues[self.queue_url.rpartition("/")[2]]
        return queue._messages  # type: ignore[no-any-return]  # noqa: SLF001  # to receive them takes them away

    def begin(self, hook: Hook) -> None:
        """Let what is called from now on be a fresh process', whose calls go through the hook."""
        self.process = Process(hook)

    def start(self, hook: Hook) -> Function:
        """Start a fresh process of the function."""
        self.begin(hook)
        registry = Registry(DynamoStore(self.session, TABLE), self.time.clock)
        lifecycle = Lifecycle(self._sessions, INSTALLATION, Guard(), maintained=True)
        outbox = Outbox(self.session, self.queue_url, self.topic_arn)
        return Function(PeeringResource(lifecycle, registry), Maintenance(lifecycle, registry, outbox, Mode.REPAIR))

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        return self._called(self._identified(request), lambda: self.aws.answer(request))

    def _called(self, call: Call, send: Send) -> AWSResponse:
        process: Process = getattr(OF_THREAD, "process", self.process)
        if process.dead:
            raise Killed
        numbered = process.numbered(call)
        if process.request_id in self.bucket.puts and call.service == "ec2" and not call.operation.startswith(READS):
            self.late.append((str(process.request_id), numbered))
        try:
            return process.hook(numbered, send)
        except Killed:
            process.dead = True
            raise

    def _identified(self, request: AWSPreparedRequest) -> Call:
        headers = {k: v.decode() if isinstance(v, bytes) else v for k, v in request.headers.items()}
        found = CREDENTIAL.search(headers["Authorization"])
        assert found
        key, region, service = found.groups()
        target = headers.get("X-Amz-Target", "")
        body = request.body.decode() if isinstance(request.body, bytes) else request.body
        given: Mapping[str, Any] = json.loads(body) if target else dict(parse_qsl(body))
        operation = target.rpartition(".")[2] or given["Action"]
        item = given.get("Key", given.get("Item", {}))
        told = {name: item[name] for name in KEY & item.keys()} if service == "dynamodb" else given
        parameters = {name: value for name, value in told.items() if name not in VOLATILE}
        account = key if key.isdigit() else self._account_of(key)
        return Call(service, operation, account, region, json.dumps(parameters, sort_keys=True))

    def _account_of(self, key: str) -> str:
        from local.strict.gateway import _account_of  # noqa: PLC0415  # the gateway's own reading of a key

        return _account_of(key) or "nobody"

    def put(self, body: bytes) -> SimpleNamespace:
        """Take a response, as the bucket does; it is a call like any other."""

        def take() -> AWSResponse:
            self.bucket.put(body)
            return AWSResponse(RESPONSE_URL, 200, {}, Raw(b""))

        return SimpleNamespace(status=self._called(Call("s3", "PutResponse", "", "us-east-1", ""), take).status_code)


class AlarmedTime(VirtualTime):
    """A virtual time at which timers go off."""

    def restart(self) -> None:
        """Begin at an hour past midnight, without timers."""
        super().restart()
        self._now = 3600.0
        self.alarms: list[Alarm] = []

    def pass_by(self, seconds: float) -> None:
        """Move on without anybody sleeping."""
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Move on; what is due on the way goes off."""
        ends = self._now + seconds
        for alarm in sorted(self.alarms, key=lambda alarm: alarm.at):
            if alarm.at <= ends and alarm in self.alarms:
                self._now = max(self._now, alarm.at)
                self.alarms.remove(alarm)
                alarm.go_off()
        self._now = max(self._now, ends)


@dataclass(eq=False)
class Alarm:
    """crhelper's timer, by the virtual time."""

    time: AlarmedTime
    seconds: float
    run_out: Callable[[], None]
    process: "Process"

    def start(self) -> None:
        """Begin to run."""
        self.at = self.time.now() + self.seconds
        self.time.alarms.append(self)

    def go_off(self) -> None:
        """Run out in a thread of its own, as the timer does; where it waits for this thread, it waits in vain."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        thread.join(BLOCKED_SECONDS)

    def _run(self) -> None:
        OF_THREAD.process = self.process
        with contextlib.suppress(Killed):
            self.run_out()

    def cancel(self) -> None:
        """Never go off."""
        if self in self.time.alarms:
            self.time.alarms.remove(self)


@contextlib.contextmanager
def in_process(environment: Collection[tuple[str, str]] = ()) -> Iterator[InProcess]:
    """Let the handler run in this process, with nothing of the outside."""
    variables = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": HUB,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_ENDPOINT_URL": URL,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        **dict(environment),
    }
    with patch.dict("os.environ", variables), models_made_once():
        here = InProcess()

        class Pool:
            """The way to the bucket."""

            def __init__(self, **_: object) -> None:
                """Need nothing."""

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                """Keep nothing."""

            def request(self, _method: str, _url: str, *, body: bytes, **_: object) -> SimpleNamespace:
                return here.put(body)

        class Connection(Pool):
            """crhelper's own way to the bucket."""

            def request(self, *, body: str, **_: object) -> SimpleNamespace:  # type: ignore[override]
                return here.put(body.encode())

            def getresponse(self) -> SimpleNamespace:
                return SimpleNamespace(reason="OK")

        waits = SimpleNamespace(sleep=here.time.sleep, time=here.time.now)
        timers = SimpleNamespace(
            Timer=lambda seconds, run_out: Alarm(
                here.time, seconds, run_out, getattr(OF_THREAD, "process", here.process)
            )
        )
        with (
            patch("crhelper.utils.HTTPSConnection", lambda *_, **__: Connection()),
            patch("crhelper.utils.time", waits),
            patch("botocore.endpoint.time", waits),
            patch("botocore.waiter.time", waits),
            patch("handler.parallel.ThreadPoolExecutor", Serial),
            patch("crhelper.resource_helper.threading", timers),
            patch("handler.response.urllib3.PoolManager", Pool),
            patch("moto.core.responses.method_names_from_class", functools.cache(method_names_from_class)),
            patch("handler.response.ssl.create_default_context"),  # reads all of the machine's authorities
        ):
            yield here
