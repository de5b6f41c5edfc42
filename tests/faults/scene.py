"""The world that every path plays in: our VPCs, and the strangers beside them who must notice nothing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from local.strict.connections import backend_of
from local.strict.routes import SHOWN_TARGETS
from local.world import Vpc, make_vpc
from tests.faults.engine import Engine, Handler, Properties
from tests.faults.inprocess import Hook, InProcess
from tests.harness import ResponseBucket, Topology, World, internet_gateway

OWNED = "vpc-peering:stack-id"
MEMBERS = tuple(SHOWN_TARGETS.values())
TAGS = [{"Key": "Env", "Value": "test"}]
MORE_TAGS = [{"Key": "Env", "Value": "prod"}, {"Key": "Team", "Value": "network"}]


@dataclass
class Scene:
    """A world of one topology with a stack in it."""

    here: InProcess
    topology: Topology
    start: Callable[[Hook], Handler]
    peers: list[Vpc] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make our VPCs and the strangers."""
        self.world = World(self.here.aws, ResponseBucket(""), self.topology, self.here.time)
        self.vpc = self.world.vpc("hub", "10.0.0.0/16")
        self.peers = [self.world.peer_vpc("spoke", "10.8.0.0/16"), self.world.peer_vpc("other", "10.16.0.0/16")]
        self.engine = Engine(self.here, self.start)
        self._make_strangers()
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

    @cached_property
    def vpcs(self) -> tuple[Vpc, ...]:
        """All of this world."""
        return (self.vpc, *self.peers, *self.strangers)

    def properties(self, peer: int = 0, **more: object) -> Properties:
        """Return the properties of our resource; None takes one out."""
        dns = {"AllowDnsResolutionFromRemoteVpc": "true", "PeerAllowDnsResolutionFromRemoteVpc": "true"}
        return self.world.properties(self.vpc, self.peers[peer], **{"Tags": TAGS, **dns, **more})

    def connections(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Yield id, status and requester's tags of every connection that there is."""
        for connection_id, connection in self.here.aws.connections.items():
            tags = backend_of(connection.requester.place).tags.get(connection_id, {})
            yield connection_id, connection.status.value.code, dict(tags)

    def tags(self, vpc: Vpc, connection_id: str) -> dict[str, str]:
        """Return the tags of a connection in the place of a VPC."""
        return dict(backend_of((vpc.account, vpc.region)).tags.get(connection_id, {}))

    def owned(self) -> list[str]:
        """Return the ids of our live connections."""
        ended = {"deleted", "deleting", "rejected", "failed", "expired"}
        return [pcx for pcx, status, tags in self.connections() if OWNED in tags and status not in ended]

    def routes(self) -> dict[tuple[str, str], str]:
        """Return the target of every route of this world but the local ones, by table and destination: the truth."""
        return {
            (table.id, str(route.destination_cidr_block)): next(filter(None, (getattr(route, n) for n in MEMBERS)), "")
            for vpc in self.vpcs
            for table in backend_of((vpc.account, vpc.region)).route_tables.values()
            if table.vpc_id == vpc.id
            for route in table.routes
            if not route.local
        }

    def foreign(self) -> str:
        """Return all that is not ours, with every detail that EC2 keeps."""
        known = {pcx for pcx, _, tags in self.connections() if OWNED in tags}
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
        routes = sorted((*place, target) for place, target in self.routes().items() if target not in known)
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

    def wanted(self) -> dict[tuple[str, str], str]:
        """Return the routes that the stack's properties mean, and nothing of ours beside them."""
        properties, connection_id = self.engine.properties, self.engine.physical_id
        if properties is None or connection_id is None:
            return {}
        peer = next(peer for peer in self.peers if peer.id == properties["PeerVpcId"])
        return {
            (table, block): connection_id
            for vpc, other, rule in ((self.vpc, peer, "Routes"), (peer, self.vpc, "PeerRoutes"))
            for table in _chosen(vpc, properties.get(rule))
            for block in other.cidr_blocks
        }

    def ours(self) -> dict[tuple[str, str], str]:
        """Return the routes to a connection of ours, dead or alive."""
        known = {pcx for pcx, _, tags in self.connections() if OWNED in tags}
        known |= {f"{self.engine.physical_id}"}
        return {place: target for place, target in self.routes().items() if target in known}


def _chosen(vpc: Vpc, rule: dict[str, str] | None) -> tuple[str, ...]:
    if not rule:
        return ()
    return vpc.route_table_ids if "AllRouteTables" in rule else vpc.route_table_ids[:1]
