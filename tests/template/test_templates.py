"""What people rely on in the templates: names, outputs, partitions, and examples that the function understands."""

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from handler.parsing import parse
from handler.properties import Home

ROOT = Path(__file__).parents[2]
TEMPLATES = ["template.yaml", *sorted(f"{p.parent.name}/{p.name}" for p in ROOT.glob("[ae]*/*.yaml"))]
EXAMPLES = [name for name in TEMPLATES if name.startswith("examples/")]
PLAIN = [name for name in EXAMPLES if "Fn::ForEach" not in (ROOT / name).read_text()]
"""Examples whose resources stand there; what loops make is deployed by tests/e2e/test_many_peerings.py."""
SOURCES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "src/handler").glob("*.py"))
HOME = Home("111111111111", "us-east-1", "aws", {"us-east-1", "eu-west-1"})
SIDES = [side + what for side in ("Requester", "Accepter") for what in ("VpcId", "OwnerId", "Region", "CidrBlocks")]
COUNTS = [f"{prefix}{what}" for prefix in ("", "Peer") for what in ("RouteCount", "SkippedRoutes")]
ATTRIBUTES = {"Id", "VpcPeeringConnectionId", "Status", *COUNTS, *SIDES}
GIVEN = {
    "ServiceToken": "arn:aws:lambda:us-east-1:111111111111:function:vpc-peering",
    "VpcId": "vpc-0aaaaaaaaaaaaaaa1",
    "PeerVpcId": "vpc-0bbbbbbbbbbbbbbb1",
    "PeerOwnerId": "222222222222",
    "Region": "us-east-1",
    "PeerRegion": "eu-west-1",
    "RoleArn": "arn:aws:iam::333333333333:role/VpcPeeringAccepter",
    "PeerRoleArn": "arn:aws:iam::222222222222:role/VpcPeeringAccepter",
    "ExternalId": "external-id",
    "PeerExternalId": "external-id",
    "ManagementVpcId": "vpc-0aaaaaaaaaaaaaaa1",
    "ManagementRouteTableIds": ["rtb-0aaaaaaaaaaaaaaa1", "rtb-0aaaaaaaaaaaaaaa2"],
    "ManagementCidrBlock": "10.0.4.0/24",
    "StagingVpcId": "vpc-0bbbbbbbbbbbbbbb1",
    "ProductionVpcId": "vpc-0bbbbbbbbbbbbbbb2",
    "VpcName": "hub",
    "PeerVpcName": "spoke",
    "DatabaseSubnetIds": ["subnet-0bbbbbbbbbbbbbbb1"],
    "SubnetIds": ["subnet-0aaaaaaaaaaaaaaa1"],
    "AppPrefixListId": "pl-0bbbbbbbbbbbbbbb1",
    "VpcPeeringConnectionId": "pcx-0aaaaaaaaaaaaaaa1",
    "VendorVpcId": "vpc-0ccccccccccccccc1",
    "VendorAccountId": "999999999999",
    "PeerCidrBlocks": ["10.8.0.0/16"],
    "MultipathResilience": "false",
    "NetworkVpcId": "vpc-0aaaaaaaaaaaaaaa1",
    "NetworkRouteTableIds": ["rtb-0aaaaaaaaaaaaaaa1"],
    "AWS::AccountId": "222222222222",
}

Template = dict[str, Any]


def as_sent(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a property as CloudFormation sends it: parameters resolved, every scalar a string."""
    if isinstance(value, dict):
        return GIVEN[value["Ref"]] if "Ref" in value else {key: as_sent(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_sent(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def intrinsics(node: object, name: str) -> Iterator[Any]:
    """Yield the arguments of every use of an intrinsic function."""
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == name)
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from intrinsics(item, name)


@pytest.mark.parametrize("path", [*TEMPLATES, *SOURCES])
def test_no_partition_is_hard_coded(path: str) -> None:
    """The same templates and the same code serve aws, aws-cn and aws-us-gov."""
    assert not re.search(r"arn:aws[a-z-]*:", (ROOT / path).read_text())


@pytest.mark.parametrize("path", TEMPLATES)
def test_free_text_parameters_say_what_they_take(load: Callable[[str], Template], path: str) -> None:
    """CloudFormation refuses a wrong parameter before anything is made; Regions and external ids are the function's."""
    free = {"Region", "PeerRegion"} | ({"ExternalId", "PeerExternalId"} if path.startswith("examples/") else set())
    checked = {"AllowedPattern", "AllowedValues"}
    parameters = load(path)["Parameters"]
    texts = {name for name, parameter in parameters.items() if parameter["Type"] == "String"}
    assert set() == {name for name in texts - free if not checked & parameters[name].keys()}


@pytest.mark.parametrize("path", ["template.yaml", "accepter/role.yaml", "accepter/stackset.yaml"])
def test_every_parameter_has_a_group_and_a_label(load: Callable[[str], Template], path: str) -> None:
    """Whoever deploys from the console sees a form, not a list of identifiers."""
    template = load(path)
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(template["Parameters"]) == sorted(grouped) == sorted(interface["ParameterLabels"])


def test_the_function_keeps_its_name(load: Callable[[str], Template]) -> None:
    """A ServiceToken cannot be updated: a function of another name strands every stack that uses this one."""
    template = load("template.yaml")
    assert {"Ref": "InstallationName"} == template["Resources"]["PeeringFunction"]["Properties"]["FunctionName"]
    assert template["Parameters"]["InstallationName"]["Default"] == "vpc-peering"


def test_the_service_token_is_published(load: Callable[[str], Template]) -> None:
    """Stacks find the function by an export or by an SSM parameter; the examples use the latter by its default name."""
    template = load("template.yaml")
    parameter = template["Resources"]["ServiceTokenParameter"]["Properties"]
    arn = {"Fn::GetAtt": ["PeeringFunction", "Arn"]}
    assert arn == parameter["Value"] == template["Outputs"]["ServiceToken"]["Value"]
    assert {"Name": {"Fn::Sub": "${InstallationName}-service-token"}} == template["Outputs"]["ServiceToken"]["Export"]
    name = parameter["Name"]["Fn::Sub"].replace(
        "${InstallationName}", template["Parameters"]["InstallationName"]["Default"]
    )
    tokens = {path: load(path)["Parameters"]["ServiceToken"] for path in EXAMPLES}
    # A parameter of another account cannot be read: who shares the function tells its ARN.
    assert {"examples/application-account.yaml"} == {path for path in EXAMPLES if "Default" not in tokens[path]}
    assert {name} == {token["Default"] for token in tokens.values() if "Default" in token}


def test_asynchronous_retries_are_stated(load: Callable[[str], Template]) -> None:
    """CloudFormation gives up after an hour, and so does Lambda; defaults that may change are not relied on."""
    function = load("template.yaml")["Resources"]["PeeringFunction"]["Properties"]
    stated = {name: value for name, value in function["EventInvokeConfig"].items() if name != "DestinationConfig"}
    assert {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600} == stated


def test_local_variables_are_declared_and_absent_in_aws(load: Callable[[str], Template]) -> None:
    """`sam local invoke --env-vars` ignores what the template does not declare; AWS must never see an endpoint."""
    variables = load("template.yaml")["Resources"]["PeeringFunction"]["Properties"]["Environment"]["Variables"]
    overrides = json.loads((ROOT / "local/env.json").read_text())["PeeringFunction"]
    assert set() == overrides.keys() - variables.keys()
    endpoints = {name: value for name, value in variables.items() if name.startswith("AWS_ENDPOINT_URL")}
    assert {"AWS_ENDPOINT_URL": {"Ref": "AWS::NoValue"}} == endpoints


def test_the_role_name_is_one_that_the_function_may_assume(load: Callable[[str], Template]) -> None:
    """The defaults of the two stacks fit each other."""
    name = load("accepter/role.yaml")["Parameters"]["RoleName"]["Default"]
    assert fnmatch(name, load("template.yaml")["Parameters"]["PeerRoleNamePattern"]["Default"])


def test_the_stack_set_deploys_the_role_with_parameters_that_it_has(load: Callable[[str], Template]) -> None:
    """A StackSet fails in every account at once when its template moves on without it."""
    stack_set = load("accepter/stackset.yaml")["Resources"]["RoleStackSet"]["Properties"]
    role = load(f"accepter/{stack_set['TemplateURL']}")
    given = {parameter["ParameterKey"] for parameter in stack_set["Parameters"]}
    needed = {name for name, parameter in role["Parameters"].items() if "Default" not in parameter}
    assert needed <= given <= role["Parameters"].keys()
    assert stack_set["AutoDeployment"]["Enabled"]


@pytest.mark.parametrize("parameter", ["FunctionRolePattern", "AllowReplacingRoutes"])
def test_the_stack_set_passes_on_what_an_organization_needs(load: Callable[[str], Template], parameter: str) -> None:
    """What the role takes from one account it takes from all, with the same default and the same limits."""
    stack_set, role = load("accepter/stackset.yaml"), load("accepter/role.yaml")
    given = stack_set["Resources"]["RoleStackSet"]["Properties"]["Parameters"]
    assert {"ParameterKey": parameter, "ParameterValue": {"Ref": parameter}} in given
    for what in ("Type", "Default", "AllowedPattern", "AllowedValues"):
        assert role["Parameters"][parameter].get(what) == stack_set["Parameters"][parameter].get(what)


@pytest.mark.parametrize("path", PLAIN)
def test_the_function_understands_the_example(load: Callable[[str], Template], path: str) -> None:
    """What people copy first must not be refused."""
    resources = load(path)["Resources"].values()
    assert {"Custom::VpcPeering"} == {resource["Type"] for resource in resources}
    for resource in resources:
        assert parse(as_sent(resource["Properties"]), HOME)


@pytest.mark.parametrize("path", PLAIN)
def test_outputs_name_attributes_that_exist(load: Callable[[str], Template], path: str) -> None:
    """Fn::GetAtt of an unknown attribute fails the stack at its end, after all the work."""
    used = {attribute for _, attribute in intrinsics(load(path)["Outputs"], "Fn::GetAtt")}
    assert used
    assert used <= ATTRIBUTES
