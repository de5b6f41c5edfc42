import json

from tests.e2e.installed import HOME, OTHER, Installed, no_routes, routes_to, writes


def test_create_makes_both_sides(lab: Installed) -> None:
    """The one promise: after CREATE_COMPLETE the two VPCs reach each other, nothing is left to do by hand."""
    vpc = lab.vpc("hub", "10.0.0.0/16", secondary=["10.1.0.0/16"], tables=3)
    peer = lab.peer_vpc("spoke", "10.8.0.0/16", secondary=["10.9.0.0/16"])
    dns = {"AllowDnsResolutionFromRemoteVpc": True, "PeerAllowDnsResolutionFromRemoteVpc": False}
    tags = {"Tags": [{"Key": "Team", "Value": "net"}], "PeerTags": [{"Key": "Team", "Value": "app"}]}
    stack = lab.stack()
    assert stack.deploy(lab.properties(vpc, peer, **dns, **tags)) == "CREATE_COMPLETE"
    for side, team in ((vpc, "net"), (peer, "app")):
        seen = lab.connection(side, stack.connection_id)
        assert seen["Status"]["Code"] == "active"
        assert seen["RequesterVpcInfo"]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"]
        assert not seen["AccepterVpcInfo"]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"]
        shown = {tag["Key"]: tag["Value"] for tag in seen["Tags"] if not tag["Key"].startswith("vpc-peering:")}
        assert shown == {"Name": "hub-to-spoke", "Team": team}
    assert lab.routes(vpc) == routes_to(vpc, peer, stack.connection_id)
    assert lab.routes(peer) == routes_to(peer, vpc, stack.connection_id)


def test_attributes_and_ref_reach_the_template(lab: Installed) -> None:
    """Other resources of the stack read them; each is a string, lists are joined by commas."""
    vpc, peer = lab.vpc("hub", "10.0.0.0/16", secondary=["10.1.0.0/16"], tables=3), lab.peer_vpc("spoke", "10.8.0.0/16")
    stack = lab.stack()
    stack.deploy(lab.properties(vpc, peer))
    outputs = stack.outputs
    assert outputs == {
        "Ref": stack.answers[0]["PhysicalResourceId"],
        "Id": outputs["Ref"],
        "VpcPeeringConnectionId": outputs["Ref"],
        "Status": "active",
        "RequesterVpcId": vpc.id,
        "RequesterOwnerId": HOME,
        "RequesterRegion": "us-east-1",
        "RequesterCidrBlocks": "10.0.0.0/16,10.1.0.0/16",
        "AccepterVpcId": peer.id,
        "AccepterOwnerId": OTHER,
        "AccepterRegion": "eu-west-1",
        "AccepterCidrBlocks": "10.8.0.0/16",
        "RouteCount": "3",
        "PeerRouteCount": "4",
        "SkippedRoutes": "",
        "PeerSkippedRoutes": "",
    }


def test_registry_remembers_the_resource(lab: Installed) -> None:
    """The deployed function writes the deployed table: what lives, the answers and the routes; what is gone expires."""
    stack = lab.stack()
    stack.deploy(lab.properties(lab.vpc("hub", "10.0.0.0/16"), lab.peer_vpc("spoke", "10.8.0.0/16")))
    dynamodb = lab.aws.client("dynamodb", HOME, "us-east-1")
    (table,) = dynamodb.list_tables()["TableNames"]

    def item() -> dict[str, str]:
        items = dynamodb.scan(TableName=table)["Items"]
        (found,) = [item for item in items if item["StackId"]["S"].split("/")[1] == stack.name]
        return {name: next(iter(value.values())) for name, value in found.items()}

    created = item()
    body = json.loads(created["Body"])
    assert [stack.connection_id] == body["Living"] == list(body["Routes"])
    assert ["Create", "SUCCESS"] == [body["Requests"][0]["RequestType"], body["Requests"][0]["Answer"]["Status"]]
    stack.delete()
    assert ["ExpiresAt"] == sorted(item().keys() - created.keys())


def test_update_without_effect_writes_nothing(lab: Installed) -> None:
    """A default that is spelled out is no change: what runs is not touched."""
    properties = lab.properties(lab.vpc("hub", "10.0.0.0/16"), lab.peer_vpc("spoke", "10.8.0.0/16"))
    stack = lab.stack()
    stack.deploy(properties)
    with lab.counted() as calls:
        assert stack.deploy({**properties, "AutoAccept": True}) == "UPDATE_COMPLETE"
    assert len(calls) <= 8
    assert not writes(calls)


def test_update_adds_and_takes_away_only_what_differs(lab: Installed) -> None:
    """One table joins, another one leaves: no other route is touched, and the connection stays."""
    vpc, peer = lab.vpc("hub", "10.0.0.0/16", tables=3), lab.peer_vpc("spoke", "10.8.0.0/16")
    first, second, third = vpc.route_table_ids
    properties = lab.properties(vpc, peer, Routes={"RouteTableIds": [first, second]})
    stack = lab.stack()
    stack.deploy(properties)
    with lab.counted() as calls:
        assert stack.deploy({**properties, "Routes": {"RouteTableIds": [second, third]}}) == "UPDATE_COMPLETE"
    assert writes(calls) == ["CreateRoute", "DeleteRoute"]
    kept = {"10.8.0.0/16": stack.connection_id}
    assert lab.routes(vpc) == {first: {}, second: kept, third: kept}


def test_replacement_moves_routes_and_is_cleaned_up(lab: Installed) -> None:
    """Another PeerVpcId with the same blocks: ReplaceRoute alone, and CloudFormation's Delete takes the old one."""
    vpc, peer, new_peer = (
        lab.vpc("hub", "10.0.0.0/16"),
        lab.peer_vpc("blue", "10.8.0.0/16"),
        lab.peer_vpc("green", "10.8.0.0/16"),
    )
    stack = lab.stack()
    stack.deploy(lab.properties(vpc, peer))
    old_id = stack.connection_id
    with lab.counted() as calls:
        assert stack.deploy(lab.properties(vpc, new_peer)) == "UPDATE_COMPLETE"
    new_id = stack.connection_id
    assert stack.sent == [("Create", None), ("Update", old_id), ("Delete", old_id)]
    assert [new_id] == lab.live(vpc) == lab.live(peer)
    assert lab.routes(vpc) == routes_to(vpc, new_peer, new_id)
    assert lab.routes(new_peer) == routes_to(new_peer, vpc, new_id)
    assert lab.routes(peer) == no_routes(peer)
    on_hub = [c.operation for c in calls if c.params.get("RouteTableId") in vpc.route_table_ids]
    assert on_hub == ["ReplaceRoute"] * 2


def test_delete_leaves_what_others_made(lab: Installed) -> None:
    """Users add routes of their own to our connection: they stay, all of ours goes."""
    vpc, peer = lab.vpc("hub", "10.0.0.0/16"), lab.peer_vpc("spoke", "10.8.0.0/16")
    stack = lab.stack()
    stack.deploy(lab.properties(vpc, peer))
    table_id, connection_id = vpc.route_table_ids[0], stack.connection_id
    own = {"DestinationCidrBlock": "172.16.0.0/12", "VpcPeeringConnectionId": connection_id}
    lab.ec2(vpc).create_route(RouteTableId=table_id, **own)
    assert stack.delete() == "DELETE_COMPLETE"
    assert lab.routes(vpc) == {**no_routes(vpc), table_id: {"172.16.0.0/12": connection_id}}
    assert lab.routes(peer) == no_routes(peer)
    assert not lab.live(vpc) + lab.live(peer)


def test_connection_deleted_by_hand_does_not_hinder_the_deletion(lab: Installed) -> None:
    """A stack must be deletable whatever somebody did before; the blackholes go too."""
    vpc, peer = lab.vpc("hub", "10.0.0.0/16"), lab.peer_vpc("spoke", "10.8.0.0/16")
    stack = lab.stack()
    stack.deploy(lab.properties(vpc, peer))
    lab.ec2(peer).delete_vpc_peering_connection(VpcPeeringConnectionId=stack.connection_id)
    assert stack.delete() == "DELETE_COMPLETE"
    assert lab.routes(vpc) == no_routes(vpc)
    assert lab.routes(peer) == no_routes(peer)


def test_connection_deleted_by_hand_is_made_again_by_an_update(lab: Installed) -> None:
    """The next update repairs: a new connection, blackholes replaced, and the clean-up of the old id does no harm."""
    vpc, peer = lab.vpc("hub", "10.0.0.0/16"), lab.peer_vpc("spoke", "10.8.0.0/16")
    stack = lab.stack()
    stack.deploy(lab.properties(vpc, peer))
    old_id = stack.connection_id
    lab.ec2(peer).delete_vpc_peering_connection(VpcPeeringConnectionId=old_id)
    assert stack.deploy(lab.properties(vpc, peer, AutoAccept=True)) == "UPDATE_COMPLETE"
    assert old_id != stack.connection_id
    assert stack.sent[-1] == ("Delete", old_id)
    assert lab.routes(vpc) == routes_to(vpc, peer, stack.connection_id)
    assert lab.routes(peer) == routes_to(peer, vpc, stack.connection_id)


def test_request_that_others_accept_is_finished_by_the_next_update(lab: Installed) -> None:
    """AutoAccept: false leaves the request pending and makes no route; once accepted, an update does the rest."""
    vpc, peer = lab.vpc("hub", "10.0.0.0/16"), lab.peer_vpc("spoke", "10.8.0.0/16")
    properties = lab.properties(vpc, peer, AutoAccept=False)
    stack = lab.stack()
    assert stack.deploy(properties) == "CREATE_COMPLETE"
    outputs = stack.outputs
    assert (outputs["Status"], outputs["RouteCount"]) == ("pending-acceptance", "0")
    assert lab.routes(vpc) == no_routes(vpc)
    lab.ec2(peer).accept_vpc_peering_connection(VpcPeeringConnectionId=outputs["Ref"])
    assert stack.deploy({**properties, "Tags": [{"Key": "a", "Value": "b"}]}) == "UPDATE_COMPLETE"
    assert stack.outputs["Status"] == "active"
    assert lab.routes(vpc) == routes_to(vpc, peer, outputs["Ref"])
    assert lab.routes(peer) == routes_to(peer, vpc, outputs["Ref"])
