"""Random lives: stacks, updates, faults and hand-made changes in a world of three accounts, as Hypothesis draws them.

The model is small: what the last success of a stack has promised, and whether people have meddled with it since. All
else is what the strict EC2 holds.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from botocore.awsrequest import AWSResponse
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from handler.item import HISTORY
from local.world import Vpc, client, make_vpc
from tests.faults.engine import SWEEP_SECONDS, Engine, Event, Properties
from tests.faults.fault import KINDS, Fault, applies
from tests.faults.inprocess import AlarmedTime, Call, Send, in_process
from tests.faults.invariants import checked
from tests.faults.invariants import settings as wrong_settings
from tests.faults.runs import MOST, Result, Start, captured, excuse, ours
from tests.faults.scene import MORE_TAGS, TAGS, Scene
from tests.harness import EXTERNAL_ID, HUB, internet_gateway

STACKS: Final = ("network", "second", "third")
MOST_CALLS: Final = 40
"""A fault strikes one of so many first calls of an invocation, or none where there are fewer."""

STEPS: Final = 40
"""Of a life, at most."""

LIVES: Final = 40
"""Of a seed."""

SEEDS: Final = range(4)


class Chance(Fault):
    """A fault at the so many-th call of an invocation, whatever that is."""

    def __init__(self, kind: str, number: int, time: AlarmedTime) -> None:
        """Strike nothing yet."""
        super().__init__(kind, Call("", "", "", "", ""), time)
        self._left = number

    def __call__(self, call: Call, send: Send) -> AWSResponse:
        """Strike the first call from the number on at which the fault makes sense."""
        self._left -= 1
        if not self.struck and self._left < 0 and applies(self.kind, call):
            self.at = call
        return super().__call__(call, send)


FAULTS = st.none() | st.tuples(st.sampled_from(KINDS), st.integers(0, MOST_CALLS))
RULES = st.sampled_from([{"AllRouteTables": "true"}, {"MainRouteTable": "true"}, None])
SWITCHES = st.sampled_from(["true", "false"])
WISHES = st.fixed_dictionaries(
    {
        "Tags": st.sampled_from([TAGS, MORE_TAGS]),
        "Routes": RULES,
        "PeerRoutes": RULES,
        "AllowDnsResolutionFromRemoteVpc": SWITCHES,
        "PeerAllowDnsResolutionFromRemoteVpc": SWITCHES,
        "AutoAccept": st.sampled_from([None, None, "false"]),
    }
)
PAIRS = st.permutations(range(4)).map(lambda order: (order[0], order[1]))
NUMBERS = st.integers(0, 99)
ENDS = st.sampled_from([0, 1])
OPTION: Final = "AllowDnsResolutionFromRemoteVpc"
SWEEP: Final = {"Action": "Sweep"}
Drawn = tuple[str, int] | None
Place = tuple[str, str]


class Lives(RuleBasedStateMachine):
    """The lives of three stacks, beside each other and one after the other."""

    start: ClassVar[Start]
    told: ClassVar[list[Result]] = []
    """The lives that have ended well, as results."""

    @initialize(pair=PAIRS, wishes=WISHES)
    def begin(self, pair: tuple[int, int], wishes: Properties) -> None:
        """Make four VPCs in three accounts, of which a first stack peers two."""
        self.exits = contextlib.ExitStack()
        self.here = self.exits.enter_context(in_process())
        self.log = self.exits.enter_context(captured())
        start = self.start(self.here)
        self.scene = Scene(self.here, MOST, start)
        home = make_vpc(self.here.aws.url, HUB, "us-east-1", "home", "10.24.0.0/16")
        self.scene.vpcs.append(home)
        self.vpcs = [self.scene.vpc, *self.scene.peers, home]
        self.gateways = {vpc.id: internet_gateway(self.scene.world, vpc) for vpc in self.vpcs[1:]}
        self.gateways[self.vpcs[0].id] = next(t for t in self.scene.routes().values() if t.startswith("igw-"))
        self.scene.engines = [Engine(self.here, start, name) for name in STACKS]
        self.steps: Counter[str] = Counter()
        self.faults: list[Chance] = []
        self.pending: list[tuple[Engine, Chance]] = []
        """Faults of this step."""
        self.intruders: set[Place] = set()
        self.scene.before = self.scene.foreign()
        self.create(0, pair, wishes, None)

    # What stacks do

    @rule(number=NUMBERS, pair=PAIRS, wishes=WISHES, fault=FAULTS)
    @precondition(lambda self: not all(engine.physical_id for engine in self.scene.engines))
    def create(self, number: int, pair: tuple[int, int], wishes: Properties, fault: Drawn) -> None:
        """Peer two VPCs; after a fault the second attempt succeeds."""
        engine = self.pick([engine for engine in self.scene.engines if not engine.physical_id], number)
        properties = self.properties(pair, wishes)
        self.arm(engine, fault)
        hindered = self.taken(engine, pair) or self.blocked(properties)
        made = any(engine.create(properties) for _ in range(1 if hindered else 2))
        assert made or hindered, f"{engine.name} could not be created: {self.reason(engine)}"
        assert not made or self.left_to_others(engine)
        self.check("create")

    @rule(number=NUMBERS, wishes=WISHES, fault=FAULTS)
    @precondition(lambda self: self.living())
    def update(self, number: int, wishes: Properties, fault: Drawn) -> None:
        """Want other tags, options or routes; what somebody has deleted may have to be made anew."""
        engine = self.pick(self.living(), number)
        self.move(engine, self.pair(engine), wishes, fault)
        engine.clean()
        self.check("update")

    @rule(number=NUMBERS, wishes=WISHES, fault=FAULTS)
    @precondition(lambda self: self.sound())
    def roll_back(self, number: int, wishes: Properties, fault: Drawn) -> None:
        """Let an Update succeed and another resource fail: the way back meets the fault."""
        engine = self.pick(self.sound(), number)
        before = engine.properties or {}
        if self.move(engine, self.pair(engine), wishes, None):
            self.arm(engine, fault)
            engine.revert(engine.properties or {}, before)
        self.check("roll back")

    @rule(number=NUMBERS, pair=PAIRS, wishes=WISHES, fault=FAULTS, then=st.sampled_from(["clean", "delete", "update"]))
    @precondition(lambda self: self.living())
    def replace(self, number: int, pair: tuple[int, int], wishes: Properties, fault: Drawn, then: str) -> None:
        """Want other VPCs; afterwards the old connection is cleaned up, or comes back in one of two ways."""
        engine = self.pick(self.living(), number)
        before, as_it_was = engine.properties or {}, not engine.disturbed
        moved = self.move(engine, pair, wishes, fault if then == "clean" else None)
        if moved and engine.replaced and as_it_was and then != "clean":
            self.arm(engine, fault)
            engine.revert_by_delete() if then == "delete" else engine.revert(engine.properties or {}, before)
        engine.clean()
        self.check(f"replace, {then}")

    @rule(number=NUMBERS, fault=FAULTS)
    @precondition(lambda self: self.living())
    def delete(self, number: int, fault: Drawn) -> None:
        """Delete a stack."""
        engine = self.pick(self.living(), number)
        self.arm(engine, fault)
        engine.delete()
        self.check("delete")

    @rule(number=NUMBERS, index=NUMBERS)
    @precondition(lambda self: any(engine.events for engine in self.scene.engines))
    def repeat(self, number: int, index: int) -> None:
        """Send an event once more, one of those that are remembered: nothing happens, and the answer is the same."""
        engine = self.pick([engine for engine in self.scene.engines if engine.events], number)
        event = self.pick(engine.events[-HISTORY:], index)
        if engine.unrecorded:
            return
        before, puts = self.scene.state(), self.here.bucket.puts.get(event["RequestId"], [])[:1]
        engine.invoke(event)
        assert before == self.scene.state(), f"{event['RequestType']} came once more and has changed something"
        assert not puts or puts[0] == self.here.bucket.puts[event["RequestId"]][-1]
        self.check("repeat")

    @rule(number=NUMBERS, wishes=WISHES, end=ENDS)
    @precondition(lambda self: self.living())
    def update_without_a_role(self, number: int, wishes: Properties, end: int) -> None:
        """Let the role of one side want another external id for the length of an Update and its rollback."""
        engine = self.pick(self.living(), number)
        account = self.scene.ends(engine.properties or {})[end].account
        if account == HUB:
            return
        iam = client(self.here.aws.url, "iam", account, "us-east-1")
        trust = json.dumps(iam.get_role(RoleName="VpcPeeringAccess")["Role"]["AssumeRolePolicyDocument"])
        iam.update_assume_role_policy(RoleName="VpcPeeringAccess", PolicyDocument=trust.replace(EXTERNAL_ID, "other"))
        assert not engine.update(self.properties(self.pair(engine), wishes))
        self.excuse(engine)
        iam.update_assume_role_policy(RoleName="VpcPeeringAccess", PolicyDocument=trust)
        self.check("update without a role")

    @rule(fault=FAULTS)
    @precondition(lambda self: self.start is ours and self.living())
    def sweep(self, fault: Drawn) -> None:
        """Let maintenance look at all resources together."""
        self.maintain(SWEEP, self.living(), fault)
        self.check("sweep")

    # What people do

    @rule(number=NUMBERS, end=ENDS)
    @precondition(lambda self: self.sound())
    def cut(self, number: int, end: int) -> None:
        """Delete a connection of ours by hand, on one side or the other, which can only reject what is pending."""
        engine = self.pick(self.sound(), number)
        ec2 = self.scene.world.ec2(self.scene.ends(engine.properties or {})[end])
        rejects = end and self.scene.pending(engine)
        end_it = ec2.reject_vpc_peering_connection if rejects else ec2.delete_vpc_peering_connection
        end_it(VpcPeeringConnectionId=engine.physical_id)
        self.meddled("reject" if rejects else "cut", engine)

    @rule(number=NUMBERS, wakes=st.booleans(), fault=FAULTS)
    @precondition(lambda self: self.waiting())
    def accept(self, number: int, wakes: bool, fault: Drawn) -> None:
        """Accept by hand what was left to the other party; where EC2 tells of it, maintenance does the rest."""
        engine = self.pick(self.waiting(), number)
        peer = self.scene.ends(engine.properties or {})[1]
        named = {"vpcPeeringConnectionId": engine.physical_id}
        self.scene.world.ec2(peer).accept_vpc_peering_connection(VpcPeeringConnectionId=engine.physical_id)
        self.meddled("accept", engine)
        if wakes and self.start is ours:
            detail = {"eventName": "AcceptVpcPeeringConnection", "userAgent": "console", "requestParameters": named}
            self.maintain({"detail-type": "AWS API Call via CloudTrail", "detail": detail}, [engine], fault)
            self.check("wake")

    @rule(number=NUMBERS, end=ENDS)
    @precondition(lambda self: self.sound())
    def turn(self, number: int, end: int) -> None:
        """Take our tags off one side by hand, and turn an option of it over."""
        engine = self.pick(self.sound(), number)
        properties, role, prefix = engine.properties or {}, ("Requester", "Accepter")[end], ("", "Peer")[end]
        ec2 = self.scene.world.ec2(self.scene.ends(properties)[end])
        tags = [{"Key": key} for key in self.scene.given_tags(properties)[end]]
        ec2.delete_tags(Resources=[engine.physical_id], Tags=tags)
        if not self.scene.pending(engine):
            turned = {f"{role}PeeringConnectionOptions": {OPTION: properties[f"{prefix}{OPTION}"] != "true"}}
            ec2.modify_vpc_peering_connection_options(VpcPeeringConnectionId=engine.physical_id, **turned)
        self.meddled("turn", engine)

    @rule(number=NUMBERS)
    @precondition(lambda self: self.routes())
    def lose_route(self, number: int) -> None:
        """Delete a route of ours by hand."""
        place, engine = self.pick(self.routes(), number)
        self.ec2(place).delete_route(RouteTableId=place[0], DestinationCidrBlock=place[1])
        self.meddled("lose a route", engine)

    @rule(number=NUMBERS)
    @precondition(lambda self: self.routes())
    def take_route(self, number: int) -> None:
        """Give a route of ours another target by hand."""
        place, engine = self.pick(self.routes(), number)
        self.ec2(place).replace_route(
            RouteTableId=place[0], DestinationCidrBlock=place[1], GatewayId=self.gateways[self.vpc(place).id]
        )
        self.intruders.add(place)
        self.meddled("take a route", engine)

    @rule(pair=PAIRS)
    def intrude(self, pair: tuple[int, int]) -> None:
        """Make a route by hand where we may want one."""
        vpc, other = (self.vpcs[index] for index in pair)
        place = (vpc.route_table_ids[0], other.cidr_blocks[0])
        if place in self.scene.routes():
            return
        self.ec2(place).create_route(
            RouteTableId=place[0], DestinationCidrBlock=place[1], GatewayId=self.gateways[vpc.id]
        )
        self.intruders.add(place)
        self.meddled("intrude")

    @rule()
    @precondition(lambda self: self.intruders)
    def give_way(self) -> None:
        """Delete the routes that were made by hand."""
        for place in self.intruders:
            self.ec2(place).delete_route(RouteTableId=place[0], DestinationCidrBlock=place[1])
        self.intruders.clear()
        self.meddled("give way")

    @rule(index=st.integers(0, 3))
    def change_blocks(self, index: int) -> None:
        """Give a VPC a second CIDR block, or take it away."""
        vpc, block = self.vpcs[index], f"10.{100 + index}.0.0/16"
        ec2 = self.scene.world.ec2(vpc)
        found = ec2.describe_vpcs(VpcIds=[vpc.id])["Vpcs"][0]["CidrBlockAssociationSet"]
        associated = [
            each["AssociationId"]
            for each in found
            if each["CidrBlock"] == block and each["CidrBlockState"]["State"] == "associated"
        ]
        if associated:
            ec2.disassociate_vpc_cidr_block(AssociationId=associated[0])
        else:
            ec2.associate_vpc_cidr_block(VpcId=vpc.id, CidrBlock=block)
        concerned = [engine for engine in self.living() if vpc in self.scene.ends(engine.properties or {})]
        for engine in concerned:
            engine.outdated = True
        self.meddled("change blocks", *concerned)

    @rule(hours=st.integers(1, 3))
    def wait(self, hours: int) -> None:
        """Let some hours pass, in a life less than the week after which a request expires."""
        self.here.time.sleep(hours * 3600.0)
        self.check("wait")

    # How it is looked at

    def move(self, engine: Engine, pair: tuple[int, int], wishes: Properties, fault: Drawn) -> bool:
        """Update a stack, and tell whether it succeeded; without a fault or somebody in its way it must."""
        properties, before = self.properties(pair, wishes), engine.properties or {}
        swapped = pair == self.pair(engine)[::-1]
        hindered = swapped or self.taken(engine, pair) or self.blocked(properties)
        self.arm(engine, fault)
        moved = engine.update(properties)
        assert moved or fault or hindered, f"{engine.name} could not be updated: {self.reason(engine)}"
        assert not (moved and engine.replaced) or self.left_to_others(engine)
        if self.blocked(properties) or self.blocked(before) or self.taken(engine, self.pair(engine)):
            self.excuse(engine)
        return moved

    def maintain(self, event: Event, engines: list[Engine], fault: Drawn) -> None:
        """Let maintenance look at some stacks; what a fault has hindered, the next sweep brings.

        Then nothing is to be seen any more of what people have changed, but where somebody's route is in the way.
        """
        self.attend(event, fault)
        if fault:
            self.attend(SWEEP, None)
        for engine in (engine for engine in engines if engine.rests and engine.physical_id in self.scene.owned()):
            engine.disturbed = self.blocked(engine.properties or {})
            if engine.disturbed:
                left = {place: to for place, to in self.scene.wanted(engine).items() if place not in self.intruders}
                assert left == self.scene.led(engine)
                assert [] == [*wrong_settings(self.scene, engine)]

    def attend(self, event: Event, fault: Drawn) -> None:
        """Send what makes maintenance look, after a while; a worker meets the fault, and nobody loses a route."""
        self.here.time.sleep(SWEEP_SECONDS)
        before = {engine.name: self.scene.led(engine).items() for engine in self.living()}
        self.scene.engine.ask(event)
        self.arm(self.scene.engine, fault)
        self.scene.engine.work()
        for engine in self.living():
            lost = before[engine.name] & self.scene.wanted(engine).items() - self.scene.led(engine).items()
            assert not lost, f"maintenance has taken {lost} from {engine.name}"

    def left_to_others(self, engine: Engine) -> bool:
        """Tell whether a new connection was accepted, and only where that was not left to others."""
        return self.scene.pending(engine) is ((engine.properties or {}).get("AutoAccept") == "false")

    def excuse(self, engine: Engine) -> None:
        """Let a rollback have failed; then nothing is promised until the next success."""
        if engine.problems:
            engine.problems.clear()
            engine.disturbed = engine.leftovers = True

    def meddled(self, what: str, *engines: Engine) -> None:
        """Take note that people have changed something, with what was some stacks' too."""
        for engine in engines:
            engine.disturbed = True
        self.scene.before = self.scene.foreign()
        self.check(what)

    def check(self, what: str) -> None:
        """Compare everything with the invariants."""
        self.steps[what] += 1
        for engine, fault in self.pending:
            if fault.struck:
                excuse(self.scene, engine, fault)
                engine.unrecorded.discard("")  # of maintenance, which nobody waits for an answer of
        self.pending.clear()
        found = list(checked(self.scene, self.log.getvalue()))
        for engine in self.scene.engines:
            engine.blind = False
        assert not found, found
        self.log.seek(0)
        self.log.truncate()

    def teardown(self) -> None:
        """Delete every stack, and let nothing be left."""
        if not hasattr(self, "scene"):
            return
        with self.exits:
            for engine in self.living():
                engine.delete()
            self.check("the end")
            assert self.scene.ours().items() <= self.scene.left
            struck = sum(fault.struck for fault in self.faults)
            self.told.append({"violations": [], "steps": self.steps.total(), "struck": struck})

    # Shorthands

    @staticmethod
    def pick(found: Any, number: int) -> Any:  # noqa: ANN401  # whatever it is
        """Return one of some things."""
        return found[number % len(found)]

    def living(self) -> list[Engine]:
        """Return the stacks that have a resource."""
        return [engine for engine in self.scene.engines if engine.physical_id]

    def sound(self) -> list[Engine]:
        """Return the stacks whose resource nobody has meddled with."""
        return [engine for engine in self.living() if not engine.disturbed]

    def waiting(self) -> list[Engine]:
        """Return the stacks whose connection the other party has not accepted yet."""
        return [engine for engine in self.living() if self.scene.pending(engine)]

    def routes(self) -> list[tuple[Place, Engine]]:
        """Return the routes of sound stacks."""
        found = ((place, engine) for engine in self.sound() for place in self.scene.wanted(engine))
        return sorted(found, key=lambda route: route[0])

    def properties(self, pair: tuple[int, int], wishes: Properties) -> Properties:
        """Return the properties that peer two of the VPCs."""
        return self.scene.world.properties(*(self.vpcs[index] for index in pair), **wishes)

    def pair(self, engine: Engine) -> tuple[int, int]:
        """Return the numbers of a stack's VPCs."""
        vpc, peer = (self.vpcs.index(vpc) for vpc in self.scene.ends(engine.properties or {}))
        return vpc, peer

    def taken(self, engine: Engine, pair: tuple[int, int]) -> bool:
        """Tell whether another stack has the pair, in either direction."""
        return any(set(pair) == set(self.pair(other)) for other in self.living() if other is not engine)

    def blocked(self, properties: Properties) -> bool:
        """Tell whether somebody's route is where properties want one."""
        return bool(self.intruders & self.scene.places(properties))

    def arm(self, engine: Engine, fault: Drawn) -> None:
        """Put a fault into a stack's next invocation."""
        engine.armed = None
        if fault:
            engine.armed = Chance(*fault, self.here.time)
            self.faults.append(engine.armed)
            self.pending.append((engine, engine.armed))

    def vpc(self, place: Place) -> Vpc:
        """Return the VPC of a table."""
        return next(vpc for vpc in self.vpcs if place[0] in vpc.route_table_ids)

    def ec2(self, place: Place) -> Any:  # noqa: ANN401  # a boto3 client
        """Return EC2 as people have it where a table is."""
        return self.scene.world.ec2(self.vpc(place))

    def reason(self, engine: Engine) -> str:
        """Return what the stack was told when something failed the last time."""
        puts = (put for event in engine.events for put in self.here.bucket.puts.get(event["RequestId"], []))
        return [put["Reason"] for put in puts if put["Status"] == "FAILED"][-1]


@dataclass(frozen=True)
class Lot:
    """The lives of a seed: the same ones each time."""

    seed: int
    lives: int = LIVES
    steps: int = STEPS
    phases: tuple[Phase, ...] = (Phase.generate, Phase.shrink)

    def __str__(self) -> str:
        return f"lives of seed {self.seed}"

    def runs(self, start: Start = ours, stride: int = 1) -> Iterator[Result]:  # noqa: ARG002  # as the other units
        """Yield the result of every life; one that goes wrong is the last, as short as its phases make it."""
        told: list[Result] = []
        machine = seed(self.seed)(type("Lives", (Lives,), {"start": staticmethod(start), "told": told}))
        limits = settings(
            max_examples=self.lives,
            stateful_step_count=self.steps,
            database=None,
            deadline=None,
            phases=self.phases,
            suppress_health_check=list(HealthCheck),
        )
        try:
            run_state_machine_as_test(machine, settings=limits)
        except Exception as failure:  # noqa: BLE001  # whatever it is, it is told with the steps that led to it
            detail = "\n".join([f"{type(failure).__name__}: {failure}", *getattr(failure, "__notes__", [])])
            told.append({"violations": [{"invariant": "a random life goes well", "detail": detail}]})
        yield from ({"call": None, "fault": None, **result} for result in told)


LOTS: Final = tuple(map(Lot, SEEDS))
PLAIN_LOTS: Final = (Lot(0, phases=(Phase.generate,)),)
"""Of a handler that goes wrong in any case, and need not be told how in the shortest way."""
