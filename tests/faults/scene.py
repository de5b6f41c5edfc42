"""The world that every path plays in: our VPCs, and the strangers beside them who must notice nothing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from local.strict.connections import backend_of
from local.strict.routes import SHOWN_TARGETS
from local.world import Vpc, make_prefix_list, make_vpc
from tests.faults.engine import Engine, Handler, Properties
from tests.faults.inprocess import Hook, InProcess
from tests.harness import EXTERNAL_ID, ResponseBucket, Topology, World, internet_gateway

MEMBERS = tuple(SHOWN_TARGETS.values())
PASSED = {"Requests", "Lease", "RecordedAt", "ExpiresAt"}
"""Members of an item that say when, and by which request: they do not tell what is."""
UNTOLD = {"ec2_backend", "route_table", "_routes", "created", "ended"}
"""Members of what EC2 keeps that lead elsewhere, or say when."""
TAGS = [{"Key": "Env", "Value": "test"}]
MORE_TAGS = [{"Key": "Env", "Value": "prod"}, {"Key": "Team", "Value": "network"}]


@dataclass
class Scene:
    """A world of one topology with a stack in it, or some."""

    here: InProcess
    topology: Topology
    start: Callable[[Hook], Handler]
    peers: list[Vpc] = field(default_factory=list)
    to_be_taken: set[tuple[str, str]] = field(default_factory=set)
    """Places of routes that are not ours, and that we may have all the same: blackholes of the dead."""
    left: set[tuple[tuple[str, str], str]] = field(default_factory=set)
    """Routes that could not be taken off the accepter's side."""
    users: set[tuple[str, str]] = field(default_factory=set)
    """Places of routes that somebody has made to our connection: no rule of ours asks for them."""

    def __post_init__(self) -> None:
        """Make our VPCs and the strangers."""
        self.world = World(self.here.aws, ResponseBucket(""), self.topology, self.here.time)
        self.vpc = self.world.vpc("hub", "10.0.0.0/16")
        self.peers = [self.world.peer_vpc("spoke", "10.8.0.0/16"), self.world.peer_vpc("other", "10.16.0.0/16")]
        place = (self.vpc.account, self.vpc.region)
        self.prefix_list_id = make_prefix_list(self.here.aws.url, *place, "offices", "10.8.9.0/24", max_entries=3)
        spare = [{"Key": "Role", "Value": "spare"}]
        self.world.ec2(self.vpc).create_tags(Resources=[self.vpc.route_table_ids[1]], Tags=spare)
        self.engines = [Engine(self.here, self.start)]
        self._make_strangers()
        self.vpcs = [self.vpc, *self.peers, *self.strangers]
        self.theirs = set(self.here.aws.connections)
        self.before = self.foreign()

    def _make_strangers(self) -> None:
        """Routes of others in our tables, a peering of others with our VPC, and one of theirs alone."""
        places = [(self.vpc.account, self.vpc.region), (self.peers[0].account, self.peers[0].region)]
        self.strangers = [
            make_vpc(self.here.aws.url, *place, "stranger", f"10.{number}.0.0/16", tables=1, subnets=0)
            for number, place in enumerate(places, start=40)
        ]
        theirs = self.world.peer(*self.strangers)
        self.world.route(self.strangers[0], 0, "10.41.0.0/16", theirs)
        with_us = self.world.peer(self.vpc, self.strangers[1])
        self.world.route(self.vpc, 0, "10.41.0.0/16", with_us)
        gateway = internet_gateway(self.world, self.vpc)
        table = self.vpc.route_table_ids[1]
        self.world.ec2(self.vpc).create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)

    @property
    def engine(self) -> Engine:
        """The stack of the paths; other stacks are beside it only where a test is about them."""
        return self.engines[0]

    def add_stack(self, name: str) -> Engine:
        """Return one more stack."""
        self.engines.append(Engine(self.here, self.start, name))
        return self.engines[-1]

    def properties(self, peer: int = 0, **more: object) -> Properties:
        """Return the properties of our resource; None takes one out."""
        dns = {"AllowDnsResolutionFromRemoteVpc": "true", "PeerAllowDnsResolutionFromRemoteVpc": "true"}
        return self.world.properties(self.vpc, self.peers[peer], **{"Tags": TAGS, **dns, **more})

    def turned(self) -> Properties:
        """Return the properties of a stack that peers the same VPCs from the other side."""
        given = self.properties()
        names = ("VpcId", "Region", "OwnerId", "RoleArn", "ExternalId")
        sides = {"": (self.vpc, self.peers[0]), "Peer": (self.peers[0], self.vpc)}
        ends = {prefix: ends[1] for prefix, ends in sides.items()}
        kept = {name: value for name, value in given.items() if name.removeprefix("Peer") not in names}
        for prefix, vpc in ends.items():
            kept |= {f"{prefix}VpcId": vpc.id, f"{prefix}Region": vpc.region}
            if role := self.world.roles.get(vpc.account):
                kept |= {f"{prefix}RoleArn": role, f"{prefix}ExternalId": EXTERNAL_ID}
        return {**kept, "PeerOwnerId": ends["Peer"].account}

    def connections(self) -> Iterator[tuple[str, str]]:
        """Yield id and status of every connection that is there because of our stack."""
        for connection_id, connection in self.here.aws.connections.items():
            if connection_id not in self.theirs:
                yield connection_id, connection.status.value.code

    def tags(self, vpc: Vpc, connection_id: str) -> dict[str, str]:
        """Return the tags of a connection in the place of a VPC."""
        return dict(backend_of((vpc.account, vpc.region)).tags.get(connection_id, {}))

    def given_tags(self, properties: Properties) -> tuple[dict[str, str], ...]:
        """Return the tags that each side is to have, without the owner tags; in one place both are the same ones."""
        ends = self.ends(properties)
        name = {"Name": "-to-".join(self.tags(vpc, vpc.id).get("Name", vpc.id) for vpc in ends)}
        given = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
        return ({**name, **given},) * 2

    def attributes(self, engine: Engine) -> dict[str, str]:
        """Return the attributes of a connection that is active, as EC2 has it."""
        properties, connection_id = engine.properties or {}, engine.physical_id or ""
        connection = self.here.aws.connection(connection_id)
        told = {"Id": connection_id, "VpcPeeringConnectionId": connection_id, "Status": connection.status.value.code}
        tables = [table for table, _ in self.wanted(engine)]
        for end, side, prefix in zip(self.ends(properties), ("Requester", "Accepter"), ("", "Peer"), strict=True):
            told |= {
                f"{side}VpcId": end.id,
                f"{side}OwnerId": end.account,
                f"{side}Region": end.region,
                f"{side}CidrBlocks": ",".join(self.blocks(end)),
                f"{prefix}RouteCount": str(sum(table in end.route_table_ids for table in tables)),
                f"{prefix}SkippedRoutes": "",
            }
        return told

    def owned(self) -> list[str]:
        """Return the ids of our live connections."""
        ended = {"deleted", "deleting", "rejected", "failed", "expired"}
        return [pcx for pcx, status in self.connections() if status not in ended]

    def routes(self) -> dict[tuple[str, str], str]:
        """Return the target of every route of this world but the local ones, by table and destination: the truth."""
        return {
            (table.id, _destination(route)): _target(route)
            for _, table in self._tables()
            for route in table.routes
            if not route.local
        }

    def add_users_routes(self) -> None:
        """Let people on both sides make a route of their own to our connection: theirs is theirs."""
        for vpc in self.ends(self.engine.properties or {}):
            place = (vpc.route_table_ids[1], "10.99.0.0/16")
            self.users.add(place)
            self.world.route(vpc, 1, place[1], self.engine.physical_id or "")
        self.before = self.foreign()

    def foreign(self) -> str:
        """Return all that is not ours, with every detail that EC2 keeps and so may tell."""
        known = {pcx for pcx, _ in self.connections()}
        places = sorted({(vpc.account, vpc.region) for vpc in self.vpcs})
        tags = {
            f"{place} {resource}": sorted(found.items())
            for place in places
            for resource, found in backend_of(place).tags.items()
            if resource not in known and found
        }
        vpcs = [vpc for vpc in self.vpcs if vpc.id in backend_of((vpc.account, vpc.region)).vpcs]
        kept = [_members(backend_of((vpc.account, vpc.region)).vpcs[vpc.id]) for vpc in vpcs]
        kept += [_members(table) for _, table in self._tables()]
        kept += [
            _members(route)
            for _, table in self._tables()
            for route in table.routes
            if (place := (table.id, _destination(route))) not in self.to_be_taken
            and (place in self.users or _target(route) not in known)
        ]
        kept += [_members(c) for pcx, c in self.here.aws.connections.items() if pcx not in known]
        return json.dumps([tags, kept], sort_keys=True)

    def _tables(self) -> Iterator[tuple[Vpc, Any]]:
        for vpc in self.vpcs:
            for table in backend_of((vpc.account, vpc.region)).route_tables.values():
                if table.vpc_id == vpc.id:
                    yield vpc, table

    def state(self, *, registered: bool = True) -> str:
        """Return all that EC2 and the registry hold, but for times, leases and the history of requests."""
        known = self.here.items() if registered else []
        items = [{k: v for k, v in item.items() if k not in PASSED} for item in known]
        connections = [_members(connection) for connection in self.here.aws.connections.values()]
        tags = [self.tags(vpc, connection_id) for vpc in self.vpcs for connection_id, _ in self.connections()]
        routes = sorted((*place, target) for place, target in self.routes().items())
        return json.dumps([items, connections, tags, routes, self.foreign()], sort_keys=True)

    def trace(self) -> str:
        """Return the state, and all that was told: what comes next follows from this alone."""
        requests = [
            (request["RequestId"], request.get("Answer"))
            for item in self.here.items()
            for request in item.get("Requests", [])
        ]
        known = [(e.physical_id, e.properties, sorted(e.given_up), sorted(e.unrecorded)) for e in self.engines]
        told = {request_id: puts[0] for request_id, puts in self.here.bucket.puts.items()}
        return json.dumps([self.state(), requests, known, told], sort_keys=True)

    def pending(self, engine: Engine) -> bool:
        """Tell whether a stack's connection was left to the other party, which has not accepted it yet."""
        left = (engine.properties or {}).get("AutoAccept") == "false"
        return left and dict(self.connections()).get(engine.physical_id or "") == "pending-acceptance"

    def wanted(self, engine: Engine) -> dict[tuple[str, str], str]:
        """Return the routes that a stack is to have, and nothing of ours beside them."""
        places = () if self.pending(engine) else self.places(engine.properties or {})
        return dict.fromkeys(places, engine.physical_id or "")

    def led(self, engine: Engine) -> dict[tuple[str, str], str]:
        """Return the routes to the connection that a stack has now."""
        return {place: target for place, target in self.ours().items() if target == engine.physical_id}

    def places(self, properties: Properties) -> set[tuple[str, str]]:
        """Return the tables and destinations of the routes that properties mean."""
        vpc, peer = self.ends(properties)
        return {
            (table, destination)
            for here, there, name in ((vpc, peer, "Routes"), (peer, vpc, "PeerRoutes"))
            if (rule := properties.get(name))
            for table in (here.route_table_ids[:1] if "MainRouteTable" in rule else here.route_table_ids)
            for destination in self._destinations(rule, there)
        }

    def ends(self, properties: Properties) -> tuple[Vpc, Vpc]:
        """Return the requester's and the accepter's VPC that properties mean, by id or by name."""
        by_id = {vpc.id: vpc for vpc in self.vpcs}
        return by_id.get(properties.get("VpcId"), self.vpc), by_id.get(properties.get("PeerVpcId"), self.peers[0])

    def _destinations(self, rule: dict[str, Any], there: Vpc) -> tuple[str, ...]:
        blocks = self.blocks(there)
        if "DestinationSubnetIds" not in rule:
            return blocks
        return self.prefix_list_id, blocks[0].replace("/16", "/28")

    def blocks(self, vpc: Vpc) -> tuple[str, ...]:
        """Return the IPv4 blocks of a VPC as they are now, the primary one first."""
        known = backend_of((vpc.account, vpc.region)).vpcs[vpc.id].get_cidr_block_association_set()
        return tuple(a["cidr_block"] for a in known if a["cidr_block_state"]["state"] == "associated")

    def ours(self) -> dict[tuple[str, str], str]:
        """Return the routes to a connection of ours, dead or alive."""
        known = {pcx for pcx, _ in self.connections()}
        return {place: target for place, target in self.routes().items() if target in known and place not in self.users}


def _destination(route: Any) -> str:  # noqa: ANN401  # moto's
    return str(route.destination_cidr_block or route.destination_prefix_list.id)


def _target(route: Any) -> str:  # noqa: ANN401  # moto's
    return next(filter(None, (getattr(route, name) for name in MEMBERS)), "")


def _members(kept: Any) -> dict[str, str]:  # noqa: ANN401  # moto's, or the strict EC2's
    """Return all members of something that EC2 keeps; of what it leads to, the id."""
    return {name: _told(value) for name, value in vars(kept).items() if name not in UNTOLD and value is not None}


def _told(value: Any) -> str:  # noqa: ANN401  # as above
    if isinstance(value, dict):
        return str({key: _told(each) for key, each in value.items()})
    return str(getattr(value, "id", None) or getattr(value, "value", value))
