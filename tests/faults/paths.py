"""The paths: how far a resource's life has come, and the request that is faulted then."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.engine import SWEEP_SECONDS, Event
from tests.faults.fault import DENIED, refusal
from tests.faults.inprocess import REFERENCES, Call, Killed, Send
from tests.faults.scene import MORE_TAGS, Scene

Play = Callable[[Scene], None]
MAIN_ONLY = {"MainRouteTable": "true"}


@dataclass(frozen=True)
class Path:
    """A part of a life: `before` is played without a fault, the first invocation of `faulted` has it."""

    name: str
    before: Play
    faulted: Play
    after: Play = field(default=lambda _scene: None)
    maintenance: bool = False
    once: bool = False
    """Whether it is played in one topology only: it differs from another path in what it does, and not in where."""


def nothing(_scene: Scene) -> None:
    """Play nothing."""


def created(scene: Scene) -> None:
    """Create the resource; people make routes of their own to it."""
    if scene.engine.create(scene.properties()):
        scene.add_users_routes()


class Death:
    """Kills a process after its first call of an operation."""

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def __call__(self, call: Call, send: Send) -> Any:  # noqa: ANN401  # botocore's
        """Send, and end."""
        answer = send()
        if call.operation == self._operation:
            raise Killed
        return answer


def died(scene: Scene) -> None:
    """Let the first invocation of a Create die half way."""
    engine = scene.engine
    event = engine.send("Create", scene.properties())
    engine.given_up.add(event["RequestId"])
    engine.armed = Death("AcceptVpcPeeringConnection")
    engine.invoke(event)


def repeated(scene: Scene) -> None:
    """Let Lambda repeat the Create that died."""
    engine = scene.engine
    event = engine.events[-1]
    engine.created(engine.serve(event), event["ResourceProperties"])


def updated(**changes: object) -> Play:
    """Return an Update that changes some properties."""
    return lambda scene: scene.engine.update(scene.properties(**changes)) and None


def reverted(**changes: object) -> Play:
    """Return the rollback of such an Update."""
    return lambda scene: scene.engine.revert(scene.properties(**changes), scene.properties())


def both(*plays: Play) -> Play:
    """Return some plays as one."""

    def play(scene: Scene) -> None:
        for each in plays:
            each(scene)

    return play


def cleaned(scene: Scene) -> None:
    """Clean up after a replacement, if there was one."""
    scene.engine.clean()


def reverted_by_delete(scene: Scene) -> None:
    """Roll a replacement back by a Delete of the new connection."""
    scene.engine.revert_by_delete()


def deleted(scene: Scene) -> None:
    """Delete the resource."""
    scene.engine.delete()


def removed(physical_id: str | None) -> Play:
    """Return the Delete that follows a Create which failed: with the id that it told, or with an invented one."""

    def play(scene: Scene) -> None:
        engine = scene.engine
        engine.remove(physical_id or _told(scene), engine.events[0]["ResourceProperties"])
        engine.physical_id = engine.properties = None

    return play


def _told(scene: Scene) -> str:
    told: str = scene.here.bucket.puts[scene.engine.events[0]["RequestId"]][0]["PhysicalResourceId"]
    return told


def refused(scene: Scene) -> None:
    """Let a Create fail half way: somebody else's route is in the way, seen too late to be planned for."""
    engine = scene.engine
    event = engine.send("Create", scene.properties())

    def intrude(call: Call, send: Send) -> Any:  # noqa: ANN401  # botocore's
        if call.operation == "CreateTags":
            table = scene.vpc.route_table_ids[0]
            gateway = next(t for place, t in scene.routes().items() if t.startswith("igw-"))
            scene.world.ec2(scene.vpc).create_route(
                RouteTableId=table, DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway
            )
        return send()

    engine.armed = intrude
    engine.hopeless.add(event["RequestId"])
    engine.invoke(event)
    scene.before = scene.foreign()


def taken(scene: Scene) -> None:
    """Let somebody delete the connection by hand."""
    scene.world.ec2(scene.vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=scene.engine.physical_id)


def sought(scene: Scene) -> dict[str, object]:
    """Return properties that find everything: VPCs by tags, tables by subnets and tags, external ids by reference."""
    name = [{"Key": "Name", "Value": "hub"}]
    peer_name = [{"Key": "Name", "Value": "spoke"}]
    rule = {
        "SubnetIds": [scene.vpc.subnet_ids[0]],
        "RouteTableTags": [{"Key": "Role", "Value": "spare"}],
        "DestinationPrefixListIds": [scene.prefix_list_id],
        "DestinationSubnetIds": [scene.peers[0].subnet_ids[0]],
    }
    found = scene.properties(VpcId=None, PeerVpcId=None, VpcTags=name, PeerVpcTags=peer_name, Routes=rule)
    references = {name: reference for name, reference in REFERENCES.items() if name in found}
    return {**found, **references, "Tags": MORE_TAGS}


def found(scene: Scene) -> None:
    """Create the resource by queries."""
    scene.engine.create(sought(scene))


def crowded(scene: Scene) -> None:
    """Fill a table up to where quotas are asked for, and leave a blackhole of somebody's dead connection in it."""
    ec2, table = scene.world.ec2(scene.vpc), scene.vpc.route_table_ids[1]
    gateway = next(t for t in scene.routes().values() if t.startswith("igw-"))
    for number in range(50):
        ec2.create_route(RouteTableId=table, DestinationCidrBlock=f"10.200.{number}.0/24", GatewayId=gateway)
    dead = scene.world.peer(scene.vpc, scene.peers[1])
    scene.theirs.add(dead)
    scene.world.route(scene.vpc, 0, "10.8.0.0/16", dead)
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=dead)
    scene.to_be_taken.add((scene.vpc.route_table_ids[0], "10.8.0.0/16"))
    scene.before = scene.foreign()


def meddled(scene: Scene) -> None:
    """Let somebody take routes, a tag and an option away, after a while."""
    vpc, peer, pcx = scene.vpc, scene.peers[0], scene.engine.physical_id
    scene.here.time.sleep(600)
    ec2 = scene.world.ec2(vpc)
    ec2.delete_route(RouteTableId=vpc.route_table_ids[0], DestinationCidrBlock=peer.cidr_blocks[0])
    scene.world.ec2(peer).delete_route(RouteTableId=peer.route_table_ids[1], DestinationCidrBlock=vpc.cidr_blocks[0])
    ec2.delete_tags(Resources=[pcx], Tags=[{"Key": tag["Key"]} for tag in scene.properties()["Tags"]])
    off = {"AllowDnsResolutionFromRemoteVpc": False}
    ec2.modify_vpc_peering_connection_options(VpcPeeringConnectionId=pcx, RequesterPeeringConnectionOptions=off)
    scene.here.time.sleep(600)


def maintained(scene: Scene) -> None:
    """Let maintenance look at the resource."""
    scene.engine.maintain()


def swept(scene: Scene) -> None:
    """Let maintenance look again with the next sweep: the lease of a worker that could not give it back has ended."""
    scene.here.time.sleep(SWEEP_SECONDS)
    scene.engine.maintain()


def lost(scene: Scene) -> None:
    """Let somebody delete the connection by hand, a while ago."""
    taken(scene)
    scene.engine.disturbed = True
    scene.here.time.sleep(600)


def contested(scene: Scene) -> None:
    """Let the network grow and shrink again, and somebody take a route that `OnConflict: Replace` takes back."""
    engine, vpc, peer = scene.engine, scene.vpc, scene.peers[0]
    engine.create(scene.properties(Routes={"AllRouteTables": "true", "OnConflict": "Replace"}))
    ec2, peer_ec2 = scene.world.ec2(vpc), scene.world.ec2(peer)
    block = peer_ec2.associate_vpc_cidr_block(VpcId=peer.id, CidrBlock="10.9.0.0/16")["CidrBlockAssociation"]
    engine.maintain()
    peer_ec2.disassociate_vpc_cidr_block(AssociationId=block["AssociationId"])
    gateway = next(target for target in scene.routes().values() if target.startswith("igw-"))
    ec2.replace_route(RouteTableId=vpc.route_table_ids[0], DestinationCidrBlock=peer.cidr_blocks[0], GatewayId=gateway)
    scene.to_be_taken.add((vpc.route_table_ids[0], peer.cidr_blocks[0]))
    scene.before = scene.foreign()
    scene.here.time.sleep(600)


def watched(scene: Scene) -> None:
    """Create what maintenance only tells of, and let somebody meddle."""
    scene.engine.create(scene.properties(MaintenanceMode="Report"))
    meddled(scene)
    scene.engine.disturbed = True


def reported(scene: Scene) -> None:
    """Let maintenance look at the resource, which must change nothing."""
    before = scene.routes(), scene.tags(scene.vpc, scene.engine.physical_id or "")
    scene.engine.maintain()
    if before != (scene.routes(), scene.tags(scene.vpc, scene.engine.physical_id or "")):
        scene.engine.problems.append("a report has changed something")


def woken(scene: Scene) -> None:
    """Let EC2 tell of a new route table."""
    detail = {"eventName": "CreateRouteTable", "userAgent": "console", "requestParameters": {"vpcId": scene.vpc.id}}
    asked(**{"detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2", "detail": detail})(scene)


def inspected(scene: Scene) -> None:
    """Let maintenance look at the resource, with nothing to be done."""
    scene.engine.inspect()


def accepted(scene: Scene) -> None:
    """Let the other party accept what was left to it."""
    peer = scene.world.ec2(scene.peers[0])
    peer.accept_vpc_peering_connection(VpcPeeringConnectionId=scene.engine.physical_id)
    scene.here.time.sleep(600)


def asked(**event: object) -> Play:
    """Return an event that has no answer of its own: it is sent until it succeeds."""
    return lambda scene: scene.engine.ask(event)


def pending(scene: Scene) -> None:
    """Create what the other party is to accept."""
    scene.engine.create(scene.properties(AutoAccept="false"))


def undelivered(send: Callable[[Scene], Event], *, fails: str = "") -> Play:
    """Return the first invocation of a request: answered and recorded, but its process dies before it is delivered.

    `fails` is the operation that is denied to it, and so the reason why it answers FAILED.
    """

    def play(scene: Scene) -> None:
        engine = scene.engine
        event = send(scene)

        def die(call: Call, send: Send) -> Any:  # noqa: ANN401  # botocore's
            if call.service == "s3":
                raise Killed
            return refusal(call, *DENIED[call.service]) if call.operation == fails else send()

        engine.armed = die
        engine.given_up.add(event["RequestId"])
        engine.hopeless |= {event["RequestId"]} if fails else set()
        engine.invoke(event)
        scene.here.time.sleep(60)

    return play


def creation(scene: Scene) -> Event:
    """Send a Create."""
    return scene.engine.send("Create", scene.properties())


def replacement(scene: Scene) -> Event:
    """Send an Update that replaces the resource."""
    return scene.engine.send_update(scene.properties(peer=1))


def deletion(scene: Scene) -> Event:
    """Send a Delete."""
    engine = scene.engine
    return engine.send("Delete", engine.properties or {}, PhysicalResourceId=engine.physical_id)


def updated_again(scene: Scene) -> None:
    """Let Lambda repeat an Update, and CloudFormation go on with the answer."""
    engine, event = scene.engine, scene.engine.events[-1]
    engine.updated(engine.serve(event), event["ResourceProperties"])


def deleted_again(scene: Scene) -> None:
    """Let Lambda repeat a Delete, and CloudFormation send another one where it has failed."""
    engine, event = scene.engine, scene.engine.events[-1]
    response = engine.serve(event)
    if response is None or response["Status"] == "FAILED":
        engine.remove(event["PhysicalResourceId"], event["ResourceProperties"])
    engine.physical_id = engine.properties = None


def refused_early(scene: Scene) -> None:
    """Let a Create fail before it makes anything: its id is the deterministic one."""
    event = scene.engine.send("Create", scene.properties(PeerVpcId="vpc-0123456789abcdef0"))
    scene.engine.hopeless.add(event["RequestId"])
    scene.engine.invoke(event)


REPLACED = updated(peer=1)
INVENTED = "network-Peering-1ABCDEFGHIJK"
PATHS: Final = (
    Path("create", nothing, created),
    Path("create, repeated", died, repeated),
    Path("create by queries", nothing, found),
    Path("create in a crowded VPC", crowded, created),
    Path("update of nothing", created, updated()),
    Path("update of tags", created, updated(Tags=MORE_TAGS)),
    Path("removal of tags", both(created, updated(Tags=MORE_TAGS)), updated()),
    Path("update of options", created, updated(AllowDnsResolutionFromRemoteVpc="false")),
    Path("update of routes", created, updated(PeerRoutes=MAIN_ONLY)),
    Path("rollback of tags", both(created, updated(Tags=MORE_TAGS)), reverted(Tags=MORE_TAGS)),
    Path(
        "rollback of options",
        both(created, updated(AllowDnsResolutionFromRemoteVpc="false")),
        reverted(AllowDnsResolutionFromRemoteVpc="false"),
    ),
    Path("rollback of routes", both(created, updated(PeerRoutes=MAIN_ONLY)), reverted(PeerRoutes=MAIN_ONLY)),
    Path("replacement", created, REPLACED, cleaned),
    Path("clean-up of a replacement", both(created, REPLACED), cleaned),
    Path("rollback of a replacement by Delete", both(created, REPLACED), reverted_by_delete, inspected),
    Path("rollback of a replacement by Update", both(created, REPLACED), reverted(peer=1), inspected),
    Path("delete", created, deleted),
    Path("delete by queries, with an invented id", found, removed(INVENTED)),
    Path("delete after a failed create", refused, removed(None)),
    Path("delete with an invented id", died, removed(INVENTED)),
    Path("repair", both(created, meddled), maintained, swept, maintenance=True),
    Path("completion of an accepted request", both(pending, accepted), maintained, swept, maintenance=True),
    Path(
        "repair of what was taken and added", contested, maintained, both(swept, inspected), maintenance=True, once=True
    ),
    Path("look at what is gone", both(created, lost), maintained, swept, maintenance=True, once=True),
    Path("report", watched, reported, reported, maintenance=True, once=True),
    Path("wake", created, woken, maintenance=True, once=True),
    Path("sweep", created, asked(Action="Sweep"), maintenance=True),
    Path("delete of what is gone", both(created, taken), deleted),
)
ONCE: Final = (
    Path("rollback of nothing", both(created, updated()), reverted()),
    Path("delete with the id of a create that made nothing", refused_early, removed(None)),
    Path("create, delivered by the retry", undelivered(creation), repeated),
    Path("failed create, delivered by the retry", undelivered(creation, fails="CreateRoute"), repeated),
    Path("replacement, delivered by the retry", both(created, undelivered(replacement)), updated_again, cleaned),
    Path(
        "failed delete, delivered by the retry",
        both(created, undelivered(deletion, fails="DeleteVpcPeeringConnection")),
        deleted_again,
    ),
)
"""Paths that are the same wherever the VPCs are: played in one topology. A retry has the fault, not the first call."""
