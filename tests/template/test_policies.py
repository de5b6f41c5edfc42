"""The IAM policies allow what is listed here, on what is listed here, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest

from local.strict.policy import Context, allowing
from tests.template.rendered import Load, Rendered

Template = dict[str, Any]
Statement = dict[str, Any]

ANY = "*"
CONNECTION = "arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:vpc-peering-connection/*"
VPC = "arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:vpc/*"
ROUTE_TABLE = "arn:${AWS::Partition}:ec2:*:${AWS::AccountId}:route-table/*"
PEER_ROLE = "arn:${AWS::Partition}:iam::*:role/${PeerRoleNamePattern}"
LOG_GROUP = "PeeringFunctionLogGroup.Arn"

DESCRIBED = ("ManagedPrefixLists", "RouteTables", "Subnets", "VpcAttribute", "VpcPeeringConnections", "Vpcs")
QUOTAS = {(f"servicequotas:Get{what}", ANY) for what in ("ServiceQuota", "AWSDefaultServiceQuota")}
READ = {(f"ec2:Describe{what}", ANY) for what in DESCRIBED} | QUOTAS
ROUTES = {(f"ec2:{verb}Route", ROUTE_TABLE) for verb in ("Create", "Delete")}
REPLACE = {("ec2:ReplaceRoute", ROUTE_TABLE)}
TAGS = {(f"ec2:{verb}Tags", CONNECTION) for verb in ("Create", "Delete")}
OPTIONS = {("ec2:ModifyVpcPeeringConnectionOptions", CONNECTION)}
ACCEPT = {("ec2:AcceptVpcPeeringConnection", resource) for resource in (VPC, CONNECTION)}
REQUEST = {("ec2:CreateVpcPeeringConnection", resource) for resource in (VPC, CONNECTION)}
DELETE = {("ec2:DeleteVpcPeeringConnection", CONNECTION)}
ACCEPTER = READ | ROUTES | TAGS | OPTIONS | ACCEPT
EXTERNAL_IDS = ":${AWS::Region}:${AWS::AccountId}:%s${InstallationName}/external-id/*"
RUNTIME = {
    ("ssm:GetParameter", "arn:${AWS::Partition}:ssm" + EXTERNAL_IDS % "parameter/"),
    ("secretsmanager:GetSecretValue", "arn:${AWS::Partition}:secretsmanager" + EXTERNAL_IDS % "secret:"),
    ("sts:AssumeRole", PEER_ROLE),
    ("logs:CreateLogStream", LOG_GROUP),
    ("logs:PutLogEvents", LOG_GROUP),
    ("dynamodb:GetItem", "Registry.Arn"),
    ("dynamodb:PutItem", "Registry.Arn"),
    ("xray:PutTelemetryRecords", ANY),
    ("xray:PutTraceSegments", ANY),
    ("sqs:SendMessage", "FailedEvents.Arn"),
    ("dynamodb:Query", "${Registry.Arn}/index/Maintained"),
    ("ssm:PutParameter", "arn:${AWS::Partition}:ssm" + EXTERNAL_IDS.replace("/*", "/role/*") % "parameter/"),
    *((f"sqs:{verb}", "MaintenanceQueue.Arn") for verb in ("SendMessage", "ReceiveMessage", "DeleteMessage")),
    *((f"sqs:{verb}", "MaintenanceQueue.Arn") for verb in ("GetQueueAttributes", "ChangeMessageVisibility")),
}

FUNCTION_ROLE = ("template.yaml", "PeeringFunctionRole")
ACCEPTER_ROLE = ("accepter/role.yaml", "Role")
REPLACE_POLICY = ("accepter/role.yaml", "ReplacePolicy")
REQUESTER_POLICY = ("accepter/role.yaml", "RequesterPolicy")
POLICIES = [FUNCTION_ROLE, ACCEPTER_ROLE, REQUESTER_POLICY]
ADOPTION_POLICIES = [("template.yaml", "AdoptionPolicy"), ("accepter/role.yaml", "AdoptionPolicy")]
ADOPTED_POLICIES = [("template.yaml", "AdoptedPolicy"), ("accepter/role.yaml", "AdoptedPolicy")]
OWNER_TAG = {"vpc-peering:managed-by": {"Ref": "InstallationName"}}


def statements(template: Template, logical_id: str) -> list[Statement]:
    """Return all statements of a role's or a policy's permissions, with those of policies that a role always has."""
    properties = template["Resources"][logical_id]["Properties"]
    attached = [each["Ref"] for each in properties.get("ManagedPolicyArns", []) if "Ref" in each]
    policies = [
        *properties.get("Policies", [properties]),
        *(template["Resources"][name]["Properties"] for name in attached),
    ]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def listed(value: object) -> list[Any]:
    """Return IAM's `one or a list of` as a list."""
    return value if isinstance(value, list) else [value]


def grants(statement: Statement) -> set[tuple[str, str]]:
    """Return the (action, resource) pairs of a statement, the resource without its intrinsic function."""
    names = [
        resource if isinstance(resource, str) else resource.get("Fn::Sub") or ".".join(resource["Fn::GetAtt"])
        for resource in listed(statement["Resource"])
    ]
    return {(action, name) for action in listed(statement["Action"]) for name in names}


def conditions(found: list[Statement], action: str, resource: str) -> list[Any]:
    """Return the condition of each statement that grants the action; None: without any."""
    return [statement.get("Condition") for statement in found if (action, resource) in grants(statement)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (FUNCTION_ROLE, ACCEPTER | REPLACE | REQUEST | DELETE | RUNTIME),
        (ACCEPTER_ROLE, ACCEPTER),
        (REPLACE_POLICY, REPLACE),
        (REQUESTER_POLICY, REQUEST | DELETE | OPTIONS | TAGS),
        *((policy, {("ec2:CreateTags", CONNECTION)}) for policy in ADOPTION_POLICIES),
        *((policy, {("ec2:CreateTags", CONNECTION)} | OPTIONS) for policy in ADOPTED_POLICIES),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_grants_are_exactly_these(
    load: Callable[[str], Template], policy: tuple[str, str], expected: set[tuple[str, str]]
) -> None:
    """A permission that slips in, or is lost, is noticed here and not in somebody's account."""
    path, logical_id = policy
    found = statements(load(path), logical_id)
    assert expected == set().union(*map(grants, found))
    assert {"Allow"} == {statement["Effect"] for statement in found}


@pytest.mark.parametrize("policy", [FUNCTION_ROLE, REQUESTER_POLICY], ids=["function", "requester"])
def test_requests_carry_the_owner_tag(load: Callable[[str], Template], policy: tuple[str, str]) -> None:
    """A connection without the owner tag could never be told from somebody else's again."""
    path, logical_id = policy
    tagged = {f"aws:RequestTag/{key}": value for key, value in OWNER_TAG.items()}
    found = statements(load(path), logical_id)
    assert [tagged] == [
        each["StringEquals"] for each in conditions(found, "ec2:CreateVpcPeeringConnection", CONNECTION)
    ]
    at_creation = {"StringEquals": {"ec2:CreateAction": "CreateVpcPeeringConnection", **tagged}}
    assert at_creation in conditions(found, "ec2:CreateTags", CONNECTION)


@pytest.mark.parametrize("policy", [FUNCTION_ROLE, REQUESTER_POLICY], ids=["function", "requester"])
def test_deletion_needs_the_owner_tag(load: Callable[[str], Template], policy: tuple[str, str]) -> None:
    """Even a bug of ours must not be able to delete a connection that we did not create, or have only adopted."""
    path, logical_id = policy
    tagged = {f"aws:ResourceTag/{key}": value for key, value in OWNER_TAG.items()}
    requested = {"aws:ResourceTag/vpc-peering:adopted": "true"}
    found = statements(load(path), logical_id)
    assert [{"StringEquals": tagged, "Null": requested}] == conditions(
        found, "ec2:DeleteVpcPeeringConnection", CONNECTION
    )


@pytest.mark.parametrize("policy", [FUNCTION_ROLE, REQUESTER_POLICY], ids=["function", "requester"])
def test_owner_tags_are_taken_off_what_was_adopted_only(
    load: Callable[[str], Template], policy: tuple[str, str]
) -> None:
    """A connection that was requested must not lose the tags that alone tell whose it is."""
    path, logical_id = policy
    tagged = {f"aws:ResourceTag/{key}": value for key, value in OWNER_TAG.items()}
    adopted = {
        "StringEquals": tagged,
        "ForAnyValue:StringEquals": {"aws:TagKeys": "vpc-peering:managed-by"},
        "Null": {"aws:ResourceTag/vpc-peering:adopted": "false"},
    }
    assert adopted in conditions(statements(load(path), logical_id), "ec2:DeleteTags", CONNECTION)


@pytest.mark.parametrize("policy", ADOPTION_POLICIES, ids=["function", "requester"])
def test_adoption_must_be_allowed_and_marks_what_it_claims(
    load: Callable[[str], Template], policy: tuple[str, str]
) -> None:
    """To claim a connection of somebody else is the one way past the owner tag: off by default, and always marked."""
    path, logical_id = policy
    template = load(path)
    found = conditions(statements(template, logical_id), "ec2:CreateTags", CONNECTION)
    unclaimed = {"aws:ResourceTag/vpc-peering:managed-by": "true"}
    for condition in found:
        assert {f"aws:RequestTag/{key}": value for key, value in OWNER_TAG.items()} == condition["StringEquals"]
        assert {"aws:RequestTag/vpc-peering:adopted": "false", **unclaimed} == condition["Null"]
    assert ["ec2:RequesterVpc", "ec2:AccepterVpc"] == [key for condition in found for key in condition["ArnLike"]]
    assert template["Resources"][logical_id]["Condition"] in {"Adopts", "Claims"}
    assert "false" == template["Parameters"]["AllowAdoption"]["Default"]


@pytest.mark.parametrize("policy", POLICIES, ids=["function", "accepter", "requester"])
@pytest.mark.parametrize(
    "action",
    ["ec2:CreateTags", "ec2:DeleteTags", "ec2:ModifyVpcPeeringConnectionOptions", "ec2:AcceptVpcPeeringConnection"],
)
def test_no_connection_is_touched_without_a_condition(
    load: Callable[[str], Template], policy: tuple[str, str], action: str
) -> None:
    """Each write to a connection is limited by the owner tag, by the accepter's VPC or by the tags it may write."""
    path, logical_id = policy
    assert all(conditions(statements(load(path), logical_id), action, CONNECTION))


@pytest.mark.parametrize("policy", POLICIES, ids=["function", "accepter", "requester"])
def test_the_owner_tag_is_written_only_at_creation(load: Callable[[str], Template], policy: tuple[str, str]) -> None:
    """Claiming somebody else's connection by tag would open the way to deleting it."""
    path, logical_id = policy
    for action in ("ec2:CreateTags", "ec2:DeleteTags"):
        for condition in conditions(statements(load(path), logical_id), action, CONNECTION):
            owned = any("vpc-peering:managed-by" in key for key in condition.get("StringEquals", {}))
            spared = condition.get("ForAllValues:StringNotLike") == {"aws:TagKeys": "vpc-peering:*"}
            assert owned or (spared and condition["Null"]["aws:TagKeys"] == "false")


def test_the_accepter_accepts_only_from_the_requesters_account(load: Callable[[str], Template]) -> None:
    """A stranger's request that names our VPC must not be acceptable, whatever the function is told."""
    (condition,) = conditions(
        statements(load("accepter/role.yaml"), "Role"), "ec2:AcceptVpcPeeringConnection", CONNECTION
    )
    source, variables = condition["ArnLike"]["ec2:RequesterVpc"]["Fn::Sub"]
    assert source == "arn:${AWS::Partition}:ec2:*:${Requester}:vpc/*"
    assert {"Requester"} == variables.keys()


def test_the_accepter_replaces_no_route_unless_asked(load: Callable[[str], Template]) -> None:
    """Whoever owns the account decides whether a route of theirs may be taken over."""
    template = load("accepter/role.yaml")
    assert "Replaces" == template["Resources"]["ReplacePolicy"]["Condition"]
    assert "false" == template["Parameters"]["AllowReplacingRoutes"]["Default"]


def test_the_accepter_trusts_one_role_with_an_external_id(load: Callable[[str], Template]) -> None:
    """The account as principal, narrowed by role and external id: a role as principal breaks when it is made anew."""
    properties = load("accepter/role.yaml")["Resources"]["Role"]["Properties"]
    (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
    account = "arn:${AWS::Partition}:iam::${FunctionAccountId}"
    assert {"AWS": {"Fn::Sub": f"{account}:root"}} == trust["Principal"]
    organization = {"Fn::If": ["InOrganization", {"Ref": "OrganizationId"}, {"Ref": "AWS::NoValue"}]}
    assert {
        "StringEquals": {"sts:ExternalId": {"Ref": "ExternalId"}, "aws:PrincipalOrgID": organization},
        "ArnLike": {"aws:PrincipalArn": {"Fn::Sub": f"{account}:${{FunctionRolePattern}}"}},
    } == trust["Condition"]


def test_the_trusted_pattern_fits_the_functions_role(load: Callable[[str], Template]) -> None:
    """The two templates are deployed in different accounts and agree only by this path."""
    path = load("template.yaml")["Resources"]["PeeringFunctionRole"]["Properties"]["Path"]
    assert f"role{path}*" == load("accepter/role.yaml")["Parameters"]["FunctionRolePattern"]["Default"]


def test_nobody_else_may_invoke_the_function(load: Callable[[str], Template]) -> None:
    """Whoever can invoke it has its rights: its resource policy is closed, or knows one organization."""
    resources = load("template.yaml")["Resources"]
    permissions = [each for each in resources.values() if each["Type"] == "AWS::Lambda::Permission"]
    services = [each["Properties"] for each in permissions if each["Properties"]["Principal"] != "*"]
    others = [each for each in permissions if each["Properties"]["Principal"] == "*"]

    assert [("Shared", {"Ref": "OrganizationId"})] == [
        (each["Condition"], each["Properties"]["PrincipalOrgID"]) for each in others
    ]
    rules = [{"Fn::GetAtt": [name, "Arn"]} for name in ("Changes", "ForwardedChanges")]
    assert [("events.amazonaws.com", rule) for rule in rules] == [
        (each["Principal"], each["SourceArn"]) for each in services
    ]
    assert "FunctionUrlConfig" not in resources["PeeringFunction"]["Properties"]
    assert {"Condition": "InOrganization"} in load("template.yaml")["Conditions"]["Shared"]["Fn::And"]


HUB, SPOKE, STRANGER, OTHER = "111111111111", "222222222222", "777777777777", "888888888888"
OWN, OWN_OTHER, SPOKES = "vpc-0aaaaaaaaaaaaaaa1", "vpc-0aaaaaaaaaaaaaaa9", "vpc-0bbbbbbbbbbbbbbb1"
STRANGERS = (f"{STRANGER}:vpc/vpc-0ccccccccccccccc1", f"{OTHER}:vpc/vpc-0ddddddddddddddd1")
ADOPTING = {"AllowAdoption": "true", "AllowRequesting": "true"}
AWS = {"AWS::Partition": "aws", "AWS::Region": "eu-west-1"}
OF_FUNCTION = {**AWS, "AWS::AccountId": HUB, "VpcIds": OWN, "AllowedPeerAccounts": SPOKE}
OF_ROLE = {**AWS, "AWS::AccountId": SPOKE, "FunctionAccountId": HUB, "VpcIds": SPOKES, "AccepterAccountIds": HUB}
TAGGING = {"aws:tagkeys": ["Team"], "aws:requesttag/team": "net"}
CLAIMING = {
    "aws:tagkeys": ["vpc-peering:managed-by", "vpc-peering:adopted"],
    "aws:requesttag/vpc-peering:managed-by": "vpc-peering",
    "aws:requesttag/vpc-peering:adopted": "requester",
}
CHANGES: dict[str, tuple[str, Context]] = {
    "options": ("ec2:ModifyVpcPeeringConnectionOptions", {}),
    "tags": ("ec2:CreateTags", TAGGING),
    "adoption": ("ec2:CreateTags", CLAIMING),
}


def allowed(  # noqa: PLR0913, PLR0917  # what IAM looks at
    template: Template, role: str, given: dict[str, str], action: str, resource: str, context: Context
) -> list[str]:
    """Return the statements by which a role with these parameters may do something."""
    within, attached = Rendered(template, **given).policies(role)
    return [sid for policy in (*within, *attached) for sid in allowing(policy, action, resource, context)]


def may_change(load: Load, path: str, given: dict[str, str], change: str, ends: tuple[str, str]) -> bool:
    """Tell whether a role may change a connection without owner tags between a requester and an accepter."""
    action, context = CHANGES[change]
    requester, accepter = (f"arn:aws:ec2:eu-west-1:{end}" for end in ends)
    resource = f"arn:aws:ec2:eu-west-1:{given['AWS::AccountId']}:vpc-peering-connection/pcx-1"
    ends_of_it = {"ec2:requestervpc": requester, "ec2:acceptervpc": accepter}
    role = "PeeringFunctionRole" if path == "template.yaml" else "Role"
    return bool(allowed(load(path), role, given, action, resource, {**ends_of_it, **context}))


def both(*ends: str) -> list[tuple[str, str]]:
    """Return a pair of ends, requested from either."""
    one, other = ends
    return [(one, other), (other, one)]


HUBS, HUBS_OTHER = f"{HUB}:vpc/{OWN}", f"{HUB}:vpc/{OWN_OTHER}"
MINE, MINE_OTHER = f"{SPOKE}:vpc/{SPOKES}", f"{SPOKE}:vpc/vpc-0bbbbbbbbbbbbbbb9"


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("path", "given", "right", "wrong"),
    [
        (
            "template.yaml",
            OF_FUNCTION,
            both(HUBS, MINE),
            [*both(*STRANGERS), *both(HUBS_OTHER, STRANGERS[0]), *both(HUBS_OTHER, MINE), *both(HUBS, STRANGERS[0])],
        ),
        (
            "accepter/role.yaml",
            OF_ROLE,
            both(MINE, HUBS),
            [*both(*STRANGERS), *both(MINE, STRANGERS[0]), *both(MINE_OTHER, HUBS)],
        ),
    ],
    ids=["function", "role"],
)
def test_connections_of_strangers_are_refused(  # noqa: PLR0913, PLR0917  # all that it is about
    load: Load,
    path: str,
    given: dict[str, str],
    change: str,
    right: list[tuple[str, str]],
    wrong: list[tuple[str, str]],
) -> None:
    """Without an owner tag, the ends are all that tells a connection of ours from one of others in the account."""
    permitted = [ends for ends in [*right, *wrong] if may_change(load, path, {**given, **ADOPTING}, change, ends)]

    assert right == permitted


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("path", "given"), [("template.yaml", OF_FUNCTION), ("accepter/role.yaml", OF_ROLE)])
def test_what_was_requested_is_left_unless_adoption_is_allowed(
    load: Load, path: str, given: dict[str, str], change: str
) -> None:
    """A connection that others of the account have requested is none of an installation's that adopts nothing."""
    accepted = {"options": True, "tags": True, "adoption": False}
    own, other = (HUBS, MINE) if path == "template.yaml" else (MINE, HUBS)

    assert not may_change(load, path, given, change, (own, other))
    assert accepted[change] == may_change(load, path, given, change, (other, own))


@pytest.mark.parametrize(("path", "given"), [("template.yaml", OF_FUNCTION), ("accepter/role.yaml", OF_ROLE)])
@pytest.mark.parametrize(
    ("keys", "possible"),
    [
        (["vpc-peering:adopted", "vpc-peering:managed-by"], True),
        (["vpc-peering:adopted"], False),
        (["vpc-peering:adopted", "Team"], False),
        (None, False),
    ],
    ids=["all", "the mark", "the mark and another", "whatever there is"],
)
def test_what_was_adopted_stays_so_while_it_is_ours(
    load: Load, path: str, given: dict[str, str], keys: list[str] | None, *, possible: bool
) -> None:
    """An adopted connection that lost its mark alone could be deleted."""
    role = "PeeringFunctionRole" if path == "template.yaml" else "Role"
    resource = f"arn:aws:ec2:eu-west-1:{given['AWS::AccountId']}:vpc-peering-connection/pcx-1"
    context: Context = {
        "aws:resourcetag/vpc-peering:managed-by": "vpc-peering",
        "aws:resourcetag/vpc-peering:adopted": "requester",
        "aws:tagkeys": keys,
    }

    assert possible == bool(allowed(load(path), role, {**given, **ADOPTING}, "ec2:DeleteTags", resource, context))
