"""The world that every path plays in: our VPCs, and the strangers beside them who must notice nothing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from local.strict.connections import backend_of
from local.strict.routes import SHOWN_TARGETS
from local.world import Vpc, cidr_blocks, make_prefix_list, make_vpc
from tests.faults.engine import Engine, Handler, Properties
from tests.faults.inprocess import Hook, InProcess
from tests.harness import EXTERNAL_ID, ResponseBucket, Topology, World, internet_gateway

MEMBERS = tuple(SHOWN_TARGETS.values())
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
    """Routes that could not be taken off the accepter's side, as the log has said."""

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

    def owned(self) -> list[str]:
        """Return the ids of our live connections."""
        ended = {"deleted", "deleting", "rejected", "failed", "expired"}
        return [pcx for pcx, status in self.connections() if status not in ended]

    def routes(self) -> dict[tuple[str, str], str]:
        """Return the target of every route of this world but the local ones, by table and destination: the truth."""
        return {
            (table.id, str(route.destination_cidr_block or route.destination_prefix_list.id)): next(
                filter(None, (getattr(route, n) for n in MEMBERS)), ""
            )
            for vpc in self.vpcs
            for table in backend_of((vpc.account, vpc.region)).route_tables.values()
            if table.vpc_id == vpc.id
            for route in table.routes
            if not route.local
        }

    def foreign(self) -> str:
        """Return all that is not ours, with every detail that EC2 keeps."""
        known = {pcx for pcx, _ in self.connections()}
        places = sorted({(vpc.account, vpc.region) for vpc in self.vpcs})
        tags = {
            f"{place} {resource}": sorted(found.items())
            for place in places
            for resource, found in backend_of(place).tags.items()
            if resource not in known and found
        }
        others = [c for pcx, c in self.here.aws.connections.items() if pcx not in known]
        connections = [
            (c.id, c.requester, c.accepter, c.status.value, {role: o.value for role, o in c.options.items()})
            for c in others
        ]
        routes = sorted(
            (*place, target)
            for place, target in self.routes().items()
            if target not in known and place not in self.to_be_taken
        )
        return json.dumps([tags, connections, routes], sort_keys=True)

    def state(self) -> str:
        """Return all that EC2 and the registry hold, but for times and the history of requests."""
        items = self.here.items()
        kept = [{name: item.get(name) for name in ("Living", "Properties", "Routes")} for item in items]
        ours = [(c.id, c.status.value, c.accepter) for c in self.here.aws.connections.values()]
        options = [{role: o.value for role, o in c.options.items()} for c in self.here.aws.connections.values()]
        tags = [self.tags(vpc, connection_id) for vpc in self.vpcs for connection_id, *_ in ours]
        return json.dumps(
            [kept, ours, options, tags, sorted((*p, t) for p, t in self.routes().items())], sort_keys=True
        )

    def wanted(self, engine: Engine) -> dict[tuple[str, str], str]:
        """Return the routes that a stack is to have, and nothing of ours beside them."""
        return dict.fromkeys(self.places(engine.properties or {}), engine.physical_id or "")

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
        blocks = cidr_blocks(self.world.ec2(there), there.id)
        if "DestinationSubnetIds" not in rule:
            return blocks
        return self.prefix_list_id, blocks[0].replace("/16", "/28")

    def ours(self) -> dict[tuple[str, str], str]:
        """Return the routes to a connection of ours, dead or alive."""
        known = {pcx for pcx, _ in self.connections()}
        return {place: target for place, target in self.routes().items() if target in known}
