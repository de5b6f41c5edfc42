"""Many peerings from one template: Fn::ForEach, several accounts and Regions, all at once under throttling."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from local import stacks
from local.demo.installation import EXTERNAL_ID, ROLE_STACK, Installation
from local.strict import Call, Fault
from local.world import Vpc, make_vpc
from tests.e2e.installed import EXAMPLES, HOME, OTHER, Installed, no_routes, routes_to

THIRD = "333333333333"
SPOKES = {
    "Staging": (OTHER, "us-east-1"),
    "Production": (OTHER, "eu-west-1"),
    "Tools": (THIRD, "us-east-1"),
    "Data": (THIRD, "eu-west-1"),
    "Archive": (THIRD, "eu-west-1"),
}
MESH = {"Orders": "us-east-1", "Billing": "us-east-1", "Search": "eu-west-1", "Reports": "eu-west-1"}


class Loader(yaml.SafeLoader):
    """Reads the mappings of an example; the short forms elsewhere do not matter."""


Loader.add_multi_constructor("!", lambda *_: None)


def example(name: str, mapping: str, vpcs: dict[str, Vpc]) -> str:
    """Return an example whose mapping speaks of VPCs that exist."""
    text = EXAMPLES[name]
    listed: dict[str, Any] = yaml.load(text, Loader)["Mappings"][mapping]  # noqa: S506 - it is a SafeLoader
    assert sorted(listed) == sorted(vpcs)
    for key, values in listed.items():
        text = text.replace(values["Vpc"], vpcs[key].id)
    return text


@contextmanager
def all_at_once(lab: Installed, count: int) -> Iterator[None]:
    """Let EC2's throttling be on, and let it admit no acceptance until so many connections wait for theirs.

    So those are under way at the same moment, whatever else this machine does; one after the other would not get on.
    """
    strict, waiting = lab.aws.strict, set[str]()
    refusals = [Fault("AcceptVpcPeeringConnection", code="RequestLimitExceeded", status=503) for _ in range(200)]
    strict.faults.extend(refusals)

    def watch(call: Call) -> None:
        if call.operation == "AcceptVpcPeeringConnection":
            waiting.add(call.params["VpcPeeringConnectionId"])
        if len(waiting) == count:
            strict.faults.clear()

    strict.watchers.append(watch)
    strict.settings.throttled = True
    yield
    strict.settings.throttled = False
    strict.watchers.remove(watch)


def most_at_once(calls: list[Call]) -> int:
    """Count how many connections were between asking to be accepted and their last route at one moment, at most."""
    accepts = [call for call in calls if call.operation == "AcceptVpcPeeringConnection"]
    began = {call.params["VpcPeeringConnectionId"]: call.started for call in reversed(accepts)}
    made = [call for call in calls if call.operation == "CreateRoute" and not call.error]
    ended = {call.params["VpcPeeringConnectionId"]: call.ended for call in made}
    return max(sum(began[other] <= moment < ended[other] for other in began) for moment in began.values())


@pytest.fixture
def third_role(installation: Installation) -> Any:  # noqa: ANN401 - a generator
    """Deploy the role in a third account, and take it away again."""
    yield installation.deploy_role(THIRD)
    assert stacks.delete(installation.aws.client("cloudformation", THIRD), ROLE_STACK) == "DELETE_COMPLETE"


@pytest.fixture
def hub(lab: Installed) -> Vpc:
    """Make a hub with more routes to make at once than EC2's token bucket holds."""
    return lab.vpc("hub", "10.0.0.0/16", tables=15)


@pytest.fixture
def spokes(lab: Installed) -> dict[str, Vpc]:
    """Make five spokes in two more accounts and two Regions."""
    url = lab.aws.strict.url
    return {
        name: make_vpc(url, account, region, name.lower(), f"10.{8 + n}.0.0/16")
        for n, (name, (account, region)) in enumerate(SPOKES.items())
    }


def assert_star(lab: Installed, hub: Vpc, spokes: dict[str, Vpc], ids: dict[str, str]) -> None:
    """Compare: the hub has a route to each spoke, each spoke to the hub, and no spoke to another one."""
    blocks = {block: ids[name] for name, spoke in spokes.items() for block in spoke.cidr_blocks}
    assert lab.routes(hub) == dict.fromkeys(hub.route_table_ids, blocks)
    for name, spoke in spokes.items():
        assert lab.routes(spoke) == routes_to(spoke, hub, ids[name])


def assert_gone(lab: Installed, *vpcs: Vpc) -> None:
    """Compare: no connection and no route is left."""
    for vpc in vpcs:
        assert not lab.live(vpc)
        assert lab.routes(vpc) == no_routes(vpc)


def test_hub_and_spoke(lab: Installed, third_role: str, hub: Vpc, spokes: dict[str, Vpc]) -> None:
    """One hub and five spokes in three accounts from one list, with more routes at once than EC2 takes.

    None fails for it, all converge side by side, and a list that changes touches no other spoke.
    """
    assert third_role.split(":")[4] == THIRD
    stack = lab.stack()
    parameters = {
        "HubVpcId": hub.id,
        "HubRouteTableIds": ",".join(hub.route_table_ids),
        "PeerExternalId": EXTERNAL_ID,
    }
    template = example("hub-and-spoke", "Spokes", spokes)

    with all_at_once(lab, 5), lab.counted() as calls:
        assert stacks.deploy(stack.cloudformation, stack.name, template, parameters) == "CREATE_COMPLETE"
    assert 5 == most_at_once(calls)
    assert "RequestLimitExceeded" in {call.error for call in calls if call.operation == "CreateRoute"}
    ids = {name: stack.outputs[f"Peering{name}Id"] for name in spokes}
    assert_star(lab, hub, spokes, ids)

    less = template.replace("Data, Archive]", "Data]")
    with lab.counted() as calls:
        assert stacks.deploy(stack.cloudformation, stack.name, less, parameters) == "UPDATE_COMPLETE"
    touched = {call.params["DestinationCidrBlock"] for call in calls if call.operation == "DeleteRoute"}
    assert touched == {*spokes["Archive"].cidr_blocks, *hub.cidr_blocks}
    assert not [call for call in calls if call.operation in {"CreateRoute", "ReplaceRoute"}]
    archive = spokes.pop("Archive")
    assert_star(lab, hub, spokes, ids)

    assert stack.delete() == "DELETE_COMPLETE"
    assert_gone(lab, hub, archive, *spokes.values())


def test_full_mesh(lab: Installed) -> None:
    """Four VPCs in two Regions: six connections, and every one reaches every other one directly."""
    url = lab.aws.strict.url
    vpcs = {
        name: make_vpc(url, HOME, region, name.lower(), f"10.{n}.0.0/16")
        for n, (name, region) in enumerate(MESH.items())
    }
    stack = lab.stack()

    with all_at_once(lab, 6), lab.counted() as calls:
        status = stacks.deploy(stack.cloudformation, stack.name, example("full-mesh", "Vpcs", vpcs))

    assert status == "CREATE_COMPLETE"
    assert 6 == most_at_once(calls)
    outputs = stack.outputs
    assert len(outputs) == 6
    assert set(outputs.values()) == {"active"}
    for name, vpc in vpcs.items():
        others = {block for other, peer in vpcs.items() if other != name for block in peer.cidr_blocks}
        for routes in lab.routes(vpc).values():
            assert routes.keys() == others
            assert len(set(routes.values())) == 3
    assert stack.delete() == "DELETE_COMPLETE"
    assert not [c for vpc in vpcs.values() for c in lab.live(vpc)]
