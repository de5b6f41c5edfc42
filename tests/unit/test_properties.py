import re
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

import pytest
from pydantic.alias_generators import to_pascal

from handler.desire import desire
from handler.errors import FINDINGS_LIMIT, REASON_LIMIT, InvalidRequest
from handler.model import Desired, DesiredSide, End, Mode, OnConflict, Option, Owner, RouteRule, Side
from handler.parsing import parse, salvage
from handler.properties import MAX_TAGS, Home, Properties

HOME: Final = Home("111111111111", "us-east-1", "aws", ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1"))
CHINA: Final = Home("111111111111", "cn-north-1", "aws-cn", ("cn-north-1", "cn-northwest-1"))
VPC, PEER_VPC = "vpc-0a1b2c3d4e5f60718", "vpc-1a1b2c3d4e5f60718"
TABLE, PEER_TABLE = "rtb-0a1b2c3d4e5f60718", "rtb-1a1b2c3d4e5f60718"
ROLE, PEER_ROLE = "arn:aws:iam::333333333333:role/Peering", "arn:aws:iam::222222222222:role/path/Peering"
LEAST: Final = {"VpcId": VPC, "PeerVpcId": PEER_VPC}
OTHER_ACCOUNT: Final = {"PeerOwnerId": "222222222222", "PeerRoleArn": PEER_ROLE}


def given(**more: object) -> dict[str, Any]:
    """Return properties as CloudFormation sends them; None takes one out."""
    return {key: value for key, value in {**LEAST, **more}.items() if value is not None}


def problems(home: Home = HOME, /, **more: object) -> str:
    """Return all that is reported about properties."""
    with pytest.raises(InvalidRequest) as raised:
        parse(given(**more), home)
    return str(raised.value.__cause__)


def about(name: str, home: Home = HOME, /, **more: object) -> str:
    """Return all that is reported about one property, where nothing else is wrong."""
    told = problems(home, **more)
    assert told.startswith(name)
    return told.removeprefix(name + " ")


def tags(*keys: str, value: str = "1") -> list[dict[str, str]]:
    """Return tags as CloudFormation sends them."""
    return [{"Key": key, "Value": value} for key in keys]


def test_least_properties() -> None:
    """Two ids are a whole resource: all else has a default."""
    assert Properties(VpcId=VPC, PeerVpcId=PEER_VPC) == parse(LEAST, HOME)


def test_all_properties() -> None:
    """Every property, as CloudFormation sends it (strings throughout), ends in its place of the desired state."""
    rule = {
        "RouteTableIds": [TABLE, TABLE],
        "AllRouteTables": "false",
        "MainRouteTable": "true",
        "ExcludeRouteTableIds": [PEER_TABLE],
        "DestinationCidrBlocks": ["10.8.0.0/16", "10.8.0.1/16"],
        "ExcludeCidrBlocks": ["10.9.0.0/16"],
        "OnConflict": "Replace",
    }
    raw = given(
        ServiceToken="arn:aws:lambda:us-east-1:111111111111:function:peering",
        ServiceTimeout="300",
        PeerOwnerId="222222222222",
        Region="us-west-2",
        PeerRegion="eu-west-1",
        RoleArn=ROLE,
        PeerRoleArn=PEER_ROLE,
        ExternalId="one",
        PeerExternalId="two",
        AutoAccept="true",
        OnExistingConnection="Fail",
        AllowDnsResolutionFromRemoteVpc="true",
        PeerAllowDnsResolutionFromRemoteVpc="false",
        Tags=tags("Team"),
        PeerTags=[{"Key": "NoValue"}],
        Routes=rule,
        PeerRoutes={"AllRouteTables": "true"},
    )
    owner = Owner("stack", "Peering", "installation")

    assert Desired(
        owner,
        DesiredSide(
            End(VPC, "333333333333", "us-west-2"),
            tags={"Team": "1"},
            options={Option.DNS: True},
            routes=RouteRule(
                route_table_ids=(TABLE,),
                main_route_table=True,
                exclude_route_table_ids=(PEER_TABLE,),
                destination_cidr_blocks=("10.8.0.0/16",),
                exclude_cidr_blocks=("10.9.0.0/16",),
                on_conflict=OnConflict.REPLACE,
            ),
        ),
        DesiredSide(
            End(PEER_VPC, "222222222222", "eu-west-1"),
            tags={"NoValue": ""},
            options={Option.DNS: False},
            routes=RouteRule(all_route_tables=True),
        ),
    ) == desire(parse(raw, HOME), HOME, owner)


@pytest.mark.parametrize(
    ("more", "account", "peer_account"),
    [
        ({}, "111111111111", "111111111111"),
        ({"PeerRoleArn": PEER_ROLE}, "111111111111", "222222222222"),
        ({"RoleArn": ROLE, "PeerRoleArn": PEER_ROLE}, "333333333333", "222222222222"),
        ({"RoleArn": ROLE, "PeerRoleArn": ROLE}, "333333333333", "333333333333"),
        ({"RoleArn": ROLE, "PeerOwnerId": "111111111111"}, "333333333333", "111111111111"),
        ({"RoleArn": ROLE, "AutoAccept": "false"}, "333333333333", "333333333333"),
    ],
)
def test_accounts(more: dict[str, str], account: str, peer_account: str) -> None:
    """Whose VPC it is follows from the roles: a hub account names two, and owns neither."""
    properties = parse(given(**more), HOME)

    assert (account, peer_account) == (properties.account(HOME), properties.peer_account(HOME))


@pytest.mark.parametrize("present", [True, False])
def test_defaults(present: bool) -> None:
    """What is not asked for is decided in one place: nothing is managed but the connection itself."""
    owner = Owner("stack", "Peering", "installation")
    end, peer_end = End(VPC, "111111111111", "us-east-1"), End(PEER_VPC, "111111111111", "us-east-1")

    assert Desired(owner, DesiredSide(end), DesiredSide(peer_end), present=present) == desire(
        parse(LEAST, HOME), HOME, owner, present=present
    )


@pytest.mark.parametrize(
    ("peer_tags", "expected"), [(None, {"Team": "1"}), ([], {}), (tags("Other"), {"Other": "1"})], ids=str
)
def test_peer_tags_are_tags_unless_given(peer_tags: list[dict[str, str]] | None, expected: dict[str, str]) -> None:
    """Most people want the same tags on both sides; an empty list is a wish too."""
    raw = given(**OTHER_ACCOUNT, Tags=tags("Team"), PeerTags=peer_tags)
    wanted = desire(parse(raw, HOME), HOME, Owner("stack", "Peering", "installation"))

    assert ({"Team": "1"}, expected) == (wanted.requester.tags, wanted.accepter.tags)


@pytest.mark.parametrize(("more", "managed"), [({}, False), ({"PeerTags": tags("Team")}, True)])
def test_accepter_left_alone_is_so_desired(more: dict[str, object], managed: bool) -> None:
    """The plan learns from the desired state alone that the other party accepts."""
    properties = parse(given(**OTHER_ACCOUNT, AutoAccept="false", **more), HOME)
    wanted = desire(properties, HOME, Owner("stack", "Peering", "installation"))

    assert (False, True, managed) == (wanted.auto_accept, wanted.requester.managed, wanted.accepter.managed)


def test_regions_follow_each_other() -> None:
    """Without PeerRegion the accepter is where the requester is, not where the stack is."""
    properties = parse(given(Region="us-west-2"), HOME)

    assert ("us-west-2", "us-west-2") == (properties.own_region(HOME), properties.peer_own_region(HOME))


@pytest.mark.parametrize(
    ("more", "managed"),
    [
        ({}, True),
        ({"AutoAccept": "false"}, False),
        ({"AutoAccept": "false", "Tags": tags("Team")}, False),
        ({"AutoAccept": "false", "PeerTags": tags("Team")}, True),
        ({"AutoAccept": "false", "PeerRoutes": {"AllRouteTables": "true"}}, True),
        ({"AutoAccept": "false", "PeerAllowDnsResolutionFromRemoteVpc": "false"}, True),
    ],
)
def test_accepter_is_left_alone_unless_something_is_asked_of_it(more: dict[str, object], managed: bool) -> None:
    """With AutoAccept false the other account may be closed to us altogether."""
    assert managed == parse(given(**more), HOME).manages_accepter


def test_every_problem_is_told_at_once() -> None:
    """Correcting one property a deployment is what this resource spares people."""
    told = problems(
        PeerVpcId=None,
        VpcId="vpc-1",
        PeerOwnerId="222",
        Region="us-esat-1",
        AutoAccept="yes",
        Tagz=[],
        Routes={"OnConflict": "Overwrite", "AllRouteTables": "true"},
    )

    assert (
        "VpcId 'vpc-1' is not a VPC id like vpc-0a1b2c3d4e5f60718; "
        "PeerOwnerId '222' is not an account of 12 digits (quote it in YAML); "
        "AutoAccept 'yes' is not a boolean; use true or false; "
        "Routes.OnConflict 'Overwrite' is unknown; use Fail or Skip or Replace; "
        "Tagz is unknown; did you mean Tags?; "
        "PeerVpcId is missing; give it or PeerVpcTags; "
        "Region 'us-esat-1' is not a Region of partition aws; did you mean us-east-1?"
    ) == told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("VpcId", "subnet-0a1b2c3d4e5f60718", "'subnet-0a1b2c3d4e5f60718' is not a VPC id like"),
        ("VpcId", VPC.upper(), f"{VPC.upper()!r} is not a VPC id like"),
        ("PeerVpcId", "vpc-0a1b2c3d4e5f607", "'vpc-0a1b2c3d4e5f607' is not a VPC id like"),
        ("PeerVpcId", [PEER_VPC], "must be a string"),
        ("PeerOwnerId", "2222-2222-2222", "'2222-2222-2222' is not an account of 12 digits (quote it in YAML)"),
        ("PeerOwnerId", 222222222222, "must be a string"),
        ("Region", "US East", "'US East' is not a Region like eu-west-1"),
        ("PeerRegion", "eu-west-1a", "'eu-west-1a' is not a Region like eu-west-1"),
        ("RoleArn", "Peering", "'Peering' is not the ARN of an IAM role"),
        ("AutoAccept", "", "'' is not a boolean; use true or false"),
        ("AllowDnsResolutionFromRemoteVpc", "True", "'True' is not a boolean; use true or false"),
        ("PeerAllowDnsResolutionFromRemoteVpc", "1", "'1' is not a boolean; use true or false"),
        ("OnExistingConnection", "Ignore", "'Ignore' is unknown; use Fail"),
        ("Tags", {"Team": "net"}, "must be a list; write [{Key: ..., Value: ...}]"),
        ("Tags", ["Team"], "[0] must be an object; write {Key: ..., Value: ...}"),
        ("Tags", [{"Value": "net"}], "[0].Key is missing"),
        ("Tags", [{"Key": "Team", "Value": ["net"]}], "[0].Value must be a string"),
        ("Routes", "all", "must be an object; write {AllRouteTables: true}"),
        ("Routes", {"RouteTableIds": TABLE}, ".RouteTableIds must be a list; write [...]"),
        ("PeerRoleArn", "", "is empty; leave it out, with !Ref AWS::NoValue where it depends on a condition"),
        ("Routes", {"RouteTableIds": [TABLE, "rtb-1"]}, ".RouteTableIds[1] 'rtb-1' is not a route table id like"),
        ("Routes", {"AllRouteTables": "on"}, ".AllRouteTables 'on' is not a boolean; use true or false"),
        ("Routes", {"OnConflict": "skip"}, ".OnConflict 'skip' is unknown; use Fail or Skip or Replace"),
        (
            "Routes",
            {"DestinationCidrBlocks": ["ten"]},
            ".DestinationCidrBlocks[0] 'ten' is not a CIDR block; write one",
        ),
        (
            "PeerRoutes",
            {"ExcludeCidrBlocks": ["10.0.0.0/33"]},
            ".ExcludeCidrBlocks[0] '10.0.0.0/33' is not a CIDR block",
        ),
    ],
)
def test_wrong_value(name: str, value: object, told: str) -> None:
    """The message names the property down to the item, and what would be right."""
    assert problems(**{name: value}).removeprefix(name).lstrip(" ").startswith(told)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("PeerVpcID", "is unknown; did you mean PeerVpcId?"),
        ("peervpcid", "is unknown; did you mean PeerVpcId?"),
        ("peer_vpc_id", "is unknown; did you mean PeerVpcId?"),
        ("AcceptorVpcId", "is unknown; did you mean "),
        ("Route", "is unknown; did you mean Routes?"),
        ("Zzz", "is unknown; known are VpcId, PeerVpcId, VpcTags,"),
        ("AssumeRoleRegion", "is of the native type alone; leave it out: a role is assumed wherever it is needed"),
    ],
)
def test_unknown_key(key: str, told: str) -> None:
    """A key that is slightly wrong is nearly always a known one."""
    assert about(key, **{key: "x"}).startswith(told)


@pytest.mark.parametrize("name", ["Routes", "PeerRoutes"])
def test_unknown_key_of_a_rule(name: str) -> None:
    """Inside a rule the known keys are the rule's."""
    rule = {"AllRouteTables": "true", "OnConflicts": "Skip"}

    assert "is unknown; did you mean OnConflict?" == about(f"{name}.OnConflicts", **{name: rule})


def test_unknown_key_of_a_tag() -> None:
    """Inside a tag the known keys are Key and Value."""
    tag = {"Key": "Team", "Valeu": "net"}

    assert "is unknown; did you mean Value?" == about("Tags[0].Valeu", Tags=[tag])


def test_cloudformations_own_keys_are_none_of_ours() -> None:
    """ServiceToken stands among the properties of every event, ServiceTimeout in some."""
    raw = given(ServiceToken="arn:aws:lambda:us-east-1:111111111111:function:peering", ServiceTimeout="60")

    assert parse(LEAST, HOME) == parse(raw, HOME)


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("false", False), (True, True), (False, False)])
def test_booleans(value: object, expected: bool) -> None:
    """CloudFormation sends "false" as a string, which is true in Python."""
    properties = parse(
        given(
            AutoAccept=value,
            AllowDnsResolutionFromRemoteVpc=value,
            Routes={"AllRouteTables": value, "RouteTableIds": [TABLE]},
        ),
        HOME,
    )

    assert (expected, expected) == (properties.auto_accept, properties.allow_dns_resolution_from_remote_vpc)
    assert expected == (properties.routes is not None and properties.routes.all_route_tables)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("100.68.0.18/18", "100.68.0.0/18"),
        ("2001:0DB8:0008::1/56", "2001:db8:8::/56"),
        ("10.8.0.0/16", "10.8.0.0/16"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_cidr_blocks_are_canonicalised(written: str, expected: str) -> None:
    """EC2 does the same, and compares what is stored: refusing host bits would be pedantry."""
    rule = {"AllRouteTables": "true", "DestinationCidrBlocks": [written], "ExcludeCidrBlocks": [written]}
    routes = parse(given(Routes=rule), HOME).routes

    assert routes is not None
    assert [expected] == routes.destination_cidr_blocks == routes.exclude_cidr_blocks


@pytest.mark.parametrize("value", ["yes", "no", "on", "1", "TRUE", "False", "true ", "", 1, 0, 1.0, ["true"], {}])
@pytest.mark.parametrize(
    "path",
    [
        ("AutoAccept",),
        ("AllowDnsResolutionFromRemoteVpc",),
        ("PeerAllowDnsResolutionFromRemoteVpc",),
        ("Routes", "AllRouteTables"),
        ("PeerRoutes", "MainRouteTable"),
    ],
    ids=".".join,
)
def test_no_boolean(path: tuple[str, ...], value: object) -> None:
    """A value that is guessed to be true or false accepts a peering, or opens a route, that nobody asked for."""
    raw = {**LEAST, path[0]: {path[1]: value} if path[1:] else value}

    with pytest.raises(InvalidRequest) as raised:
        parse(raw, HOME)

    assert f"{'.'.join(path)} {value!r} is not a boolean; use true or false." == raised.value.cause


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "ten", "10", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/16", "10.0.0.256/24", " 10.0.0.0/8"),
        *("10.0.0.0", "10.0.0.0/255.255.0.0", "fe80::1%eth0/64"),
    ],
)
@pytest.mark.parametrize("key", ["DestinationCidrBlocks", "ExcludeCidrBlocks"])
def test_no_cidr_block(key: str, written: str) -> None:
    """The item is named: a list may have a hundred of them."""
    rule = {"AllRouteTables": "true", key: ["10.8.0.0/16", written]}

    assert f"{written!r} is not a CIDR block; write one like 10.1.0.0/16" == about(f"Routes.{key}[1]", Routes=rule)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("169.254.168.0/22", "169.254.168.0/22"),
        ("169.254.169.254/32", "169.254.169.254/32"),
        ("169.254.169.254/24", "169.254.169.0/24"),
        ("fd00:ec2::/32", "fd00:ec2::/32"),
        ("FD00:0EC2::254/128", "fd00:ec2::254/128"),
    ],
)
def test_reserved_block(written: str, told: str) -> None:
    """EC2 refuses a route to its own services, or to a part of them, with a code that does not say so."""
    rule = {"AllRouteTables": "true", "DestinationCidrBlocks": [written]}

    assert f"{told} is reserved by EC2; leave it out" == about("PeerRoutes.DestinationCidrBlocks[0]", PeerRoutes=rule)


@pytest.mark.parametrize("written", ["169.254.164.0/22", "169.254.0.0/16", "fd00:ec3::/32", "::/0"])
def test_neighbour_of_a_reserved_block(written: str) -> None:
    """What lies beside a reserved block, or is wider, is taken as EC2 takes it."""
    rule = {"AllRouteTables": "true", "DestinationCidrBlocks": [written]}
    routes = parse(given(Routes=rule), HOME).routes

    assert routes is not None
    assert [written] == routes.destination_cidr_blocks


@pytest.mark.parametrize(
    "more",
    [
        {"PeerOwnerId": "\N{ARABIC-INDIC DIGIT TWO}" * 12},
        {"PeerRoleArn": PEER_ROLE.replace("2" * 12, "\N{ARABIC-INDIC DIGIT TWO}" * 12)},
        {"PeerRoleArn": f"{PEER_ROLE}\N{LATIN SMALL LETTER E WITH ACUTE}"},
        {**OTHER_ACCOUNT, "PeerExternalId": "\N{LATIN SMALL LETTER E WITH ACUTE}" * 8},
    ],
    ids=["account", "role's account", "role's name", "external id"],
)
def test_letters_and_digits_are_ascii(more: dict[str, str]) -> None:
    """AWS knows no others, and would refuse them only after the first calls."""
    assert "is not an" in problems(**more) or "is not the ARN" in problems(**more)


@pytest.mark.parametrize("name", ["VpcId", "PeerVpcId"])
def test_missing_vpc(name: str) -> None:
    """Both VPCs are required."""
    assert f"is missing; give it or {name.replace('Id', 'Tags')}" == about(name, **{name: None})


@pytest.mark.parametrize("name", ["VpcId", "PeerVpcId"])
def test_null_vpc(name: str) -> None:
    """An event written by hand may hold null: it is as missing as no key at all."""
    with pytest.raises(InvalidRequest, match=f"{name} "):
        parse({**LEAST, name: None}, HOME)


def test_same_vpc_twice() -> None:
    """A VPC cannot be peered with itself."""
    assert f"is VpcId again ({VPC}); give two VPCs" == about("PeerVpcId", PeerVpcId=VPC)


# Accounts and roles


def test_role_of_another_account_than_the_owner() -> None:
    """The two properties name one account: which of them is wrong only its author knows."""
    assert "is a role of 222222222222, but PeerOwnerId is 333333333333; align them" == about(
        "PeerRoleArn", PeerOwnerId="333333333333", PeerRoleArn=PEER_ROLE
    )


@pytest.mark.parametrize(
    "more",
    [
        {"PeerOwnerId": "222222222222"},
        {"PeerOwnerId": "222222222222", "AutoAccept": "false", "PeerTags": tags("Team")},
        {"RoleArn": ROLE.replace("333333333333", "222222222222")},
    ],
    ids=["to accept", "to tag", "hub"],
)
def test_missing_role_of_another_account(more: dict[str, object]) -> None:
    """Without a role nothing can be done in the accepter's account."""
    assert "is missing; give a role of 222222222222, the accepter's account" == about("PeerRoleArn", **more)


def test_no_role_is_needed_where_the_other_party_acts() -> None:
    """AutoAccept false is how two parties without mutual trust peer."""
    assert not parse(given(PeerOwnerId="222222222222", AutoAccept="false"), HOME).manages_accepter


@pytest.mark.parametrize("prefix", ["", "Peer"])
def test_external_id_without_a_role(prefix: str) -> None:
    """An external id that is never sent protects nothing."""
    assert f"is sent only with a role; give {prefix}RoleArn too" == about(
        f"{prefix}ExternalId", **{f"{prefix}ExternalId": "an-external-id"}
    )


@pytest.mark.parametrize("value", ["s", "se cret!", "s" * 1225])
def test_external_id_is_never_echoed(value: str) -> None:
    """It is a shared secret, and reasons are shown to everybody who may see the stack."""
    with pytest.raises(InvalidRequest) as raised:
        parse(given(**OTHER_ACCOUNT, PeerExternalId=value), HOME)

    assert "PeerExternalId value is not an external id" in raised.value.cause
    assert f"'{value}'" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        ("PeerRoleArn", {"PeerOwnerId": "222222222222", "PeerRoleArn": "Peering"}, "is not the ARN of an IAM role"),
        ("RoleArn", {"RoleArn": "Peering", "ExternalId": "an-id"}, "is not the ARN of an IAM role"),
        ("AutoAccept", {"PeerOwnerId": "222222222222", "AutoAccept": "no"}, "is not a boolean; use true or false"),
    ],
)
def test_wrong_value_is_told_once(name: str, more: dict[str, object], told: str) -> None:
    """What is there but wrong is not also reported as missing: the second message would be false."""
    assert f"{name} {more[name]!r} {told}" == problems(**more)


@pytest.mark.parametrize(("home", "partition"), [(HOME, "aws-cn"), (HOME, "aws-us-gov"), (CHINA, "aws")])
@pytest.mark.parametrize("prefix", ["", "Peer"])
def test_role_of_another_partition(prefix: str, home: Home, partition: str) -> None:
    """Peering does not cross partitions."""
    role = PEER_ROLE.replace("aws", partition).replace("2" * 12, home.account)

    assert f"is not of partition {home.partition}; peering does not cross partitions" == about(
        f"{prefix}RoleArn", home, **{f"{prefix}RoleArn": role}
    )


# Regions


@pytest.mark.parametrize(
    ("region", "hint"),
    [("eu-wset-1", "; did you mean eu-west-1?"), ("us-west-1", "; did you mean us-west-2?"), ("xx-yyyy-9", "")],
)
@pytest.mark.parametrize("name", ["Region", "PeerRegion"])
def test_unknown_region(name: str, region: str, hint: str) -> None:
    """A Region that does not exist would end as a time-out of DNS."""
    assert f"{region!r} is not a Region of partition aws{hint}" == about(name, **{name: region})


def test_regions_are_those_of_the_partition() -> None:
    """In China the Regions are China's, and so are the roles."""
    raw = given(PeerRegion="cn-northwest-1", PeerRoleArn=PEER_ROLE.replace("aws", "aws-cn"))

    assert "cn-northwest-1" == parse(raw, CHINA).peer_own_region(CHINA)
    assert "'us-east-1' is not a Region of partition aws-cn" == about("PeerRegion", CHINA, PeerRegion="us-east-1")


# Tags


@pytest.mark.parametrize(
    ("given_tags", "told"),
    [
        (tags("Team", "Team"), "give key 'Team' twice; keep one"),
        (tags(""), "key '' has 0 characters; EC2 takes 1 to 127"),
        (tags("k" * 128), f"key {'k' * 20!r} has 128 characters; EC2 takes 1 to 127"),
        (tags("Team", value="v" * 257), "value of 'Team' has 257 characters; EC2 takes 256"),
        (
            tags("aws:cloudformation:stack-id"),
            "key 'aws:cloudformation:stack-id' has a reserved prefix; choose another",
        ),
        (tags("vpc-peering:stack-id"), "key 'vpc-peering:stack-id' has a reserved prefix; choose another"),
        (tags("AWS:one"), "key 'AWS:one' has a reserved prefix; choose another"),
        (tags(*map(str, range(MAX_TAGS + 1))), "are 45; EC2's 50 leave room for 44"),
    ],
    ids=["twice", "empty key", "long key", "long value", "aws:", "owner tags", "AWS:", "too many"],
)
@pytest.mark.parametrize("name", ["Tags", "PeerTags"])
def test_tags_beyond_the_limits(name: str, given_tags: list[dict[str, str]], told: str) -> None:
    """EC2 would refuse them, or take ours for the user's."""
    assert told == about(name, **OTHER_ACCOUNT, **{name: given_tags})


def test_tags_at_the_limits() -> None:
    """What EC2 takes is taken."""
    most = [*tags("k" * 127, value="v" * 256), *tags(*map(str, range(MAX_TAGS - 1)))]

    assert MAX_TAGS == len(parse(given(Tags=most), HOME).tags)


def test_every_wrong_tag_is_told() -> None:
    """All errors at once holds inside a list too."""
    told = problems(Tags=[*tags("aws:one"), *tags("k" * 128), *tags("Team", value="v" * 257)])

    assert ["'aws:one'", "128 characters", "257 characters"] == [
        wrong for wrong in ("'aws:one'", "128 characters", "257 characters") if wrong in told
    ]


def test_tags_that_disagree_in_one_set() -> None:
    """In one account and Region both sides share one set: only one value can be right."""
    assert "disagree with Tags about 'Team'; in one account and Region both sides share one set" == about(
        "PeerTags", Tags=tags("Team"), PeerTags=tags("Team", value="2")
    )


@pytest.mark.parametrize(
    "more",
    [
        {"Region": "US East", "PeerRegion": "us-east-1"},
        {"PeerRegion": "EU West"},
        {"PeerRegion": "eu-wset-1"},
        {"PeerOwnerId": "222"},
        {"RoleArn": "Peering", "PeerOwnerId": "111111111111"},
        {"PeerRoleArn": "Peering"},
        {"Tags": [*tags("Team", value="2"), *tags("aws:one")]},
    ],
    ids=str,
)
def test_tags_are_not_compared_where_the_place_is_wrong(more: dict[str, object]) -> None:
    """Whether both sides share one set is not known then, and a second message might be false."""
    assert "PeerTags" not in problems(**{"Tags": tags("Team"), "PeerTags": tags("Team", value="2"), **more})


@pytest.mark.parametrize("more", [OTHER_ACCOUNT, {"PeerRegion": "eu-west-1"}], ids=["account", "Region"])
def test_tags_may_differ_in_two_sets(more: dict[str, str]) -> None:
    """In another account or Region each side has a set of its own."""
    properties = parse(given(**more, Tags=tags("Team"), PeerTags=tags("Team", value="2")), HOME)

    assert ["2"] == [tag.value for tag in properties.peer_tags or []]


def test_tags_that_agree_in_one_set() -> None:
    """The same key may stand in both, with one value; and each may have keys of its own."""
    assert [] != parse(given(Tags=tags("Team", "One"), PeerTags=tags("Team", "Two")), HOME).peer_tags


def test_tags_of_both_sides_exceed_one_set() -> None:
    """Each list alone is within the limit, their union is not."""
    assert "and Tags together exceed 44; in one account and Region they are one set" == about(
        "PeerTags", Tags=tags(*map(str, range(30))), PeerTags=tags(*map(str, range(20, 50)))
    )


# Rules


SOUGHT = [{"Key": "Name", "Value": "hub"}]


@pytest.mark.parametrize("name", ["VpcTags", "Routes.RouteTableTags", "Routes.SubnetTags"])
@pytest.mark.parametrize("tags", [[], [{"Key": ""}], [{"Key": "Name"}, {"Key": ""}]])
def test_tags_to_look_for_have_keys(name: str, tags: list[dict[str, str]]) -> None:
    """A query without a key would match whatever there is."""
    given_ = {name: tags} if name == "VpcTags" else {"Routes": {name.partition(".")[2]: tags}}

    assert "must have a Key in each pair, and one pair at least" == about(name, **given_)


def test_a_key_is_looked_for_once() -> None:
    """All pairs must match: one key with two values matches nothing, and is a mistake."""
    assert "give key 'Name' twice, and all must match; keep one" == about("VpcTags", VpcTags=[*SOUGHT, {"Key": "Name"}])


def test_what_follows_from_another_problem_is_not_told() -> None:
    """A key in lower case is one mistake: that the right one is missing follows from it."""
    told = problems(Tags=[{"key": "Team", "value": "net"}])

    assert "Tags[0].key is unknown; did you mean Key?; Tags[0].value is unknown; did you mean Value?" == told


@pytest.mark.parametrize(("given_mode", "mode"), [("Off", Mode.OFF), ("false", Mode.OFF), ("Report", Mode.REPORT)])
def test_maintenance_mode_needs_no_quotes(given_mode: str, mode: Mode) -> None:
    """YAML 1.1 takes an unquoted Off for false; maintenance itself reads what CloudFormation sent."""
    assert mode == Mode(given_mode) == parse(given(MaintenanceMode=given_mode), HOME).maintenance_mode


@pytest.mark.parametrize("given_mode", ["true", "off", "Never"])
def test_maintenance_mode_is_one_of_three(given_mode: str) -> None:
    """What is none of them is refused before anything is done."""
    told = about("MaintenanceMode", MaintenanceMode=given_mode)

    assert f"'{given_mode}' is unknown; use Repair or Report or Off" == told


@pytest.mark.parametrize("prefix", ["", "Peer"])
def test_a_vpc_is_given_once(prefix: str) -> None:
    """Of an id and a query one would have to win silently."""
    assert f"and {prefix}VpcId are both given; keep one" == about(f"{prefix}VpcTags", **{f"{prefix}VpcTags": SOUGHT})


def test_a_query_takes_the_place_of_the_id() -> None:
    """A missing value matches any, an empty one only itself."""
    raw = given(VpcId=None, VpcTags=[{"Key": "Name", "Value": ""}, {"Key": "Shared"}])
    desired = desire(parse(raw, HOME), HOME, Owner("stack", "Peering", "installation"))

    assert (("Name", ""), ("Shared", None)) == desired.requester.vpc_tags
    assert "" == desired.requester.end.vpc_id


@pytest.mark.parametrize(
    ("written", "expected"),
    [("On", True), ("true", True), (True, True), ("Off", False), ("false", False), (False, False), (None, True)],
)
def test_preflight(written: str | bool | None, expected: bool) -> None:
    """YAML 1.1 makes booleans of On and Off: a template may send either spelling."""
    assert expected is parse(given(Preflight=written), HOME).preflight


def test_preflight_is_on_or_off() -> None:
    """Every other word would have to be guessed."""
    assert "'Never' is unknown; use On or Off" == about("Preflight", Preflight="Never")


@pytest.mark.parametrize("prefix", ["", "Peer"])
def test_multipath_resilience_within_a_region(prefix: str) -> None:
    """EC2 has it between two Regions: what it would refuse half way is told before any call."""
    name = f"{prefix}AllowMultipathResilience"

    assert "works between two Regions, and both VPCs are in us-east-1; leave it out" == about(name, **{name: "true"})
    assert parse(given(**{name: "false"}), HOME)
    assert parse(given(**{name: "true", "PeerRegion": "eu-west-1"}), HOME)


def test_every_key_of_a_rule() -> None:
    """Each ends in its own place, without doubles; a missing value of a tag matches any."""
    subnet, prefix_list = "subnet-0a1b2c3d4e5f60718", "pl-0a1b2c3d4e5f60718"
    rule = {
        "SubnetIds": [subnet, subnet],
        "RouteTableTags": [{"Key": "Tier", "Value": "app"}, {"Key": "Env"}],
        "SubnetTags": [{"Key": "Use", "Value": ""}],
        "DestinationSubnetIds": [subnet, subnet],
        "DestinationPrefixListIds": [prefix_list, prefix_list],
    }
    routes = parse(given(Routes=rule), HOME).routes

    assert RouteRule(
        subnet_ids=(subnet,),
        route_table_tags=(("Tier", "app"), ("Env", None)),
        subnet_tags=(("Use", ""),),
        destination_subnet_ids=(subnet,),
        destination_prefix_list_ids=(prefix_list,),
    ) == (routes and routes.rule())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SubnetIds", ["subnet-0a1b2c3d4e5f60718"]),
        ("RouteTableTags", SOUGHT),
        ("SubnetTags", SOUGHT),
        ("MainRouteTable", "true"),
    ],
)
def test_every_selector_alone_names_tables(key: str, value: object) -> None:
    """A rule needs one of them, whichever."""
    assert parse(given(Routes={key: value}), HOME).routes


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("SubnetIds", "[0] 'x-1' is not a subnet id like subnet-0a1b2c3d4e5f60718"),
        ("DestinationSubnetIds", "[0] 'x-1' is not a subnet id like subnet-0a1b2c3d4e5f60718"),
        ("DestinationPrefixListIds", "[0] 'x-1' is not a prefix list id like pl-0a1b2c3d4e5f60718"),
    ],
)
def test_wrong_id_in_a_rule(key: str, told: str) -> None:
    """The item is named, and what one looks like."""
    assert told == problems(Routes={"AllRouteTables": "true", key: ["x-1"]}).removeprefix(f"Routes.{key}")


def test_unknown_key_of_a_tag_to_look_for() -> None:
    """Inside a query the known keys are those of a tag too."""
    tag = {"Key": "Tier", "Valeu": "app"}

    assert "is unknown; did you mean Value?" == about("VpcTags[0].Valeu", VpcId=None, VpcTags=[tag])
    assert "is unknown; did you mean Value?" == about("Routes.SubnetTags[0].Valeu", Routes={"SubnetTags": [tag]})


@pytest.mark.parametrize(
    ("more", "wait", "adopt"),
    [
        ({}, False, False),
        ({"AutoAccept": "false", "WaitForAcceptance": "true"}, True, False),
        ({"OnExistingConnection": "Adopt"}, False, True),
    ],
)
def test_policies_are_desired(more: dict[str, str], wait: bool, adopt: bool) -> None:
    """The plan learns from the desired state alone what to do with what is there."""
    wanted = desire(parse(given(**more), HOME), HOME, Owner("stack", "Peering", "installation"))

    assert (wait, adopt) == (wanted.wait_for_acceptance, wanted.adopt)


@pytest.mark.parametrize(
    "more",
    [
        {"PeerVpcId": None, "PeerVpcTags": SOUGHT},
        {"PeerAllowMultipathResilience": "false"},
        {"Routes": {"AllRouteTables": "true", "DestinationSubnetIds": ["subnet-0a1b2c3d4e5f60718"]}},
    ],
    ids=["query", "option", "subnets"],
)
def test_reading_the_accepters_side_needs_a_role_too(more: dict[str, object]) -> None:
    """With AutoAccept false that side is closed to us, unless something is asked of it, or read from it."""
    raw = {"AutoAccept": "false", **more}

    assert "is missing; give a role of 222222222222, the accepter's account" == about(
        "PeerRoleArn", PeerOwnerId="222222222222", **raw
    )
    assert parse(given(**OTHER_ACCOUNT, **raw), HOME).manages_accepter


ONE_SIDE = {"VpcPeeringConnectionId": "pcx-0a1b2c3d4e5f60718", "VpcId": None}


def test_one_side() -> None:
    """Of somebody else's request only the accepter's side is ours: nothing is known of the other one."""
    desired = desire(parse(given(**ONE_SIDE), HOME), HOME, Owner("stack", "Peering", "installation"))

    assert (End("", "", ""), End(PEER_VPC, "111111111111", "us-east-1")) == desired.ends
    assert (Side.ACCEPTER, False, True) == (desired.lead, desired.requester.managed, desired.accepter.managed)
    assert not desired.shared_tags


def test_one_side_in_the_account_of_its_role() -> None:
    """Without PeerOwnerId the role tells the account, and PeerRegion the Region: the requester's tell nothing."""
    raw = given(**ONE_SIDE, PeerRoleArn=PEER_ROLE, PeerRegion="eu-west-1", OwnerId="999999999999", Region="us-west-2")

    assert (
        End(PEER_VPC, "222222222222", "eu-west-1") == desire(parse(raw, HOME), HOME, Owner("s", "P", "i")).accepter.end
    )


def test_one_side_needs_no_requesters_vpc_but_its_own() -> None:
    """VpcId is only checked there; PeerVpcId says whose side is ours."""
    assert "is missing; give it or PeerVpcTags" == about("PeerVpcId", **ONE_SIDE, PeerVpcId=None)
    assert parse(given(**ONE_SIDE, PeerVpcId=None, PeerVpcTags=SOUGHT), HOME).one_sided


@pytest.mark.parametrize("written", ["pcx-1", "vpc-0a1b2c3d4e5f60718", "PCX-0a1b2c3d4e5f60718"])
def test_no_connection_id(written: str) -> None:
    """What is pasted from the console is nearly always right; what is not would be found nowhere."""
    told = f"{written!r} is not a connection id like pcx-0a1b2c3d4e5f60718"

    assert told == about("VpcPeeringConnectionId", VpcPeeringConnectionId=written)


def test_one_side_is_told_without_contradiction() -> None:
    """A property that must go is not asked to be completed by another one that must go too."""
    text = "is of the requester's side, which VpcPeeringConnectionId leaves alone; use PeerExternalId"

    assert text == about("ExternalId", **ONE_SIDE, ExternalId="an-external-id")


def test_one_side_is_checked_where_it_is_known() -> None:
    """What the vendor said of its end is compared with the connection, and moves nothing of ours."""
    raw = given(**ONE_SIDE, OwnerId="999999999999", Region="eu-west-1") | {"VpcId": VPC}
    desired = desire(parse(raw, HOME), HOME, Owner("stack", "Peering", "installation"))

    assert (End(VPC, "999999999999", "eu-west-1"), End(PEER_VPC, "111111111111", "us-east-1")) == desired.ends


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VpcTags", SOUGHT),
        ("RoleArn", ROLE),
        ("AllowDnsResolutionFromRemoteVpc", "true"),
        ("AllowMultipathResilience", "true"),
        ("Tags", [{"Key": "Team", "Value": "1"}]),
        ("Routes", {"AllRouteTables": "true"}),
    ],
)
def test_the_other_side_is_left_alone(name: str, value: object) -> None:
    """What acts on the requester's side would be ignored: it must not look as if it did something."""
    text = f"is of the requester's side, which VpcPeeringConnectionId leaves alone; use Peer{name}"

    assert text == about(name, **ONE_SIDE, **{name: value})


def test_one_side_is_not_adopted() -> None:
    """Two ways to take somebody's connection, of which one deletes nothing and the other tags it."""
    expected = "adopts what VpcPeeringConnectionId names; leave it out"

    assert expected == about("OnExistingConnection", **ONE_SIDE, OnExistingConnection="Adopt")


def test_subnets_of_a_side_that_cannot_be_read() -> None:
    """The requester's account is somebody else's: its subnets are not shown to us."""
    text = "are of the requester's VPC, which VpcPeeringConnectionId leaves alone; give DestinationCidrBlocks"
    rule = {"AllRouteTables": "true", "DestinationSubnetIds": ["subnet-0a1b2c3d4e5f60718"]}

    assert text == about("PeerRoutes.DestinationSubnetIds", **ONE_SIDE, PeerRoutes=rule)


def test_the_requesters_account_is_only_checked() -> None:
    """OwnerId moves nothing: an account that is not the role's is a mistake in one of the two."""
    text = "is 999999999999, but the requester's account is 333333333333; align RoleArn"

    assert text == about("OwnerId", OwnerId="999999999999", RoleArn=ROLE, PeerOwnerId="111111111111")


@pytest.mark.parametrize("name", ["Routes", "PeerRoutes"])
@pytest.mark.parametrize("rule", [{}, {"AllRouteTables": "false"}, {"ExcludeRouteTableIds": [TABLE]}])
def test_rule_without_tables(name: str, rule: dict[str, object]) -> None:
    """A rule that selects nothing is a mistake, not a wish."""
    known = "RouteTableIds, SubnetIds, RouteTableTags, SubnetTags, AllRouteTables or MainRouteTable"
    assert f"name no table; give {known}" == about(name, **{name: rule})


def test_table_included_and_excluded() -> None:
    """A table that is named by both says two things."""
    rule = {"RouteTableIds": [TABLE], "ExcludeRouteTableIds": [TABLE]}

    assert f"name {TABLE}, as RouteTableIds does; keep one" == about("Routes.ExcludeRouteTableIds", Routes=rule)


@pytest.mark.parametrize("more", [{}, {"DestinationSubnetIds": []}])
def test_no_destination_at_all(more: dict[str, object]) -> None:
    """A stack that succeeds without a route is not what anybody asked for: an empty parameter, mostly."""
    rule = {"MainRouteTable": "true", "DestinationCidrBlocks": [], **more}

    told = about("PeerRoutes.DestinationCidrBlocks", PeerRoutes=rule)
    assert "is empty; leave it out for every block of the other VPC, give blocks, or leave out PeerRoutes" == told


@pytest.mark.parametrize(
    "more",
    [
        {"DestinationSubnetIds": ["subnet-0a1b2c3d4e5f60718"]},
        {"DestinationPrefixListIds": ["pl-0a1b2c3d4e5f60718"]},
        {"DestinationCidrBlocks": ["10.8.0.0/16"]},
    ],
)
def test_no_block_beside_other_destinations(more: dict[str, list[str]]) -> None:
    """Then an empty list says what it means."""
    rule = {"MainRouteTable": "true", "DestinationCidrBlocks": [], **more}

    assert parse(given(Routes=rule), HOME).routes is not None


def test_table_of_both_sides() -> None:
    """A table is of one VPC."""
    rule = {"RouteTableIds": [TABLE]}

    assert f"name {TABLE}, as Routes does; a table is of one VPC" == about(
        "PeerRoutes.RouteTableIds", Routes=rule, PeerRoutes=rule
    )


def test_hole_in_a_given_destination() -> None:
    """What the properties alone show is refused before any AWS call."""
    rule = {"AllRouteTables": "true", "DestinationCidrBlocks": ["10.8.0.0/16"], "ExcludeCidrBlocks": ["10.8.1.0/24"]}

    assert "10.8.1.0/24 is a part of 10.8.0.0/16, and a route has no holes; exclude all of it or list smaller" == about(
        "PeerRoutes.ExcludeCidrBlocks", PeerRoutes=rule
    )


# The reason


def test_reason_has_every_problem() -> None:
    """Whoever made two mistakes reads of both, each with its end."""
    with pytest.raises(InvalidRequest) as raised:
        parse(given(AutoAccept="yes", Region="us-esat-1"), HOME)

    assert (
        "InvalidRequest: 2 findings: (1) AutoAccept 'yes' is not a boolean; use true or false. (2) Region "
        "'us-esat-1' is not a Region of partition aws; did you mean us-east-1? Nothing was changed."
    ) == raised.value.reason


def test_long_reason_has_every_property() -> None:
    """CloudFormation shows a reason of 1,000 characters too, and nobody should have to look into the log."""
    names = ("VpcId", "PeerVpcId", "PeerOwnerId", "Region", "PeerRegion", "RoleArn", "PeerRoleArn", "AutoAccept")
    with pytest.raises(InvalidRequest) as raised:
        parse(dict.fromkeys(names, "wrong"), HOME)
    reason = raised.value.reason

    assert REASON_LIMIT < len(reason) <= FINDINGS_LIMIT
    assert reason.startswith("InvalidRequest: 8 findings: (1) VpcId 'wrong' is not a VPC id")
    assert reason.endswith("(8) AutoAccept 'wrong' is not a boolean; use true or false. Nothing was changed.")


@pytest.mark.parametrize("unknown", [("Foo",), ("Foo", "Zzz")], ids=["one", "two"])
def test_known_names_are_told_whole_and_once(unknown: tuple[str, ...]) -> None:
    """Whoever gives an unknown name looks for the right one, which may be the last of all."""
    names = ", ".join(to_pascal(field) for field in Properties.model_fields)
    with pytest.raises(InvalidRequest) as raised:
        parse(given(**dict.fromkeys(unknown, "x")), HOME)

    assert [f"Known are {names}."] == re.findall(r"Known are [^.]*\.", raised.value.reason)
    assert all(f"{name} is unknown. " in raised.value.reason for name in unknown)


def test_a_long_value_leaves_room_for_the_other_problems() -> None:
    """A pasted document in the place of an id must not push the next mistake out of the reason."""
    with pytest.raises(InvalidRequest) as raised:
        parse(given(VpcId="v" * 4000, AutoAccept="y" * 4000, PeerOwnerId="2222"), HOME)

    for name in ("VpcId 'vvv", "AutoAccept 'yyy", "PeerOwnerId '2222'"):
        assert f") {name}" in raised.value.reason


def test_reason_has_a_limit_however_much_is_wrong() -> None:
    """CloudFormation takes no answer without an end."""
    everything = {**dict.fromkeys(map(str, range(100)), "x"), "Tags": tags("T" * 1000), "VpcId": "v" * 4000}
    with pytest.raises(InvalidRequest) as raised:
        parse(everything, HOME)

    assert FINDINGS_LIMIT >= len(raised.value.reason)
    assert raised.value.reason.startswith("InvalidRequest: ")


def test_cut_reason_still_leads_to_the_log() -> None:
    """Problems that fill the reason must not push out the one hint that leads to the rest, which is logged."""
    with pytest.raises(InvalidRequest) as raised:
        parse({f"UnknownProperty{number}": "x" for number in range(60)}, HOME)

    assert re.search(r" And \d+ more in the function's log\. Nothing was changed\.$", raised.value.reason)
    assert "UnknownProperty59 is unknown; " in str(raised.value.__cause__)


# Delete, and the old properties of an Update


@pytest.mark.parametrize("ended", [{}, {"ServiceToken": "arn"}])
def test_salvage_keeps_what_is_right(ended: dict[str, str]) -> None:
    """Right properties are the same to a Delete as to a Create."""
    raw = given(**OTHER_ACCOUNT, Tags=tags("Team"), Routes={"RouteTableIds": [TABLE]}, **ended)

    assert parse(raw, HOME) == salvage(raw, HOME)


@pytest.mark.parametrize(
    "wrong",
    [
        {"AutoAccept": "yes"},
        {"Tags": tags("Team", "Team")},
        {"Tags": "Team"},
        {"Tags": [{"Kee": "Team"}]},
        {"Region": "us-esat-1"},
        {"PeerRegion": "nowhere"},
        {"PeerRegion": "eu-wset-1"},
        {"Zzz": {"deep": ["x"]}},
        {"RoleArn": "Peering"},
        {"OnExistingConnection": "Adapt"},
        {"Routes": "all"},
        {"Routes": {"RouteTableIds": [TABLE, "rtb-1"]}},
        {"Routes": {"RouteTableIds": [TABLE], "ExcludeCidrBlocks": ["ten"]}},
        {"PeerRoutes": {"AllRouteTables": "true", "ExcludeRouteTableIds": ["rtb-1"], "Unknown": "x"}},
    ],
    ids=str,
)
def test_salvage_drops_what_is_wrong_whole(wrong: dict[str, object]) -> None:
    """A Delete must go through whatever its properties are; half a rule would be another rule, with other routes."""
    assert parse(LEAST, HOME) == salvage(given(**wrong), HOME)


@pytest.mark.parametrize("name", ["Tags", "PeerTags"])
@pytest.mark.parametrize(
    "keys",
    [["Team"], ["Team", "Team"], ["aws:one"], ["k" * 128], [""]],
    ids=["else right", "twice", "reserved", "long key", "empty key"],
)
def test_salvage_ignores_an_unknown_key_of_a_tag(keys: list[str], name: str) -> None:
    """An unknown key is ignored at Delete wherever it stands: a Delete that fails over it would block the stack."""
    wrong = [{"Key": key, "Value": "net", "PropagateAtLaunch": "true"} for key in keys]

    assert VPC == salvage(given(**{name: wrong}), HOME).vpc_id


def test_wrong_tag_with_an_unknown_key() -> None:
    """A list copied from an Auto Scaling group has both: pydantic checks values only where all keys are known."""
    told = problems(Tags=[{"Key": "aws:one", "Value": "1", "PropagateAtLaunch": "true"}])

    assert told.startswith("Tags[0].PropagateAtLaunch is unknown; known are Key, Value")
    assert told.endswith("Tags key 'aws:one' has a reserved prefix; choose another")


def test_salvage_ignores_unknown_keys_of_a_rule() -> None:
    """What a later version accepts may come back to this one at a roll back of the function."""
    properties = salvage(given(Routes={"RouteTableIds": [TABLE], "Unknown": "x"}), HOME)

    assert RouteRule((TABLE,)) == (properties.routes and properties.routes.rule())


def test_event_stays_as_it_came() -> None:
    """It is read again for the log and the response: what is left out is left out of a copy."""
    raw = given(Routes={"RouteTableIds": [TABLE], "Unknown": "x"}, Tags=[{"Key": "Team", "Extra": "x"}], Zzz="x")
    before = deepcopy(raw)
    salvage(raw, HOME)

    assert before == raw


def test_salvage_of_nothing() -> None:
    """A Delete may follow a Create whose every property was wrong."""
    assert Properties() == salvage({"VpcId": "x", "PeerVpcId": ["y"], "Unknown": None}, HOME)


def test_salvage_takes_contradictions() -> None:
    """The checks of a Create are no reason to refuse a Delete."""
    raw = given(PeerVpcId=VPC, PeerOwnerId="222222222222", ExternalId="an-id", Routes={})

    assert ("222222222222", VPC) == (salvage(raw, HOME).peer_owner_id, salvage(raw, HOME).peer_vpc_id)


def test_salvage_keeps_a_region_of_its_partition_only() -> None:
    """A Region that botocore does not know cannot be asked; the stack's own is where a refused Create never acted."""
    assert None is salvage(given(Region="cn-north-1"), HOME).region
    assert "cn-north-1" == salvage(given(Region="cn-north-1"), replace(CHINA, region="cn-northwest-1")).region
