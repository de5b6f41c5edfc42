"""Many peerings from one template: Fn::ForEach, several accounts and Regions, all at once under throttling."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from local import stacks
from local.demo.installation import EXTERNAL_ID, ROLE_STACK, Installation
from local.strict import Call
from local.world import Vpc, make_vpc
from tests.e2e.installed import EXAMPLES, HOME, OTHER, Installed, Stack, no_routes, routes_to

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


def most_at_once(calls: list[Call]) -> int:
    """Count how many connections were between their acceptance and their last route at the same moment, at most."""
    began = {c.params["VpcPeeringConnectionId"]: c.started for c in calls if c.operation.startswith("Accept")}
    ended = {c.params["VpcPeeringConnectionId"]: c.ended for c in calls if c.operation == "CreateRoute" and not c.error}
    return max(sum(began[other] <= began[one] < ended[other] for other in began) for one in began)


@pytest.fixture
def third_role(installation: Installation) -> Any:  # noqa: ANN401 - a generator
    """Deploy the role in a third account, and take it away again."""
    yield installation.deploy_role(THIRD)
    assert stacks.delete(installation.aws.client("cloudformation", THIRD), ROLE_STACK) == "DELETE_COMPLETE"


@pytest.fixture
def hub(lab: Installed) -> Vpc:
    """Make a hub with more routes to make at once than EC2's token bucket holds."""
    return lab.vpc("hub", "10.0.0.0/16", tables=20)


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
    """One hub and five spokes in three accounts from one list, and a list that changes touches no other one."""
    assert third_role.split(":")[4] == THIRD
    stack = lab.stack()
    parameters = {
        "HubVpcId": hub.id,
        "HubRouteTableIds": ",".join(hub.route_table_ids),
        "PeerExternalId": EXTERNAL_ID,
    }
    template = example("hub-and-spoke", "Spokes", spokes)

    assert stacks.deploy(stack.cloudformation, stack.name, template, parameters) == "CREATE_COMPLETE"
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


def test_five_at_once_under_throttling(lab: Installed, third_role: str, hub: Vpc, spokes: dict[str, Vpc]) -> None:
    """Five stacks of one hub at the same time, more routes than EC2 takes at once: none fails, and all converge.

    CloudFormation makes the resources of one stack side by side; the embedded one does so with stacks only.
    """
    lab.aws.strict.settings.throttled = True
    stacks_of = {name: lab.stack() for name in spokes}
    roles = {OTHER: lab.role_arn, THIRD: third_role}

    with ThreadPoolExecutor(len(spokes)) as pool:
        statuses = pool.map(
            lambda name: stacks_of[name].deploy(
                {**lab.properties(hub, spokes[name]), "PeerRoleArn": roles[spokes[name].account]}
            ),
            spokes,
        )
        assert set(statuses) == {"CREATE_COMPLETE"}

    calls = lab.aws.strict.calls
    assert any(call.error == "RequestLimitExceeded" for call in calls)
    assert most_at_once(calls) >= 3
    lab.aws.strict.settings.throttled = False
    assert_star(lab, hub, spokes, {name: stack.connection_id for name, stack in stacks_of.items()})
    with ThreadPoolExecutor(len(spokes)) as pool:
        assert set(pool.map(Stack.delete, stacks_of.values())) == {"DELETE_COMPLETE"}
    assert_gone(lab, hub, *spokes.values())


def test_full_mesh(lab: Installed) -> None:
    """Four VPCs in two Regions: six connections, and every one reaches every other one directly."""
    url = lab.aws.strict.url
    vpcs = {
        name: make_vpc(url, HOME, region, name.lower(), f"10.{n}.0.0/16")
        for n, (name, region) in enumerate(MESH.items())
    }
    stack = lab.stack()

    status = stacks.deploy(stack.cloudformation, stack.name, example("full-mesh", "Vpcs", vpcs))

    assert status == "CREATE_COMPLETE"
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
