from local import stacks
from local.demo.installation import EXTERNAL_ID, ROLE_STACK, Installation
from local.strict import Call
from local.world import make_prefix_list
from tests.e2e import test_many_peerings
from tests.e2e.installed import EXAMPLES, FUNCTION, HOME, OTHER, Installed, no_routes, routes_to

REQUESTER, ACCEPTER = "333333333333", "444444444444"
"""Of the hub's example: neither is the function's account."""


def test_every_example_is_tested() -> None:
    """A new example has to come with its test: here, or with the other loops."""
    tests = {**globals(), **vars(test_many_peerings)}
    assert [] == [name for name in EXAMPLES if f"test_{name.replace('-', '_')}" not in tests]


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
    lab.ec2(peer).associate_vpc_cidr_block(VpcId=peer.id, CidrBlock="100.64.0.0/16")
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
        "MultipathResilience": "true",
    }
    stack = lab.stack()
    with lab.counted() as calls:
        assert stack.deploy_example("hub-account", parameters) == "CREATE_COMPLETE"
    outputs = stack.outputs
    assert (outputs["RequesterOwnerId"], outputs["AccepterOwnerId"]) == (REQUESTER, ACCEPTER)
    assert {call.service for call in calls if call.account == HOME} == {"sts"}
    assert lab.connection(vpc, outputs["PeeringId"])["MultipathResilienceStatus"] == "enabled"
    assert lab.routes(vpc) == routes_to(vpc, peer, outputs["PeeringId"])
    assert lab.routes(peer) == routes_to(peer, vpc, outputs["PeeringId"])
    assert stack.delete() == "DELETE_COMPLETE"
    assert not lab.live(vpc) + lab.live(peer)
    for account in (REQUESTER, ACCEPTER):
        assert stacks.delete(lab.aws.client("cloudformation", account), ROLE_STACK) == "DELETE_COMPLETE"


def test_application_account(lab: Installed) -> None:
    """A stack of another account is served, and peers its own VPC with one of the function's account."""
    network, vpc = lab.vpc("network", "10.0.0.0/16", tables=2), lab.vpc("application", "10.8.0.0/16", OTHER)
    parameters = {
        "ServiceToken": f"arn:aws:lambda:us-east-1:{HOME}:function:{FUNCTION}",
        "NetworkVpcId": network.id,
        "NetworkRouteTableIds": network.route_table_ids[1],
        "PeerVpcId": vpc.id,
        "PeerRoleArn": lab.role_arn,
        "PeerExternalId": EXTERNAL_ID,
    }
    stack = lab.stack()
    stack.cloudformation = lab.aws.client("cloudformation", OTHER)
    assert stack.deploy_example("application-account", parameters) == "ROLLBACK_COMPLETE"
    assert any("not authorized to perform: lambda:InvokeFunction" in reason for reason in stack.reasons)
    assert stack.delete() == "DELETE_COMPLETE"
    functions = lab.aws.client("lambda")  # what ShareWithOrganization makes
    organization = {"Principal": "*", "PrincipalOrgID": "o-a1b2c3d4e5"}
    functions.add_permission(
        FunctionName=FUNCTION, StatementId="Shared", Action="lambda:InvokeFunction", **organization
    )
    assert stack.deploy_example("application-account", parameters) == "CREATE_COMPLETE"
    connection_id = stack.outputs["PeeringId"]
    assert lab.routes(vpc) == routes_to(vpc, network, connection_id)
    assert lab.routes(network) == {
        **no_routes(network),
        network.route_table_ids[1]: {"10.8.0.0/16": connection_id},
    }
    assert stack.delete() == "DELETE_COMPLETE"
    assert not lab.live(network)
    functions.remove_permission(FunctionName=FUNCTION, StatementId="Shared")


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


def test_by_tags(lab: Installed) -> None:
    """No id of a VPC or a table stands in the stack: all are found, and nothing else is routed."""
    vpc, peer = lab.vpc("app", "10.0.0.0/16", subnets=2), lab.peer_vpc("data", "10.8.0.0/16", tables=3, subnets=3)
    tier = [{"Key": "Tier", "Value": "app"}]
    lab.ec2(vpc).create_tags(Resources=[vpc.subnet_ids[1]], Tags=tier)
    lab.ec2(peer).create_tags(Resources=[peer.route_table_ids[1]], Tags=[{"Key": "Peering", "Value": "shared"}])
    apps = make_prefix_list(lab.aws.strict.url, peer.account, peer.region, "apps", "10.0.0.0/24", max_entries=5)
    parameters = {
        "VpcName": "app",
        "PeerVpcName": "data",
        "PeerRegion": peer.region,
        "PeerRoleArn": lab.role_arn,
        "PeerExternalId": EXTERNAL_ID,
        "DatabaseSubnetIds": ",".join(peer.subnet_ids[1:]),
        "AppPrefixListId": apps,
    }
    stack = lab.stack()
    assert stack.deploy_example("by-tags", parameters) == "CREATE_COMPLETE"
    outputs = stack.outputs
    assert (outputs["PeerVpcId"], outputs.get("SkippedRoutes", "")) == (peer.id, "")
    databases = dict.fromkeys(("10.8.0.16/28", "10.8.0.32/28"), outputs["PeeringId"])
    assert lab.routes(vpc) == {**no_routes(vpc), vpc.route_table_ids[1]: databases}
    assert lab.routes(peer) == {**no_routes(peer), peer.route_table_ids[1]: {apps: outputs["PeeringId"]}}
    assert stack.delete() == "DELETE_COMPLETE"
    assert not lab.live(vpc)
    assert (lab.routes(vpc), lab.routes(peer)) == (no_routes(vpc), no_routes(peer))


def test_vendor(lab: Installed) -> None:
    """A vendor's request is accepted and routed to; nothing is asked of its account, and the connection outlives us."""
    vendor, vpc = lab.vpc("vendor", "10.8.0.0/16", REQUESTER), lab.vpc("ours", "10.0.0.0/16")
    request = lab.ec2(vendor).create_vpc_peering_connection(VpcId=vendor.id, PeerVpcId=vpc.id, PeerOwnerId=HOME)
    connection_id = request["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    parameters = {
        "VpcPeeringConnectionId": connection_id,
        "VendorVpcId": vendor.id,
        "VendorAccountId": REQUESTER,
        "VpcId": vpc.id,
        "SubnetIds": ",".join(vpc.subnet_ids),
    }
    stack = lab.stack()
    with lab.counted() as calls:
        assert stack.deploy_example("vendor", parameters) == "CREATE_COMPLETE"
        assert lab.routes(vpc) == routes_to(vpc, vendor, connection_id)
        outputs = stack.outputs
        assert stack.delete() == "DELETE_COMPLETE"
    assert {"Status": "active", "VendorCidrBlocks": "10.8.0.0/16", "PeerRouteCount": "2"} == outputs
    assert {HOME} == {call.account for call in calls}
    assert lab.routes(vpc) == no_routes(vpc)
    assert lab.live(vpc) == [connection_id]


def test_adoption(lab: Installed) -> None:
    """A peering with some routes is taken over and completed, another way goes by it; all is as it was in the end."""
    vpc, peer = lab.vpc("here", "10.0.0.0/16"), lab.peer_vpc("there", "10.8.0.0/16")
    request = lab.ec2(vpc).create_vpc_peering_connection(
        VpcId=vpc.id, PeerVpcId=peer.id, PeerOwnerId=peer.account, PeerRegion=peer.region
    )
    connection_id = request["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    lab.ec2(peer).accept_vpc_peering_connection(VpcPeeringConnectionId=connection_id)
    main, other = vpc.route_table_ids
    lab.ec2(vpc).create_route(
        RouteTableId=main, DestinationCidrBlock="10.8.0.0/16", VpcPeeringConnectionId=connection_id
    )
    gateway = lab.ec2(vpc).create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    lab.ec2(vpc).attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc.id)
    lab.ec2(vpc).create_route(RouteTableId=other, DestinationCidrBlock="10.8.0.0/16", GatewayId=gateway)
    parameters = {
        "VpcId": vpc.id,
        "PeerVpcId": peer.id,
        "PeerOwnerId": peer.account,
        "PeerRegion": peer.region,
        "PeerRoleArn": lab.role_arn,
        "PeerExternalId": EXTERNAL_ID,
    }
    stack = lab.stack()
    assert stack.deploy_example("adoption", parameters) == "CREATE_COMPLETE"
    assert {"PeeringId": connection_id, "RouteCount": "2", "PeerRouteCount": "2"} == stack.outputs
    assert lab.routes(vpc) == routes_to(vpc, peer, connection_id)
    assert lab.routes(peer) == routes_to(peer, vpc, connection_id)
    lab.settle()
    assert stack.delete() == "DELETE_COMPLETE"
    assert lab.live(vpc) == [connection_id]
    assert lab.routes(vpc) == {main: {"10.8.0.0/16": connection_id}, other: {"10.8.0.0/16": gateway}}
    assert lab.routes(peer) == no_routes(peer)
    assert not lab.connection(vpc, connection_id).get("Tags")


def test_acceptance(lab: Installed) -> None:
    """The stack waits for somebody in the other account, where it has no role, and goes on by itself."""
    vpc, peer = lab.vpc("here", "10.0.0.0/16"), lab.peer_vpc("there", "10.8.0.0/16")
    parameters = {
        "VpcId": vpc.id,
        "PeerVpcId": peer.id,
        "PeerOwnerId": peer.account,
        "PeerRegion": peer.region,
        "PeerCidrBlocks": "10.8.0.0/17",
    }
    reads: list[str] = []

    def accept(call: Call) -> None:
        reads.append(call.operation)
        if reads.count("DescribeVpcPeeringConnections") == 5:
            lab.aws.strict.accept(lab.aws.strict.newest(), (peer.account, peer.region))

    lab.aws.strict.watchers.append(accept)
    stack = lab.stack()
    assert stack.deploy_example("acceptance", parameters) == "CREATE_COMPLETE"
    outputs = stack.outputs
    assert outputs["Status"] == "active"
    assert lab.routes(vpc) == {**no_routes(vpc), vpc.route_table_ids[0]: {"10.8.0.0/17": outputs["PeeringId"]}}
    assert lab.routes(peer) == no_routes(peer)
    assert stack.delete() == "DELETE_COMPLETE"
    assert not lab.live(vpc)
