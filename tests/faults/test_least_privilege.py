"""The policies of the templates, enforced with their conditions: every life needs all of them, and no more."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from moto.cloudformation.utils import yaml_tag_constructor
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from local.permissions import BY_AWS
from local.strict.policy import listed
from local.world import client
from tests.faults.inprocess import TABLE, URL, InProcess, in_process
from tests.faults.invariants import checked
from tests.faults.paths import PATHS, Play, both, created, crowded, deleted, updated
from tests.faults.runs import FOUR, Result, captured, forked
from tests.faults.scene import MORE_TAGS, Scene
from tests.harness import ACCOUNT, EXTERNAL_ID, HUB, Topology

ROOT = Path(__file__).parents[2]
ROLE = "VpcPeeringAccess"
INSTALLATION = "installation"
DENIED = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
PEER = ("RoleArn", "ExternalId", "Routes", "Tags", "AllowDnsResolutionFromRemoteVpc")
PENDING = {"AutoAccept": "false", **dict.fromkeys(f"Peer{name}" for name in PEER)}

Template = dict[str, Any]


def read(path: str) -> Template:
    """Read a template as CloudFormation does."""
    yaml.add_multi_constructor("", yaml_tag_constructor, Loader=yaml.SafeLoader)
    loaded = json.dumps(yaml.safe_load((ROOT / path).read_text()))
    # moto's reader takes !Condition for a function.
    template: Template = json.loads(loaded.replace('"Fn::Condition"', '"Condition"'))
    return template


def deploy(template: Template, account: str, **parameters: str) -> None:
    """Make a stack in moto's CloudFormation, which makes its roles in moto's IAM."""
    client(URL, "cloudformation", account, "us-east-1").create_stack(
        StackName="vpc-peering",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )


def install(here: InProcess, scene: Scene, function: Mapping[str, str] | None = None, **more: str) -> None:
    """Deploy the roles of all templates with further parameters: the function's, and those of other accounts."""
    template = read("template.yaml")
    template.pop("Transform")
    policies = ("JoinPolicy", "OtherSidePolicy", "AdoptionPolicy", "AdoptedPolicy", "FindingsPolicy")
    kept = {name: template["Resources"][name] for name in ("PeeringFunctionRole", *policies)}
    # moto attaches policies to a role only where they name it.
    del kept["PeeringFunctionRole"]["Properties"]["ManagedPolicyArns"]
    for name in policies:
        kept[name]["Properties"]["Roles"] = [{"Ref": "PeeringFunctionRole"}]
    made = {
        "Remember": f"arn:aws:dynamodb:us-east-1:{HUB}:table/{TABLE}",
        "Log": f"arn:aws:logs:us-east-1:{HUB}:log-group:any",
        "SendFailedEvents": f"arn:aws:sqs:us-east-1:{HUB}:any",
        "FindMaintained": f"arn:aws:dynamodb:us-east-1:{HUB}:table/{TABLE}/index/Maintained",
        "Enqueue": f"arn:aws:sqs:us-east-1:{HUB}:maintenance.fifo",
        "TakeMessages": f"arn:aws:sqs:us-east-1:{HUB}:maintenance.fifo",
    }
    for statement in kept["PeeringFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
        statement["Resource"] = made.get(statement["Sid"], statement["Resource"])
    parameters = {
        "InstallationName": INSTALLATION,
        "AllowAdoption": "true",
        "FindingsTopicArn": here.topic_arn,
        **(function or {}),
    }
    deploy({**template, "Resources": kept, "Outputs": {}}, HUB, **parameters)
    requester = scene.topology.account
    for account in scene.world.roles:
        client(URL, "iam", account, "us-east-1").delete_role(RoleName=ROLE)
        asks = "true" if account == requester else "false"
        deploy(
            read("accepter/role.yaml"),
            account,
            FunctionAccountId=HUB,
            ExternalId=EXTERNAL_ID,
            RequesterAccountId="" if requester == HUB else requester,
            AllowRequesting=asks,
            InstallationName=INSTALLATION,
            RoleName=ROLE,
            **{"AllowAdoption": "true", **more},
        )
    (role,) = (role for role in iam_backends[HUB]["aws"].get_roles() if role.path == "/vpc-peering/")
    session = sts_backends[HUB]["aws"].assume_role("us-east-1", "function", role.arn, "", 3600, "")
    here.session.set_credentials(session.access_key_id, session.secret_access_key, session.session_token)
    here.aws.settings.enforced = True


def statements(*, by_default: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the statement and the action of every permission that the templates give; or give `by_default`."""
    for path, account in (("template.yaml", HUB), ("accepter/role.yaml", "other")):
        for resource in read(path)["Resources"].values():
            if by_default and resource.get("Condition", "MakesRole") != "MakesRole":
                continue
            given = resource["Properties"]
            policies = given.get("Policies", [given] if "PolicyDocument" in given else [])
            for statement in [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]:
                yield from ((f"{account} {statement['Sid']}", action) for action in listed(statement["Action"]))


def adopted(scene: Scene, *, backwards: bool) -> None:
    """Adopt a connection that somebody has made, change it, and release it."""
    ends = (scene.peers[0], scene.vpc) if backwards else (scene.vpc, scene.peers[0])
    scene.theirs.add(scene.world.peer(*ends))
    assert scene.engine.create(scene.properties(OnExistingConnection="Adopt"))
    scene.engine.update(scene.properties(OnExistingConnection="Adopt", Tags=MORE_TAGS))
    scene.engine.update(scene.properties(OnExistingConnection="Adopt"))
    scene.engine.delete()


def crossed(scene: Scene) -> None:
    """Take over a route of somebody else on either side, and give it back."""
    vpc, peer = scene.vpc, scene.peers[0]
    for here, there in ((vpc, peer), (peer, vpc)):
        other = scene.world.peer(here, scene.peers[1] if here is vpc else scene.strangers[0])
        scene.world.route(here, 0, there.cidr_blocks[0], other)
    rule = {"AllRouteTables": "true", "OnConflict": "Replace"}
    scene.engine.create(scene.properties(Routes=rule, PeerRoutes=rule))
    scene.engine.delete()


def uncounted(scene: Scene) -> None:
    """Fill tables of an account whose quotas nobody has ever raised."""
    scene.here.aws.settings.applied_quotas = False
    crowded(scene)
    scene.engine.create(scene.properties())
    scene.engine.delete()


LIVES: dict[str, Play] = {
    **{path.name: both(path.before, path.faulted, path.after, deleted) for path in PATHS if "refused" not in path.name},
    "adoption": lambda scene: adopted(scene, backwards=False),
    "adoption backwards": lambda scene: adopted(scene, backwards=True),
    "routes of others": crossed,
    "default quotas": uncounted,
    "tags come and go": both(created, updated(Tags=MORE_TAGS, PeerTags=MORE_TAGS), updated(), deleted),
}


def lived(here: InProcess, scene: Scene, play: Play) -> Result:
    """Play a life, and return what was denied and who alone gave what."""
    play(scene)
    denied = [f"{call.operation} in {call.account}" for call in here.aws.calls if call.error in DENIED]
    alone = {
        (f"{HUB if grant.principal_arn.split(':')[4] == HUB else 'other'} {sid}", grant.action)
        for grant in here.aws.grants
        for sid in grant.statements
        if len(grant.statements) == 1
    }
    return {"denied": denied, "alone": sorted(alone), "problems": scene.engine.problems}


def released(scene: Scene) -> None:
    """Release a connection that was adopted before adoption was forbidden again."""
    scene.here.aws.settings.enforced = False
    scene.theirs.add(scene.world.peer(scene.vpc, scene.peers[0]))
    scene.engine.create(scene.properties(OnExistingConnection="Adopt"))
    scene.here.aws.settings.enforced = True
    scene.engine.delete()


ACCEPTING = Topology(account=ACCOUNT, peer_account=HUB)
"""The function's account accepts: between two VPCs of its own it is at either end."""

AS_ACCEPTER = ("adoption backwards", "tags come and go")
ALL = {"AllowReplacingRoutes": "true"}
BY_DEFAULT = {"AllowAdoption": "false", "FindingsTopicArn": ""}
LIVES_BY_DEFAULT: dict[str, Play] = {
    **{path.name: LIVES[path.name] for path in PATHS if path.name in LIVES},
    **{name: LIVES[name] for name in ("default quotas", "tags come and go")},
    "release": released,
}


def _lives(
    topology: Topology, lives: Mapping[str, Play], function: Mapping[str, str], role: Mapping[str, str]
) -> Iterator[tuple[str, Result]]:
    with in_process() as here, captured():
        scene = Scene(here, topology, here.start)
        install(here, scene, function, **role)
        for name, play in lives.items():
            (result,) = forked(lambda: lived(here, scene, play))  # noqa: B023  # called at once
            yield f"{name} / {topology}", result


def test_every_life_has_the_permissions_it_needs_and_no_other() -> None:
    """The templates, as they are, suffice for all that the documents promise; without any one action they would not."""
    lives = dict(each for topology in FOUR for each in _lives(topology, LIVES, {}, ALL))
    lives |= dict(_lives(ACCEPTING, {name: LIVES[name] for name in AS_ACCEPTER}, {}, ALL))

    assert {} == {name: life for name, life in lives.items() if life.get("denied", True) or life["problems"]}
    needed = {tuple(pair) for life in lives.values() for pair in life["alone"]}
    assert [] == [pair for pair in statements() if pair not in needed and pair[0].split()[1] not in BY_AWS]


def test_the_defaults_suffice_and_have_nothing_superfluous() -> None:
    """Who allows nothing more gives no statement that only those need who do."""
    role = {"AllowAdoption": "false"}
    lives = dict(each for topology in FOUR[1:3] for each in _lives(topology, LIVES_BY_DEFAULT, BY_DEFAULT, role))
    # Where the requester's side has a role too, a crowded table's blackhole is taken over there.
    lives |= dict(_lives(FOUR[-1], LIVES_BY_DEFAULT, BY_DEFAULT, {**role, **ALL}))

    assert {} == {name: life for name, life in lives.items() if life.get("denied", True) or life["problems"]}
    needed = {tuple(pair) for life in lives.values() for pair in life["alone"]}
    given = set(statements(by_default=True))
    assert set() == {pair for pair in given - needed if pair[0].split()[1] not in BY_AWS}


def refused(scene: Scene, properties: Mapping[str, Any], function: Mapping[str, str], role: Mapping[str, str]) -> str:
    """Return why a Create is refused with the parameters of the two templates, which changes nothing."""
    install(scene.here, scene, function, **{"AllowReplacingRoutes": "false", **role})
    scene.before = scene.foreign()

    assert not scene.engine.create(scene.properties(**properties))

    assert [] == [*checked(scene, "")]
    reason: str = scene.here.bucket.puts[scene.engine.events[0]["RequestId"]][0]["Reason"]
    assert reason.startswith("AccessDenied: ")
    return reason


@pytest.mark.parametrize(
    ("parameters", "properties", "action"),
    [
        ({"VpcIds": "vpc-0123456789abcdef0,vpc-0123456789abcdef1"}, {}, "ec2:CreateVpcPeeringConnection"),
        ({"AccepterAccountIds": "999999999999"}, {}, "ec2:CreateVpcPeeringConnection"),
        ({"RequireOptIn": "true"}, {}, "ec2:CreateVpcPeeringConnection"),
        ({"OrganizationId": "o-elsewhere12"}, {}, "cannot be assumed"),
        ({}, {"PeerRoutes": {"AllRouteTables": "true", "OnConflict": "Replace"}}, "ec2:ReplaceRoute"),
        ({"AllowAdoption": "false"}, {"OnExistingConnection": "Adopt"}, "ec2:CreateTags"),
    ],
    ids=["VpcIds", "AccepterAccountIds", "RequireOptIn", "OrganizationId", "AllowReplacingRoutes", "AllowAdoption"],
)
def test_what_was_not_asked_for_is_refused(parameters: dict[str, str], properties: dict[str, Any], action: str) -> None:
    """The owner of the other account decides by the role's parameters, and the failure names what is missing."""
    with in_process() as here, captured():
        scene = Scene(here, FOUR[-1], here.start)
        if "PeerRoutes" in properties:
            theirs = scene.world.peer(scene.peers[0], scene.strangers[0])
            scene.theirs.add(theirs)
            scene.world.route(scene.peers[0], 0, "10.0.0.0/16", theirs)
        if "OnExistingConnection" in properties:
            scene.theirs.add(scene.world.peer(scene.vpc, scene.peers[0]))

        assert action in refused(scene, properties, {}, parameters)


@pytest.mark.parametrize(
    ("topology", "parameters", "properties", "action"),
    [
        (FOUR[2], {"AllowedPeerAccounts": "999999999999"}, {}, "cannot be assumed"),
        (FOUR[2], {"AllowedPeerAccounts": "999999999999"}, PENDING, "ec2:CreateVpcPeeringConnection"),
        (FOUR[2], {"OrganizationId": "o-elsewhere12"}, {}, "cannot be assumed"),
        (FOUR[2], {"PeerRoleNamePattern": "Other*"}, {}, "cannot be assumed"),
        (FOUR[0], {"RequireOptIn": "true"}, {}, "ec2:CreateVpcPeeringConnection"),
        (FOUR[0], {"VpcIds": "vpc-0123456789abcdef0"}, {}, "ec2:CreateVpcPeeringConnection"),
    ],
)
def test_guard_rails_hold_in_iam(
    topology: Topology, parameters: dict[str, str], properties: dict[str, Any], action: str
) -> None:
    """What the function's code would refuse by itself, its role refuses too: a bug of the code gains nothing."""
    with in_process() as here, captured():
        assert action in refused(Scene(here, topology, here.start), properties, parameters, {})


def consent(scene: Scene) -> None:
    """Open all VPCs and tables to the installation."""
    for vpc in (scene.vpc, *scene.peers):
        tags = [{"Key": "vpc-peering:opt-in", "Value": "true"}]
        scene.world.ec2(vpc).create_tags(Resources=[vpc.id, *vpc.route_table_ids], Tags=tags)


def withdraw(scene: Scene) -> None:
    """Close them again."""
    for vpc in (scene.vpc, *scene.peers):
        scene.world.ec2(vpc).delete_tags(Resources=[vpc.id, *vpc.route_table_ids])


def test_consent_by_tags() -> None:
    """With RequireOptIn in both templates, what carries the tag is peered; and is taken away when it does no more."""
    with in_process() as here, captured():
        scene = Scene(here, FOUR[-1], here.start)
        install(here, scene, {"RequireOptIn": "true"}, RequireOptIn="true")
        consent(scene)
        assert scene.engine.create(scene.properties())
        withdraw(scene)
        scene.before = scene.foreign()

        scene.engine.delete()

        assert [] == [*checked(scene, "")]


def test_route_that_was_replaced_by_consent() -> None:
    """Where the table's tag is gone, the route cannot be given back: it does not outlive its connection."""
    with in_process() as here, captured():
        scene = Scene(here, FOUR[-1], here.start)
        install(here, scene, RequireOptIn="true", AllowReplacingRoutes="true")
        vpc, peer = scene.vpc, scene.peers[0]
        table, block = peer.route_table_ids[0], vpc.cidr_blocks[0]
        consent(scene)
        scene.theirs.add(theirs := scene.world.peer(peer, scene.strangers[0]))
        scene.world.route(peer, 0, block, theirs)
        rule = {"AllRouteTables": "true", "OnConflict": "Replace"}
        assert scene.engine.create(scene.properties(PeerRoutes=rule))
        assert theirs != scene.world.routes(peer)[table][block]
        withdraw(scene)

        scene.engine.delete()

        assert block not in scene.world.routes(peer)[table]
        assert [] == scene.owned()


@pytest.mark.parametrize("topology", FOUR, ids=str)
def test_vpcs_that_are_listed_no_more(topology: Topology) -> None:
    """Lists of VPCs that have become shorter keep no peering from being taken away whole."""
    listed_no_more = {"VpcIds": "vpc-0123456789abcdef0"}
    with in_process() as here, captured():
        scene = Scene(here, topology, here.start)
        assert scene.engine.create(scene.properties())
        install(here, scene, listed_no_more, **listed_no_more)

        scene.engine.delete()

        assert [] == [*checked(scene, "")]
        assert [] == [call.operation for call in here.aws.calls if call.error in DENIED]
