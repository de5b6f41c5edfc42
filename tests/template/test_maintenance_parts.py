"""The parts of maintenance fit each other and the code, and let nobody else in."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from moto.cloudformation.parsing import ResourceMap, clean_json
from moto.events.models import EventPattern

from handler.calls import MARK
from handler.operate import ASKED, Sweep
from handler.registry import INDEX
from handler.wake import NAMED, TAGGED
from tests.template.rendered import Rendered

ROOT = Path(__file__).parents[2]
ROLE_TEMPLATE = "accepter/role.yaml"
RULES = [("template.yaml", "Changes"), ("template.yaml", "ForwardedChanges"), (ROLE_TEMPLATE, "Changes")]
PERSON = "[aws-cli/2.31.0 md/awscrt#0.27.6 exec-env/CloudShell]"
BUS = "arn:aws:events:us-east-1:111111111111:event-bus/vpc-peering"
OURS = f"[Botocore/1.44.5 ua/2.1 os/linux lang/python#3.13 cfg/retry-mode#standard {MARK.replace('()', f'({BUS})')}]"
OF_OTHERS = (
    OURS.replace("vpc-peering)", "vpc-peering-dev)"),
    OURS.replace("111111111111", "222222222222"),
    OURS.replace("us-east-1", "eu-west-1"),
)
DEAD_LETTERS = {"Fn::GetAtt": ["MaintenanceDeadLetters", "Arn"]}

Template = dict[str, Any]


@pytest.fixture
def template(load: Callable[[str], Template]) -> Template:
    """Read the function's template."""
    return load("template.yaml")


@pytest.fixture
def resources(template: Template) -> dict[str, dict[str, Any]]:
    """Return the properties of the function's resources by logical id."""
    return {name: each.get("Properties", {}) for name, each in template["Resources"].items()}


def stack_of(template: Template, **given: str) -> ResourceMap:
    """Return what CloudFormation makes of a template with these parameters and the defaults of the others."""
    parameters = {name: given.get(name, each.get("Default", "")) for name, each in template["Parameters"].items()}
    stack = ResourceMap("", "any", parameters, {}, "us-east-1", "111111111111", template, None)
    stack.load_parameters()
    stack.load_conditions()
    return stack


def made(template: Template, **given: str) -> set[str]:
    """Return the resources that a stack with these parameters has."""
    conditions = stack_of(template, **given).lazy_condition_map
    return {name for name, each in template["Resources"].items() if conditions.get(each.get("Condition"), True)}


def pattern_of(template: Template, rule: str) -> dict[str, Any]:
    """Return what a rule takes, in the account and the Region of the bus or forwarding to it."""
    return clean_json(template["Resources"][rule]["Properties"]["EventPattern"], stack_of(template, EventBusArn=BUS))


def event(name: str, agent: str = PERSON, **detail: str) -> dict[str, Any]:
    """Return an event of CloudTrail as EventBridge delivers it."""
    return {
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ec2",
        "detail": {"eventSource": "ec2.amazonaws.com", "eventName": name, "userAgent": agent, **detail},
    }


def tagging(name: str, *ids: str) -> dict[str, Any]:
    """Return an event about tags of some resources."""
    sent = event(name)
    sent["detail"]["requestParameters"] = {"resourcesSet": {"items": [{"resourceId": each} for each in ids]}}
    return sent


def flat(sent: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an event as EventBridge compares it, once for each object of a list, which moto does not look into."""
    parameters = sent["detail"].get("requestParameters")
    if parameters is None:
        return [sent]
    each_alone = [{"resourcesSet": {"items": item}} for item in parameters["resourcesSet"]["items"]]
    return [{**sent, "detail": {**sent["detail"], "requestParameters": one}} for one in each_alone]


@pytest.mark.parametrize(("path", "rule"), RULES)
@pytest.mark.parametrize(
    ("sent", "wakes"),
    [
        (event("DeleteRoute"), True),
        (event("AcceptVpcPeeringConnection"), True),
        (event("DeleteRoute", agent="cloudformation.amazonaws.com"), True),
        *((event("DeleteRoute", agent=agent), True) for agent in OF_OTHERS),
        (event("DeleteRoute", agent=OURS), False),
        (event("DeleteRoute", errorCode="Client.UnauthorizedOperation"), False),
        (event("RunInstances"), False),
        (tagging("CreateTags", "i-0123456789abcdef0", "rtb-0123456789abcdef0"), True),
        (tagging("DeleteTags", "subnet-0123456789abcdef0"), True),
        (tagging("DeleteTags", "vpc-0123456789abcdef0"), True),
        (tagging("CreateTags", "pcx-0123456789abcdef0"), True),
        (tagging("CreateTags", "i-0123456789abcdef0", "vol-0123456789abcdef0"), False),
        (tagging("DeleteTags", "eni-0123456789abcdef0"), False),
        ({**event("DeleteRoute"), "source": "custom.ec2"}, False),
        ({**event("DeleteRoute"), "detail-type": "AWS Service Event via CloudTrail"}, False),
    ],
    ids=[
        *("person", "acceptance", "stack", "other name", "other account", "other Region"),
        *("own", "failed", "irrelevant"),
        *("table", "subnet", "VPC", "connection", "instance", "interface", "forged", "no call"),
    ],
)
def test_rules_take_what_matters(
    load: Callable[[str], Template], path: str, rule: str, sent: dict[str, Any], *, wakes: bool
) -> None:
    """Here, in other accounts and on the bus alike; what we do ourselves would go round in circles.

    An installation of the same name in another account or Region is somebody else.
    """
    pattern = pattern_of(load(path), rule)
    assert wakes == any(EventPattern(None, pattern).matches_event(each) for each in flat(sent))


def test_tags_that_wake_are_those_that_count(resources: dict[str, Any]) -> None:
    """What the function looks for in an event passes the rule; an association has no tags."""
    (tags,) = (each for each in resources["Changes"]["EventPattern"]["detail"]["$or"] if "requestParameters" in each)
    prefixes = tags["requestParameters"]["resourcesSet"]["items"]["resourceId"]
    assert {*NAMED, *TAGGED} - {"rtbassoc-"} == {each["prefix"] for each in prefixes}


def test_the_three_rules_are_one(load: Callable[[str], Template]) -> None:
    """What one takes and the next one does not is lost on the way, or wakes the function for nothing."""
    here, there, forwarded = (pattern_of(load(path), rule) for path, rule in RULES)
    assert here == there == forwarded


def test_the_function_marks_its_calls_with_the_bus_that_is_forwarded_to(template: Template) -> None:
    """So the rule in another account knows them by the ARN that it forwards to, whatever the account and the Region."""
    variables = template["Resources"]["PeeringFunction"]["Properties"]["Environment"]["Variables"]
    assert BUS == clean_json(variables["EVENT_BUS_ARN"], stack_of(template))
    assert {"Ref": "InstallationName"} == template["Resources"]["ForwardedEvents"]["Properties"]["Name"]
    assert {"Fn::GetAtt": ["ForwardedEvents", "Arn"]} == template["Outputs"]["EventBusArn"]["Value"]


ACCOUNTS = {"aws:PrincipalAccount": ["222222222222", "333333333333"]}
ORGANIZATION = {"aws:PrincipalOrgID": "o-0123456789"}


@pytest.mark.parametrize(
    ("given", "conditions"),
    [
        ({}, []),
        ({"AllowedPeerAccounts": "222222222222,333333333333"}, [ACCOUNTS]),
        ({"OrganizationId": "o-0123456789"}, [ORGANIZATION]),
        (
            {"AllowedPeerAccounts": "222222222222,333333333333", "OrganizationId": "o-0123456789"},
            [{**ACCOUNTS, **ORGANIZATION}],
        ),
        ({"AllowedPeerAccounts": "222222222222,*"}, [{"aws:PrincipalAccount": ["222222222222", "*"]}]),
    ],
    ids=["nobody", "accounts", "organization", "both", "wildcard"],
)
def test_who_may_forward(template: Template, given: dict[str, str], conditions: list[dict[str, Any]]) -> None:
    """A bus that is open to everybody has the function run at our cost: no wildcard counts."""
    rendered = Rendered(template, **given)
    policies = [
        rendered.value(each["Properties"])
        for each in template["Resources"].values()
        if each["Type"] == "AWS::Events::EventBusPolicy" and rendered.holds(each["Condition"])
    ]

    assert [{"StringEquals": condition} for condition in conditions] == [
        policy["Statement"]["Condition"] for policy in policies
    ]
    assert {("events:PutEvents", "ForwardedEvents.Arn", "ForwardedEvents")} >= {
        (policy["Statement"]["Action"], policy["Statement"]["Resource"], policy["EventBusName"]) for policy in policies
    }


ALL = {
    "EventBusArn": BUS,
    **dict.fromkeys(("AllowReplacingRoutes", "AllowRequesting", "AllowAdoption"), "true"),
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"Role"}),
        ({"EventBusArn": ALL["EventBusArn"]}, {"Role", "Changes", "ForwardingRole"}),
        ({**ALL, "MakeRole": "false"}, {"Changes", "ForwardingRole"}),
        (
            ALL,
            {
                *("Role", "ReplacePolicy", "RequesterPolicy", "AdoptionPolicy", "AdoptedPolicy"),
                *("Changes", "ForwardingRole"),
            },
        ),
    ],
    ids=["role", "role and events", "events", "all"],
)
def test_what_the_other_account_gets(
    load: Callable[[str], Template], given: dict[str, str], expected: set[str]
) -> None:
    """IAM knows no Regions: in a further one nothing of the role may be made again, whatever else is asked for."""
    assert expected == made(load(ROLE_TEMPLATE), **given)


def test_the_other_account_forwards_to_the_bus_only(load: Callable[[str], Template]) -> None:
    """The role that EventBridge takes on there can do nothing else, and only for that account."""
    resources = load(ROLE_TEMPLATE)["Resources"]
    role = resources["ForwardingRole"]["Properties"]
    (policy,) = role["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert ("Allow", "events:PutEvents", {"Ref": "EventBusArn"}) == tuple(
        statement[name] for name in ("Effect", "Action", "Resource")
    )
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert {"Service": "events.amazonaws.com"} == trust["Principal"]
    assert {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}} == trust["Condition"]
    (target,) = resources["Changes"]["Properties"]["Targets"]
    assert {"Ref": "EventBusArn"} == target["Arn"]
    assert {"Fn::GetAtt": ["ForwardingRole", "Arn"]} == target["RoleArn"]


def test_the_stack_set_forwards_too(load: Callable[[str], Template]) -> None:
    """All accounts of an organization get the forwarding with the role; both templates take the same ARN."""
    stack_set, role = load("accepter/stackset.yaml"), load(ROLE_TEMPLATE)
    given = stack_set["Resources"]["RoleStackSet"]["Properties"]["Parameters"]
    assert {"ParameterKey": "EventBusArn", "ParameterValue": {"Ref": "EventBusArn"}} in given
    pattern = role["Parameters"]["EventBusArn"]["AllowedPattern"]
    assert pattern == stack_set["Parameters"]["EventBusArn"]["AllowedPattern"]
    right = ["", ALL["EventBusArn"], "arn:aws-cn:events:cn-north-1:111111111111:event-bus/network-1"]
    wrong = ["vpc-peering", "arn:aws:events:us-east-1:111111111111:rule/any", "arn:aws:sqs:us-east-1:111111111111:any"]
    assert right == [arn for arn in [*right, *wrong] if re.fullmatch(pattern, arn)]


def test_the_schedule_sweeps_and_nothing_else(resources: dict[str, Any]) -> None:
    """Its role may invoke this function alone, and what it sends is a sweep; a sweep that fails is not repeated."""
    target = resources["Sweep"]["Target"]
    assert isinstance(ASKED.validate_json(target["Input"]), Sweep)
    assert 0 == target["RetryPolicy"]["MaximumRetryAttempts"]
    function = {"Fn::GetAtt": ["PeeringFunction", "Arn"]}
    assert (function, {"Fn::GetAtt": ["SweepRole", "Arn"]}) == (target["Arn"], target["RoleArn"])
    (policy,) = resources["SweepRole"]["Policies"]
    queue = {"Fn::GetAtt": ["FailedEvents", "Arn"]}
    assert queue == target["DeadLetterConfig"]["Arn"]
    assert [("lambda:InvokeFunction", function), ("sqs:SendMessage", queue)] == [
        (statement["Action"], statement["Resource"]) for statement in policy["PolicyDocument"]["Statement"]
    ]
    (statement,) = resources["SweepKeyPolicy"]["PolicyDocument"]["Statement"]
    assert resources["KeyPolicy"]["PolicyDocument"]["Statement"][0] == {**statement, "Sid": "EncryptFailedEvents"}


def test_a_line_that_waits_holds_up_no_other(resources: dict[str, Any]) -> None:
    """High throughput of a FIFO queue needs both settings; a message is a double only in its own line."""
    queue = resources["MaintenanceQueue"]
    assert (True, "messageGroup", "perMessageGroupId") == tuple(
        queue[name] for name in ("FifoQueue", "DeduplicationScope", "FifoThroughputLimit")
    )
    assert ["ReportBatchItemFailures"] == resources["MaintenanceWorker"]["FunctionResponseTypes"]


def test_dead_letters_are_kept(resources: dict[str, Any]) -> None:
    """A FIFO queue takes only another one for what it gives up; both are encrypted as the failed events are."""
    assert {"deadLetterTargetArn": DEAD_LETTERS, "maxReceiveCount": 3} == resources["MaintenanceQueue"]["RedrivePolicy"]
    assert {"FifoQueue": True, **resources["FailedEvents"]} == resources["MaintenanceDeadLetters"]
    encrypted = {"KmsMasterKeyId", "SqsManagedSseEnabled"}
    assert {name: resources["FailedEvents"][name] for name in encrypted} == {
        name: resources["MaintenanceQueue"][name] for name in encrypted
    }


def test_slow_schedules_raise_the_alarm_too(resources: dict[str, Any]) -> None:
    """An alarm that asks for three periods in a row would never see a schedule that is slower than its period."""
    alarm = resources["UnrepairedAlarm"]
    assert 15 * 60 >= alarm["Period"]
    assert 3 == alarm["DatapointsToAlarm"]
    assert 3 * 3600 <= alarm["Period"] * alarm["EvaluationPeriods"] <= 24 * 3600


def test_the_index_is_the_one_that_is_asked(resources: dict[str, Any]) -> None:
    """DynamoDB answers a query of an index that it does not have with an error, at every sweep."""
    (index,) = resources["Registry"]["GlobalSecondaryIndexes"]
    assert INDEX == index["IndexName"]
    assert [(INDEX, "HASH"), ("Place", "RANGE")] == [
        (key["AttributeName"], key["KeyType"]) for key in index["KeySchema"]
    ]
    assert {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["Names"]} == index["Projection"]


def test_every_variable_that_is_read_is_set(resources: dict[str, Any]) -> None:
    """A name that the template spells otherwise leaves the code with its default, and nobody is told."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/handler").glob("*.py"))
    read = set(re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"", source))
    given = resources["PeeringFunction"]["Environment"]["Variables"].keys()
    assert {"MAINTENANCE_MODE", "MAINTENANCE_QUEUE_URL", "FINDINGS_TOPIC_ARN"} <= read
    assert set() == {name for name in read - given if not name.startswith("AWS_")}
