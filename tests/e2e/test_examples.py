from local import stacks
from local.demo.installation import EXTERNAL_ID, ROLE_STACK, Installation
from tests.e2e.installed import EXAMPLES, HOME, Installed, no_routes, routes_to

REQUESTER, ACCEPTER = "333333333333", "444444444444"
"""Of the hub's example: neither is the function's account."""


def test_every_example_is_tested_here() -> None:
    """A new example has to come with its test."""
    assert all(f"test_{name.replace('-', '_')}" in globals() for name in EXAMPLES)


def test_same_account(lab: Installed) -> None:
    """The smallest stack that people copy."""
    vpc, peer = lab.vpc("one", "10.0.0.0/16"), lab.vpc("two", "10.8.0.0/16")
    stack = lab.stack()
    assert stack.deploy_example("same-account", {"VpcId": vpc.id, "PeerVpcId": peer.id}) == "CREATE_COMPLETE"
    connection_id = stack.outputs["PeeringId"]
    assert lab.routes(vpc) == routes_to(vpc, peer, connection_id)
    assert lab.routes(peer) == routes_to(peer, vpc, connection_id)
    assert stack.delete() == "DELETE_COMPLETE"
    assert not lab.live(vpc)
    assert lab.routes(peer) == no_routes(peer)


def test_cross_account(lab: Installed) -> None:
    """The stack that most people copy: another account, another Region."""
    vpc, peer = lab.vpc("here", "10.0.0.0/16"), lab.peer_vpc("there", "10.8.0.0/16")
    parameters = {
        "VpcId": vpc.id,
        "PeerVpcId": peer.id,
        "PeerOwnerId": peer.account,
        "PeerRegion": peer.region,
        "PeerRoleArn": lab.role_arn,
        "PeerExternalId": EXTERNAL_ID,
    }
    stack = lab.stack()
    assert stack.deploy_example("cross-account", parameters) == "CREATE_COMPLETE"
    outputs = stack.outputs
    assert (outputs["Status"], outputs["AccepterCidrBlocks"]) == ("active", "10.8.0.0/16")
    assert lab.routes(vpc) == routes_to(vpc, peer, outputs["PeeringId"])
    assert lab.routes(peer) == routes_to(peer, vpc, outputs["PeeringId"])
    assert stack.delete() == "DELETE_COMPLETE"
    assert not lab.live(vpc) + lab.live(peer)
    assert lab.routes(peer) == no_routes(peer)


def test_hub_account(lab: Installed, installation: Installation) -> None:
    """A third account acts for both sides, by roles alone; it asks nothing of its own EC2."""
    vpc = lab.vpc("requester", "10.0.0.0/16", REQUESTER)
    peer = lab.peer_vpc("accepter", "10.8.0.0/16", ACCEPTER)
    role_arn = installation.deploy_role(REQUESTER, AllowRequesting="true")
    peer_role_arn = installation.deploy_role(ACCEPTER, RequesterAccountId=REQUESTER)
    parameters = {
        "VpcId": vpc.id,
        "Region": vpc.region,
        "RoleArn": role_arn,
        "ExternalId": EXTERNAL_ID,
        "PeerVpcId": peer.id,
        "PeerOwnerId": peer.account,
        "PeerRegion": peer.region,
        "PeerRoleArn": peer_role_arn,
        "PeerExternalId": EXTERNAL_ID,
    }
    stack = lab.stack()
    with lab.counted() as calls:
        assert stack.deploy_example("hub-account", parameters) == "CREATE_COMPLETE"
    outputs = stack.outputs
    assert (outputs["RequesterOwnerId"], outputs["AccepterOwnerId"]) == (REQUESTER, ACCEPTER)
    assert {call.service for call in calls if call.account == HOME} == {"sts"}
    assert lab.routes(vpc) == routes_to(vpc, peer, outputs["PeeringId"])
    assert lab.routes(peer) == routes_to(peer, vpc, outputs["PeeringId"])
    assert stack.delete() == "DELETE_COMPLETE"
    assert not lab.live(vpc) + lab.live(peer)
    for account in (REQUESTER, ACCEPTER):
        assert stacks.delete(lab.aws.client("cloudformation", account), ROLE_STACK) == "DELETE_COMPLETE"


def test_management(lab: Installed) -> None:
    """Two spokes: both reach management, and neither has a route to the other one."""
    management = lab.vpc("management", "10.0.0.0/16", tables=3)
    staging, production = lab.vpc("staging", "10.8.0.0/16"), lab.vpc("production", "10.12.0.0/16")
    bastions = "10.0.0.0/24"
    _, *tables = management.route_table_ids
    parameters = {
        "ManagementVpcId": management.id,
        "ManagementRouteTableIds": ",".join(tables),
        "ManagementCidrBlock": bastions,
        "StagingVpcId": staging.id,
        "ProductionVpcId": production.id,
    }
    stack = lab.stack()
    assert stack.deploy_example("management", parameters) == "CREATE_COMPLETE"
    to_staging, to_production = stack.outputs["StagingPeeringId"], stack.outputs["ProductionPeeringId"]
    both = {"10.8.0.0/16": to_staging, "10.12.0.0/16": to_production}
    assert lab.routes(management) == {**no_routes(management), **dict.fromkeys(tables, both)}
    assert lab.routes(staging) == routes_to(staging, management, to_staging)
    assert lab.routes(production) == {table_id: {bastions: to_production} for table_id in production.route_table_ids}
    assert stack.delete() == "DELETE_COMPLETE"
    assert not lab.live(management)
    for vpc in (management, staging, production):
        assert lab.routes(vpc) == no_routes(vpc)
