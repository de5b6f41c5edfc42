"""What must hold whatever has failed, each as a value: where it does not, what is wrong is told."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from moto.sts.models import sts_backends

from tests.faults.engine import SECONDS, Engine, Event, Response
from tests.faults.scene import Scene
from tests.harness import EXTERNAL_ID

MOST_CALLS: Final = 2000
"""Of one invocation: a call that is refused until the deadline is repeated every second or two."""

USUAL_CALLS: Final = 120
"""Of one invocation for a resource, in which nothing is refused for long: twice those of the longest path."""

OWNER_TAGS: Final = "vpc-peering:"
SECRETS: Final = ("presigned-secret", "X-Amz-Signature", EXTERNAL_ID)


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
        if engine.finding and not engine.unrecorded:
            yield Violation("maintenance knows what is wanted", engine.finding)
    yield from _late(scene)
    yield from _connections(scene)
    yield from _routes(scene)
    yield from _strangers(scene)
    yield from _secrets(scene, log)


def succeeded(engine: Engine) -> Iterator[Violation]:
    """Yield what has failed of that which nothing has hindered, or only what is to be got over."""
    for event in engine.events:
        response = engine.response(event)
        excused = engine.hopeless | engine.given_up
        if response and response["Status"] == "FAILED" and event["RequestId"] not in excused:
            yield Violation("what can be done is done", f"{event['RequestType']} answered {response['Reason']}")


def _answers(engine: Engine) -> Iterator[Violation]:
    for event in engine.events:
        request_id, request_type = event["RequestId"], event["RequestType"]
        puts = engine.here.bucket.puts.get(request_id, [])
        recorded = engine.answer(event)
        told = [*puts, *([recorded] if recorded and puts else [])]
        different = {json.dumps(put, sort_keys=True) for put in told}
        if len(different) > 1 and request_id not in engine.unrecorded:
            yield Violation("one response", f"{request_type}: {sorted(different)}")
        if not puts and request_id not in engine.given_up:
            yield Violation("one response", f"{request_type} was never answered")
        if request_type != "Create" and any(_of_another(event, put) for put in puts):
            yield Violation("one response", f"{request_type} of {event['PhysicalResourceId']} answered another id")


def _of_another(event: Event, response: Response) -> bool:
    """Tell whether an answer that must keep the id which its event came with has another one."""
    kept = event["RequestType"] == "Delete" or response["Status"] == "FAILED"
    return bool(kept and response["PhysicalResourceId"] != event["PhysicalResourceId"])


def _late(scene: Scene) -> Iterator[Violation]:
    unrecorded = set().union(*(engine.unrecorded for engine in scene.engines))
    for request_id, call in scene.here.late:
        if request_id not in unrecorded:
            yield Violation("nothing is changed after the response", f"{request_id}: {call}")


def _connections(scene: Scene) -> Iterator[Violation]:
    living = {engine.physical_id: engine for engine in scene.engines if engine.physical_id}
    owned = set(scene.owned())
    for connection_id in owned - living.keys():
        yield Violation("no orphan", f"{connection_id} is live, and the resource of no stack")
    for connection_id, engine in living.items():
        if connection_id in owned and not engine.disturbed:
            yield from settings(scene, engine)
        elif not engine.disturbed:
            yield Violation("SUCCESS means done", f"{connection_id} is not there")


def _routes(scene: Scene) -> Iterator[Violation]:
    ours = scene.ours().items()
    wanted = {route for engine in scene.engines for route in scene.wanted(engine).items()}
    disturbed = {engine.physical_id for engine in scene.engines if engine.disturbed}
    for place, target in wanted - ours:
        if target not in disturbed:
            yield Violation("SUCCESS means done", f"route {place} is missing")
    remaining = {(place, target) for place, target in ours - wanted if target not in disturbed}
    accepters = {
        table
        for engine in scene.engines
        if engine.blind
        for event in engine.events
        for table in scene.ends(event["ResourceProperties"])[1].route_table_ids
    }
    scene.left |= {route for route in remaining if route[0][0] in accepters}
    for place, target in remaining - scene.left:
        yield Violation("no orphan", f"route {place} still leads to {target}")


def settings(scene: Scene, engine: Engine) -> Iterator[Violation]:
    """Yield what of a live connection, its status, its tags and its options, is not as its stack has asked for it."""
    properties, connection_id = engine.properties or {}, engine.physical_id or ""
    connection = scene.here.aws.connection(connection_id)
    pending = scene.pending(engine)
    if connection.status.value.code != "active" and not pending:
        yield Violation("SUCCESS means done", f"{connection_id} is {connection.status.value.code}")
        return
    vpc, peer = scene.ends(properties)
    if connection.accepter.vpc_id != peer.id:
        yield Violation("SUCCESS means done", f"{connection_id} leads to {connection.accepter.vpc_id}")
    for end, expected in [*zip((vpc, peer), scene.given_tags(properties), strict=True)][: 1 if pending else 2]:
        present = {key: v for key, v in scene.tags(end, connection_id).items() if not key.startswith(OWNER_TAGS)}
        more = {} if engine.leftovers else present.items() - expected.items()
        if more or expected.items() - present.items():
            yield Violation("SUCCESS means done", f"tags {present} in {end.region} of {end.account}, not {expected}")
    if pending:
        return
    yield from _attributes(scene, engine)
    for role, prefix in (("Requester", ""), ("Accepter", "Peer")):
        option = "AllowDnsResolutionFromRemoteVpc"
        wanted = properties.get(f"{prefix}{option}")
        if wanted and wanted != str(connection.options[role].value.get(option, False)).lower():
            yield Violation("SUCCESS means done", f"the {role.lower()}'s {option} is not {wanted}")


def _attributes(scene: Scene, engine: Engine) -> Iterator[Violation]:
    """Compare what the last success told of the connection with EC2; the plain handler tells nothing."""
    for event in reversed(engine.events):
        response = engine.response(event)
        if response and response["Status"] == "SUCCESS" and response["PhysicalResourceId"] == engine.physical_id:
            told, expected = response.get("Data"), scene.attributes(engine)
            settled = event["ResourceProperties"].get("AutoAccept") != "false" and not engine.outdated
            if told and settled and told != expected:
                yield Violation("SUCCESS means done", f"attributes {told}, not {expected}")
            return


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
        resources = len(invocation.event.get("Records", [engine]))
        most = MOST_CALLS if engine.delayed else USUAL_CALLS * resources
        if invocation.calls > most or invocation.seconds > SECONDS:
            kind = invocation.event.get("RequestType", "maintenance")
            yield Violation("bounded", f"{kind}: {invocation.calls} calls in {invocation.seconds:.0f} s")


def replayed(scene: Scene) -> Iterator[Violation]:
    """Yield what changes when every event comes once more, to a fresh process.

    An answer that a fault has kept from the registry may be another one the next time, which the registry then learns.
    """
    here, registered = scene.here, not any(engine.unrecorded for engine in scene.engines)
    before, puts = (
        scene.state(registered=registered),
        {request: list(found) for request, found in here.bucket.puts.items()},
    )
    for engine, event in [(stack, event) for stack in scene.engines for event in stack.events]:
        first = puts.get(event["RequestId"], [None])[0]
        engine.invoke(event)
        last = here.bucket.puts.get(event["RequestId"], [None])[-1]
        if first is not None and first != last and event["RequestId"] not in engine.unrecorded:
            yield Violation("a replay changes nothing", f"{event['RequestType']}: {first} became {last}")
    if before != (after := scene.state(registered=registered)):
        yield Violation("a replay changes nothing", f"{before} became {after}")
    yield from _late(scene)
    yield from _strangers(scene)
