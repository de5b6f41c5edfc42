"""What people ask the function: which resources there are, how one is, and what a change would do."""

import json
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from handler.clock import Deadline
from handler.operate import PAGE, Operator
from local.world import Vpc
from tests.harness import EXTERNAL_ID, HUB, SERVICE_TOKEN, Stack, World, internet_gateway, writes


@pytest.fixture
def pair(world: World) -> tuple[Vpc, Vpc]:
    """Make two VPCs."""
    world.maintained = True
    return world.vpc("hub", "10.0.0.0/16"), world.peer_vpc("spoke", "10.8.0.0/16")


@pytest.fixture
def stack(world: World, pair: tuple[Vpc, Vpc]) -> Stack:
    """Peer them."""
    stack = world.stack()
    stack.create(world.properties(*pair))
    return stack


def ask(world: World, action: str, **more: object) -> dict[str, Any]:
    """Ask the function, a while after whatever has happened."""
    world.time.sleep(600)
    operator = Operator(world.maintenance())
    return operator({"Action": action, **more}, SERVICE_TOKEN, Deadline(world.time.clock, 800))


NAMED = {
    "StackId": f"arn:aws:cloudformation:us-east-1:{HUB}:stack/network/5d9c2f30-0000",
    "LogicalResourceId": "Peering",
}


def test_list(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """Every resource that a stack has, with its connection and its VPCs; none that was deleted."""
    gone = world.stack("gone")
    gone.create(world.properties(pair[0], world.peer_vpc("other", "10.9.0.0/16")))
    gone.delete()

    (resource,) = ask(world, "List")["Resources"]

    assert {**NAMED, "Connections": [stack.physical_id], "Vpcs": sorted(vpc.id for vpc in pair)} == {
        name: value for name, value in resource.items() if name != "Place"
    }


def test_list_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda's answer holds 6 MB: what a page tells to go on with is the next event, and no resource is left out."""
    monkeypatch.setattr("handler.operate.PAGE", 2)
    hub = world.vpc("hub", "10.0.0.0/16")
    for number in range(4):
        spoke = world.peer_vpc(f"spoke-{number}", f"10.{8 + number}.0.0/16")
        world.stack(f"stack-{3 - number}").create(world.properties(hub, spoke))

    first = ask(world, "List")
    second = ask(world, "List", After=first["After"])

    stacks = [[each["StackId"].split("/")[1] for each in page["Resources"]] for page in (first, second)]
    assert [["stack-0", "stack-1"], ["stack-2", "stack-3"]] == stacks
    assert second["After"] is None


def test_the_longest_page_fits() -> None:
    """With the longest names that CloudFormation takes, and a line of text of each beside."""
    stack_id = f"arn:aws:cloudformation:ap-southeast-1:111111111111:stack/{'s' * 128}/{'0' * 36}"
    resource = {"StackId": stack_id, "LogicalResourceId": "l" * 255, "Place": "111111111111/ap-southeast-1"}
    resource |= {"Connections": ["pcx-0123456789abcdef0"] * 2, "Vpcs": ["vpc-0123456789abcdef0"] * 4}  # type: ignore[dict-item]
    text = f"{stack_id} {'l' * 255} {'pcx-0123456789abcdef0 ' * 2}\n"
    assert PAGE * (len(json.dumps(resource)) + len(json.dumps(text))) < 6 * 1024 * 1024


def test_check_and_repair(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """Check changes nothing, and says what Repair will do."""
    table = pair[0].route_table_ids[0]
    assert "All is as the stack asks for it." == ask(world, "Check", **NAMED)["Text"]
    world.ec2(pair[0]).delete_route(RouteTableId=table, DestinationCidrBlock="10.8.0.0/16")

    with world.counted() as calls:
        checked = ask(world, "Check", **NAMED)
    repaired = ask(world, "Repair", **NAMED)

    assert [] == writes(calls)
    assert f"{table} lacks the route to 10.8.0.0/16. (not repaired)" == checked["Text"]
    assert f"{table} lacks the route to 10.8.0.0/16. (repaired)" == repaired["Text"]
    assert [stack.physical_id] == list(world.routes(pair[0])[table].values())


@pytest.mark.usefixtures("stack")
def test_check_leaves_what_it_finds_to_be_told(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Whoever asks reads the answer; the sweep that repairs it later tells the others."""
    world.ec2(pair[0]).delete_route(RouteTableId=pair[0].route_table_ids[0], DestinationCidrBlock="10.8.0.0/16")
    before = world.store.load((NAMED["StackId"], NAMED["LogicalResourceId"]), Deadline(world.time.clock, 1))

    assert ask(world, "Check", **NAMED)["Findings"]

    assert before == world.store.load((NAMED["StackId"], NAMED["LogicalResourceId"]), Deadline(world.time.clock, 1))


def test_forget(world: World, pair: tuple[Vpc, Vpc], stack: Stack) -> None:
    """What a stack has retained is somebody else's: it stays as it is, and is looked at no more."""
    before = world.snapshot(*pair)

    assert (True, []) == (ask(world, "Forget", **NAMED)["Forgotten"], ask(world, "List")["Resources"])

    assert before == world.snapshot(*pair)
    again = ask(world, "Forget", **NAMED)
    assert not again["Forgotten"]
    assert again["Text"].startswith("There is no such resource")
    assert ask(world, "Check", **NAMED)["Findings"] is None
    assert "SUCCESS" == stack.delete()["Status"]
    assert [] == world.live(pair[0])


def test_unknown_resource(world: World) -> None:
    """Who mistypes a name is told so, and nothing else happens."""
    assert ask(world, "Repair", **NAMED)["Text"].startswith("There is no such resource")


def test_plan_of_a_create(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Before anybody deploys it: every change, and nothing is written."""
    with world.counted() as calls:
        answer = ask(world, "Plan", ResourceProperties=world.properties(*pair))

    assert [] == writes(calls)
    assert {"CreateConnection": 1, "AcceptConnection": 1, "TagConnection": 1, "CreateRoute": 4} == {
        "TagConnection": 1,
        **answer["Counts"],
    }
    assert "request the connection" == answer["Text"].splitlines()[0]
    assert [] == answer["Refusals"]


def test_plan_of_an_update(world: World, stack: Stack) -> None:
    """What the new properties would change, against what is there now."""
    main = {**stack.current, "Routes": {"MainRouteTable": "true"}}
    given = {"OldResourceProperties": stack.current, "PhysicalResourceId": stack.physical_id, **NAMED}

    with world.counted() as calls:
        answer = ask(world, "Plan", ResourceProperties=main, **given)
        same = ask(world, "Plan", ResourceProperties=stack.current, **given)

    assert [] == writes(calls)
    assert {"DeleteRoute": 1} == answer["Counts"]
    assert "Nothing would change." == same["Text"]


def test_plan_of_an_update_without_the_name_of_the_resource(world: World, stack: Stack) -> None:
    """The old properties tell whose VPCs they are; where they do not, the answer says what is missing."""
    main = {**stack.current, "Routes": {"MainRouteTable": "true"}}

    answer = ask(world, "Plan", ResourceProperties=main, OldResourceProperties=stack.current)
    strangers = {**stack.current, "VpcId": world.vpc("other", "10.9.0.0/16").id}
    unknown = ask(world, "Plan", ResourceProperties=main, OldResourceProperties=strangers)
    nobodys = ask(world, "Plan", ResourceProperties=main, OldResourceProperties={})

    assert ({"DeleteRoute": 1}, [], None) == (answer["Counts"], answer["Refusals"], answer["Replaces"])
    assert "Give StackId and LogicalResourceId" in unknown["Failure"]
    assert unknown["Failure"] == unknown["Text"] == nobodys["Text"]


@pytest.mark.parametrize("named", [{}, {"StackId": NAMED["StackId"]}])
def test_plan_of_a_replacement(world: World, pair: tuple[Vpc, Vpc], stack: Stack, named: dict[str, str]) -> None:
    """It says so, which routes move, and what the deletion of the old connection takes with it: what is done then."""
    table, kept_apart = pair[0].route_table_ids
    old, successor = str(stack.physical_id), world.peer_vpc("successor", "10.8.0.0/16", tables=1)
    new = {**stack.current, "PeerVpcId": successor.id, "Routes": {"RouteTableIds": [table]}}

    answer = ask(world, "Plan", ResourceProperties=new, OldResourceProperties=stack.current, **named)

    first, *lines = answer["Text"].splitlines()
    gone = [f"accepter: delete route 10.0.0.0/16 in {each}" for each in sorted(pair[1].route_table_ids)]
    removal = sorted([*gone, f"requester: delete route 10.8.0.0/16 in {kept_apart}", f"delete {old}"])
    assert (old, removal) == (answer["Replaces"], sorted(answer["Removal"]))
    assert f"This is a replacement: another connection takes the place of {old}." == first
    assert f"requester: replace route 10.8.0.0/16 in {table}: {old} -> the connection" in lines
    assert (
        answer["Removal"] == lines[lines.index(f"Once the stack is complete, CloudFormation has {old} deleted:") + 1 :]
    )
    before, current = stack.current, stack.update(new)
    with world.counted() as calls:
        stack.delete(old, before)
    assert "SUCCESS" == current["Status"]
    assert ["DeleteRoute"] * 3 + ["DeleteVpcPeeringConnection"] == writes(calls)


def test_plan_takes_back_what_remains(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """What the old properties made on the accepter's side, its Name too, is removed: the new ones ask nothing there."""
    stack = world.stack()
    stack.create(world.properties(*pair, AutoAccept="false"))
    world.ec2(pair[1]).accept_vpc_peering_connection(VpcPeeringConnectionId=stack.physical_id)
    ask(world, "Repair", **NAMED)
    less = {name: value for name, value in stack.current.items() if name != "PeerRoutes"}

    answer = ask(world, "Plan", ResourceProperties=less, OldResourceProperties=stack.current)

    with world.counted() as calls:
        stack.update(less)
    assert {"DeleteRoute": 2, "UntagConnection": 1} == answer["Counts"]
    assert {"DeleteRoute": 2, "DeleteTags": 1} == Counter(writes(calls))


def test_plan_of_properties_as_they_stand_in_a_template(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """Whoever copies them has a function for the ServiceToken: the function that is asked is meant."""
    token = {"Fn::ImportValue": "vpc-peering-ServiceToken"}

    answer = ask(world, "Plan", ResourceProperties=world.properties(*pair, ServiceToken=token))

    assert "request the connection" == answer["Text"].splitlines()[0]


def test_plan_that_is_refused(world: World, pair: tuple[Vpc, Vpc]) -> None:
    """A conflict, and a mistake in the properties, are told as the deployment would tell them."""
    gateway = internet_gateway(world, pair[0])
    world.ec2(pair[0]).create_route(
        RouteTableId=pair[0].route_table_ids[0], DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway
    )

    conflict = ask(world, "Plan", ResourceProperties=world.properties(*pair))
    mistake = ask(world, "Plan", ResourceProperties=world.properties(*pair, PeerVpcId="vpc-0"))

    assert f"refused: ResourceConflict: {pair[0].route_table_ids[0]} routes 10.8.0.0/16" in conflict["Text"]
    assert mistake["Failure"].startswith("InvalidRequest: PeerVpcId")


@pytest.mark.parametrize("event", [{"Action": "Destroy"}, {"Action": "Check"}, {"Action": "List", "Stack": "x"}])
def test_what_is_no_action(world: World, event: dict[str, Any]) -> None:
    """A mistyped action does nothing; what came with it is not repeated, for Lambda logs the error."""
    given = {**event, "ResourceProperties": {"PeerExternalId": EXTERNAL_ID}}

    with pytest.raises(ValidationError) as refused:
        Operator(world.maintenance())(given, SERVICE_TOKEN, Deadline(world.time.clock, 800))

    assert EXTERNAL_ID not in str(refused.value)
