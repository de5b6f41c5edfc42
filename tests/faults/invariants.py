"""What must hold whatever has failed, each as a value: where it does not, what is wrong is told."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from moto.sts.models import sts_backends

from tests.faults.engine import SECONDS, Engine
from tests.faults.scene import Scene
from tests.harness import EXTERNAL_ID

MOST_CALLS: Final = 2000
"""Of one invocation: a call that is refused until the deadline is repeated every second or two."""

SECRETS: Final = ("presigned-secret", "X-Amz-Signature", EXTERNAL_ID)
UNRECORDED: Final = "the response could not be recorded"
LEFT_BEHIND: Final = "may remain on the accepter's side"


@dataclass(frozen=True)
class Violation:
    """An invariant that does not hold."""

    invariant: str
    detail: str

    def as_json(self) -> dict[str, str]:
        """Members by name."""
        return asdict(self)


def checked(scene: Scene, log: str) -> Iterator[Violation]:
    """Yield what does not hold once CloudFormation has nothing more to send for now."""
    for engine in scene.engines:
        yield from _answers(engine)
        yield from (Violation("CloudFormation is content", problem) for problem in engine.problems)
        yield from _bounds(engine)
    yield from _connections(scene)
    yield from _routes(scene, log)
    yield from _strangers(scene)
    yield from _secrets(scene, log)


def _answers(engine: Engine) -> Iterator[Violation]:
    for event in engine.events:
        puts = engine.here.bucket.puts.get(event["RequestId"], [])
        different = {json.dumps(put, sort_keys=True) for put in puts}
        if len(different) > 1:
            yield Violation("one response", f"{event['RequestType']}: {sorted(different)}")


def _connections(scene: Scene) -> Iterator[Violation]:
    living = {engine.physical_id: engine for engine in scene.engines if engine.physical_id}
    owned = set(scene.owned())
    for connection_id in owned - living.keys():
        yield Violation("no orphan", f"{connection_id} is live, and the resource of no stack")
    for connection_id, engine in living.items():
        if connection_id in owned and not engine.disturbed:
            yield from _settings(scene, engine)
        elif not engine.disturbed:
            yield Violation("SUCCESS means done", f"{connection_id} is not there")


def _routes(scene: Scene, log: str) -> Iterator[Violation]:
    ours = scene.ours().items()
    wanted = {route for engine in scene.engines for route in scene.wanted(engine).items()}
    disturbed = {engine.physical_id for engine in scene.engines if engine.disturbed}
    for place, target in wanted - ours:
        if target not in disturbed:
            yield Violation("SUCCESS means done", f"route {place} is missing")
    remaining = {(place, target) for place, target in ours - wanted if target not in disturbed}
    if LEFT_BEHIND in log:
        accepters = {
            table
            for engine in scene.engines
            for event in engine.events
            for table in scene.ends(event["ResourceProperties"])[1].route_table_ids
        }
        scene.left |= {route for route in remaining if route[0][0] in accepters}
    for place, target in remaining - scene.left:
        yield Violation("no orphan", f"route {place} still leads to {target}")


def _settings(scene: Scene, engine: Engine) -> Iterator[Violation]:
    properties, connection_id = engine.properties or {}, engine.physical_id or ""
    connection = scene.here.aws.connection(connection_id)
    if connection.status.value.code != "active":
        yield Violation("SUCCESS means done", f"{connection_id} is {connection.status.value.code}")
        return
    vpc, peer = scene.ends(properties)
    if connection.accepter.vpc_id != peer.id:
        yield Violation("SUCCESS means done", f"{connection_id} leads to {connection.accepter.vpc_id}")
    given = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
    for end in (vpc, peer):
        missing = given.items() - scene.tags(end, connection_id).items()
        if missing:
            yield Violation("SUCCESS means done", f"tags {missing} are missing in {end.region} of {end.account}")
    for role, prefix in (("Requester", ""), ("Accepter", "Peer")):
        option = "AllowDnsResolutionFromRemoteVpc"
        wanted = properties.get(f"{prefix}{option}")
        if wanted and wanted != str(connection.options[role].value.get(option, False)).lower():
            yield Violation("SUCCESS means done", f"the {role.lower()}'s {option} is not {wanted}")


def _strangers(scene: Scene) -> Iterator[Violation]:
    if scene.foreign() != scene.before:
        yield Violation("strangers notice nothing", f"{scene.before} became {scene.foreign()}")


def _secrets(scene: Scene, log: str) -> Iterator[Violation]:
    queue, topic = scene.here.sent()
    written = {
        "logs and metrics": log,
        "responses": scene.here.bucket.puts,
        "registry": scene.here.items(),
        "queue": queue,
        "topic": topic,
        "answers": [engine.answers for engine in scene.engines],
    }
    for place, told in written.items():
        text = told if isinstance(told, str) else json.dumps(told)
        yield from (
            Violation("no secret is told", f"{secret} in {place}")
            for secret in (*SECRETS, *credentials())
            if secret in text
        )


def credentials() -> Iterator[str]:
    """Yield the secrets of every session that was ever opened."""
    for backends in sts_backends.values():
        for role in backends["aws"].assumed_roles:
            yield from (role.secret_access_key, role.session_token)


def _bounds(engine: Engine) -> Iterator[Violation]:
    for invocation in engine.invocations:
        if invocation.calls > MOST_CALLS or invocation.seconds > SECONDS:
            kind = invocation.event.get("RequestType", "maintenance")
            yield Violation("bounded", f"{kind}: {invocation.calls} calls in {invocation.seconds:.0f} s")


def replayed(scene: Scene, log: str) -> Iterator[Violation]:
    """Yield what changes when every event comes once more, to a fresh process.

    An answer that the registry could not take, and the log says so, may be another one the next time.
    """
    here = scene.here
    before, puts = scene.routes(), {request: list(found) for request, found in here.bucket.puts.items()}
    statuses = list(scene.connections())
    for engine, event in [(stack, event) for stack in scene.engines for event in stack.events]:
        first = puts.get(event["RequestId"], [None])[0]
        engine.invoke(event)
        last = here.bucket.puts.get(event["RequestId"], [None])[-1]
        if first is not None and first != last and UNRECORDED not in log:
            yield Violation("a replay changes nothing", f"{event['RequestType']}: {first} became {last}")
    if (before, statuses) != (scene.routes(), list(scene.connections())):
        yield Violation("a replay changes nothing", "routes or connections have changed")
