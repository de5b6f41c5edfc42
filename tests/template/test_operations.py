"""What operates the function: alarms and dashboard watch what is really emitted, and no option has to be given."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from handler import cfn, telemetry
from handler.lifecycle import UNDO_SECONDS
from handler.maintenance import counted
from handler.outbox import AGAIN_SECONDS, BATCH, BUCKET_SECONDS

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
OPTIONAL = {
    "NotificationTopicArn": "Notifies",
    "KmsKeyArn": "Encrypts",
    "ReservedConcurrency": "Reserves",
    "CodeSigningConfigArn": "Signs",
}
KINDS = ("Create", "Update", "Delete")
OF_LAMBDA = ("Errors", "Throttles", "Duration", "ConcurrentExecutions", "DestinationDeliveryFailures")
OF_SQS = ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage")
LONGEST_PAUSE = 5
"""Seconds; of all that wait for EC2."""
QUEUES = ("FailedEvents", "MaintenanceQueue", "MaintenanceDeadLetters")

Template = dict[str, Any]
Metric = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name and dimensions: CloudWatch finds a metric only by all of them."""


@pytest.fixture
def template(load: Callable[[str], Template]) -> Template:
    """Read the function's template."""
    return load("template.yaml")


@pytest.fixture
def emitted(capsys: pytest.CaptureFixture[str]) -> set[Metric]:
    """Return the metrics that the function writes, as it writes them, and those of Lambda and SQS."""
    for kind in KINDS:
        telemetry.measure(kind, "SUCCESS", 1.0, [], left_behind=False, unregistered=False, undelivered=False)
    telemetry.measure_upkeep(counted([]))
    aws = {("AWS/Lambda", name, frozenset({("FunctionName", "PeeringFunction")})) for name in OF_LAMBDA}
    queues = [frozenset({("QueueName", f"{queue}.QueueName")}) for queue in QUEUES]
    aws |= {("AWS/SQS", name, queue) for name in OF_SQS for queue in queues}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return aws | {metric for line in lines for metric in own_metrics(line)}


def own_metrics(line: dict[str, Any]) -> Iterator[Metric]:
    """Yield what CloudWatch makes of a line in its embedded format."""
    for declared in line["_aws"]["CloudWatchMetrics"]:
        for names in declared["Dimensions"]:
            dimensions = frozenset((name, line[name]) for name in names)
            yield from ((declared["Namespace"], metric["Name"], dimensions) for metric in declared["Metrics"])


def value(node: Any, template: Template) -> str:  # noqa: ANN401  # of YAML
    """Return a value as the default parameters give it; a resource is its logical id, an attribute stands behind."""
    match node:
        case {"Ref": name}:
            return str(template["Parameters"][name]["Default"]) if name in template["Parameters"] else str(name)
        case {"Fn::GetAtt": path}:
            return ".".join(path)
        case {"Fn::Sub": text}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: value({"Ref": found[1]}, template), text)
    return str(node)


def alarms(template: Template) -> dict[str, dict[str, Any]]:
    """Return the properties of the alarms by logical id."""
    found = template["Resources"].items()
    return {name: each["Properties"] for name, each in found if each["Type"] == "AWS::CloudWatch::Alarm"}


def named(alarm: dict[str, Any]) -> str:
    """Return the name of an alarm after that of the installation."""
    return str(alarm["AlarmName"]["Fn::Sub"]).removeprefix("${InstallationName}-")


def dashboard(template: Template) -> list[dict[str, Any]]:
    """Return the widgets."""
    widgets: list[dict[str, Any]] = json.loads(
        value(template["Resources"]["Dashboard"]["Properties"]["DashboardBody"], template)
    )["widgets"]
    return widgets


def test_metrics_carry_the_installation(template: Template) -> None:
    """The function takes namespace and service from its environment: two installations must not share an alarm."""
    variables = template["Resources"]["PeeringFunction"]["Properties"]["Environment"]["Variables"]
    assert "VpcPeering" == variables["POWERTOOLS_METRICS_NAMESPACE"]
    assert {"Ref": "InstallationName"} == variables["POWERTOOLS_SERVICE_NAME"]


def test_every_alarm_watches_what_is_emitted(template: Template, emitted: set[Metric]) -> None:
    """An alarm on a name or a set of dimensions that nobody emits is silent for ever."""
    watched = {
        name: (
            alarm["Namespace"],
            alarm["MetricName"],
            frozenset((each["Name"], value(each["Value"], template)) for each in alarm["Dimensions"]),
        )
        for name, alarm in alarms(template).items()
    }
    assert {} == {name: metric for name, metric in watched.items() if metric not in emitted}
    assert len(watched) == len(set(watched.values()))


def test_alarms_begin_end_and_keep_quiet_alike(template: Template) -> None:
    """Without a request there is no data, which is no alarm; the topic hears of the end too."""
    topic = {"Fn::If": ["Notifies", [{"Ref": "NotificationTopicArn"}], {"Ref": "AWS::NoValue"}]}
    for alarm in alarms(template).values():
        assert "notBreaching" == alarm["TreatMissingData"]
        assert topic == alarm["AlarmActions"] == alarm["OKActions"]
        assert alarm["AlarmDescription"]


def test_the_time_out_is_the_functions_own(template: Template) -> None:
    """The work ends before Lambda's time-out: an alarm on that alone would never see a request that was cut off.

    An Update's ends earliest; what waits gives up where its next pause, of some seconds, would be too long.
    """
    seconds = template["Resources"]["PeeringFunction"]["Properties"]["Timeout"] - cfn.MARGIN_SECONDS - UNDO_SECONDS
    threshold = alarms(template)["TimeOutAlarm"]["Threshold"] / 1000
    assert seconds - 2 * LONGEST_PAUSE <= threshold < seconds - LONGEST_PAUSE


def test_every_alarm_is_described(template: Template) -> None:
    """Whoever is woken by an alarm finds it in docs/operations.md, and finds none there that is gone."""
    table = OPERATIONS.partition("## Alarms")[2].partition("\n## ")[0]
    described = re.findall(r"^\| `([a-z-]+)` \| .+ \| .+ \|$", table, re.MULTILINE)
    assert sorted(map(named, alarms(template).values())) == sorted(described)


def test_the_dashboard_shows_what_is_emitted(template: Template, emitted: set[Metric]) -> None:
    """A widget of a metric that does not exist shows an empty chart, which looks like good news."""
    shown = []
    for widget in dashboard(template):
        for series in widget["properties"].get("metrics", []):
            namespace, name, *rest = [part for part in series if isinstance(part, str)]
            shown.append((namespace, name, frozenset(zip(rest[::2], rest[1::2], strict=True))))
    assert [] == [metric for metric in shown if metric not in emitted]
    own = {name for namespace, name, _ in emitted if namespace == "VpcPeering"}
    assert own == {name for namespace, name, _ in shown if namespace == "VpcPeering"}


def test_the_dashboard_shows_every_alarm(template: Template) -> None:
    """One look tells whether anything is wrong."""
    (shown,) = (widget["properties"]["alarms"] for widget in dashboard(template) if widget["type"] == "alarm")
    assert sorted(f"{name}.Arn" for name in alarms(template)) == sorted(shown)


def test_widgets_do_not_overlap(template: Template) -> None:
    """CloudWatch's grid has 24 columns."""
    cells = [
        (widget["x"] + x, widget["y"] + y)
        for widget in dashboard(template)
        for x in range(widget["width"])
        for y in range(widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_failed_events_are_kept_and_encrypted(template: Template) -> None:
    """An event that nobody could serve is a stack that waits; it holds the ResponseURL and external ids."""
    function = template["Resources"]["PeeringFunction"]["Properties"]
    on_failure = {"Type": "SQS", "Destination": {"Fn::GetAtt": ["FailedEvents", "Arn"]}}
    assert {"OnFailure": on_failure} == function["EventInvokeConfig"]["DestinationConfig"]
    none = {"Ref": "AWS::NoValue"}
    assert {
        "MessageRetentionPeriod": 14 * 24 * 3600,
        "KmsMasterKeyId": {"Fn::If": ["Encrypts", {"Ref": "KmsKeyArn"}, none]},
        "SqsManagedSseEnabled": {"Fn::If": ["Encrypts", none, True]},
    } == template["Resources"]["FailedEvents"]["Properties"]


def test_the_key_is_used_through_services_only(template: Template) -> None:
    """They use it as the function's role, which itself cannot; the log service's permission is in the key's policy."""
    policy = template["Resources"]["KeyPolicy"]
    assert "Encrypts" == policy["Condition"]
    via = {
        service: {"Fn::Sub": service + ".${AWS::Region}.amazonaws.com*"} for service in ("sqs", "dynamodb", "lambda")
    }
    assert [
        (["kms:Decrypt", "kms:GenerateDataKey"], {"Ref": "KmsKeyArn"}, via["sqs"]),
        ("kms:Decrypt", {"Ref": "KmsKeyArn"}, [via["dynamodb"], via["lambda"]]),
    ] == [
        (each["Action"], each["Resource"], each["Condition"]["StringLike"]["kms:ViaService"])
        for each in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    assert {"Allow"} == {each["Effect"] for each in policy["Properties"]["PolicyDocument"]["Statement"]}


def test_all_that_is_kept_is_encrypted_with_the_key(template: Template) -> None:
    """Who asks for a key of their own asks for it everywhere."""
    key = {"Fn::If": ["Encrypts", {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}]}
    kept = {name: each.get("Properties", {}) for name, each in template["Resources"].items()}
    assert key == kept["PeeringFunction"]["KmsKeyArn"]
    assert key == kept["PeeringFunctionLogGroup"]["KmsKeyId"]
    assert {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key} == kept["Registry"]["SSESpecification"]


@pytest.mark.parametrize(("parameter", "condition"), OPTIONAL.items())
def test_options_are_optional(template: Template, parameter: str, condition: str) -> None:
    """Without a value nothing of the option reaches a resource: an empty ARN would fail the deployment."""
    given = template["Parameters"][parameter]
    assert "" == given["Default"]
    assert re.fullmatch(given["AllowedPattern"], "")
    assert {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]} == template["Conditions"][condition]
    uses = [*used(template["Resources"], parameter, frozenset())]
    assert uses
    assert [] == [conditions for conditions in uses if condition not in conditions]


def test_no_topic_for_findings(template: Template) -> None:
    """The function is told that there is none by an empty variable, and may publish nowhere."""
    assert "" == template["Parameters"]["FindingsTopicArn"]["Default"]
    uses = [*used(template["Resources"], "FindingsTopicArn", frozenset())]
    assert [frozenset(), frozenset({"TellsFindings"})] == sorted(uses, key=len)


def used(node: object, parameter: str, under: frozenset[str]) -> Iterator[frozenset[str]]:
    """Yield the conditions under which each use of a parameter stands."""
    match node:
        case {"Ref": name} if name == parameter:
            yield under
        case {"Fn::If": [condition, then, otherwise]}:
            yield from used(then, parameter, under | {condition})
            yield from used(otherwise, parameter, under)
        case {"Condition": str(condition), "Type": _, **rest}:
            yield from used(rest, parameter, under | {condition})
        case dict() | list():
            for each in node.values() if isinstance(node, dict) else node:
                yield from used(each, parameter, under)


def test_the_function_is_in_a_vpc_only_where_it_is_asked_for(template: Template) -> None:
    """Lambda needs its permissions before the function is there; the function's own code has none of them."""
    function = template["Resources"]["PeeringFunction"]
    given = {name: {"Ref": name} for name in ("SubnetIds", "SecurityGroupIds")}
    assert {"Fn::If": ["InVpc", given, {"Ref": "AWS::NoValue"}]} == function["Properties"]["VpcConfig"]
    assert {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", {"Ref": "SubnetIds"}]}, ""]}]} == template["Conditions"][
        "InVpc"
    ]
    role = template["Resources"]["PeeringFunctionRole"]["Properties"]
    assert {"Fn::If": ["InVpc", {"Ref": "NetworkPolicy"}, {"Ref": "AWS::NoValue"}]} in role["ManagedPolicyArns"]
    policy = template["Resources"]["NetworkPolicy"]
    assert "InVpc" == policy["Condition"]
    *allowed, denied = policy["Properties"]["PolicyDocument"]["Statement"]
    assert ["Allow", "Allow", "Deny"] == [each["Effect"] for each in (*allowed, denied)]
    assert sorted(denied["Action"]) == sorted([allowed[0]["Action"], *allowed[1]["Action"]])
    own = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${InstallationName}"
    assert {"ArnEquals": {"lambda:SourceFunctionArn": {"Fn::Sub": own}}} == denied["Condition"]


@pytest.mark.parametrize(
    ("parameter", "right", "wrong"),
    [
        (
            "NotificationTopicArn",
            ["arn:aws:sns:eu-west-1:111111111111:alarms", "arn:aws-cn:sns:cn-north-1:111111111111:alarms"],
            ["alarms", "arn:aws:sqs:eu-west-1:111111111111:alarms", "arn:aws:sns:eu-west-1:111111111111:alarms.fifo"],
        ),
        (
            "KmsKeyArn",
            ["arn:aws-us-gov:kms:us-gov-west-1:111111111111:key/mrk-1234abcd12ab34cd56ef1234567890ab"],
            ["alias/logs", "arn:aws:kms:eu-west-1:111111111111:alias/logs", "1234abcd-12ab-34cd-56ef-1234567890ab"],
        ),
        (
            "InstallationName",
            ["vpc-peering", "a", "x" * 48, "defaults", "network-aws"],
            ["aws-peering", "AWSpeering", "ssm", "Ssm-1", "default", "Default", "1st", "x" * 49],
        ),
        ("SubnetIds", ["", "subnet-0123456789abcdef0"], ["vpc-0123456789abcdef0", "subnet-"]),
        ("SecurityGroupIds", ["", "sg-01234567"], ["default"]),
        (
            "MaintenanceSchedule",
            ["rate(15 minutes)", "rate(1 hour)", "cron(0/10 * * * ? *)"],
            ["15 minutes", "rate(0 minutes)", "rate(5 seconds)", "cron(0 * * * *)", "at(2026-11-23T00:00:00)"],
        ),
        ("ReservedConcurrency", ["2", "10", "1000"], ["0", "1", "-1", "all", "10000"]),
        (
            "CodeSigningConfigArn",
            ["arn:aws:lambda:eu-west-1:111111111111:code-signing-config:csc-0123456789abcdef0"],
            ["csc-0123456789abcdef0", "arn:aws:lambda:eu-west-1:111111111111:function:csc-0123456789abcdef0"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_values_are_refused_at_deployment(
    template: Template, parameter: str, right: list[str], wrong: list[str]
) -> None:
    """What CloudFormation refuses by its pattern never comes to a half-made stack; every partition's ARNs pass."""
    pattern = template["Parameters"][parameter]["AllowedPattern"]
    assert right == [text for text in [*right, *wrong] if re.fullmatch(pattern, text)]


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
def test_environments_deploy_what_the_template_takes(template: Template, environment: str) -> None:
    """`sam deploy --config-env` with a name or a value that the template does not know fails only in AWS."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))[environment]
    assert config["global"]["parameters"]["stack_name"]
    deploy = config["deploy"]["parameters"]
    assert ("CAPABILITY_IAM", True) == (deploy["capabilities"], deploy["resolve_s3"])
    for name, given in overrides(deploy).items():
        known = template["Parameters"][name]
        assert given in list(map(str, known.get("AllowedValues", [given])))
        assert re.fullmatch(known.get("AllowedPattern", ".*"), given)


def overrides(deploy: dict[str, Any]) -> dict[str, str]:
    """Return the parameters that an environment gives."""
    pairs = (pair.split("=", 1) for pair in deploy.get("parameter_overrides", []))
    return dict(pairs)


def test_prod_is_guarded_and_dev_is_not_prod() -> None:
    """A slip in dev must never reach prod's stack, function or registry."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    dev, prod = (overrides(config[name]["deploy"]["parameters"]) for name in ("dev", "prod"))
    assert config["prod"]["deploy"]["parameters"]["confirm_changeset"]
    assert ("true", "false") == (prod["RegistryDeletionProtection"], dev["RegistryDeletionProtection"])
    assert int(dev["LogRetentionInDays"]) < int(prod["LogRetentionInDays"])
    assert dev["InstallationName"] != prod["InstallationName"]
    assert config["dev"]["global"]["parameters"] != config["prod"]["global"]["parameters"]


def test_the_application_is_the_project(template: Template) -> None:
    """The Serverless Application Repository shows what is here: its version, its licence, its README."""
    application = template["Metadata"]["AWS::ServerlessRepo::Application"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == application["SemanticVersion"]
    assert project["license"] == application["SpdxLicenseId"]
    assert (ROOT / application["LicenseUrl"]).exists()
    assert (ROOT / application["ReadmeUrl"]).exists()


def test_the_costs_are_calculated_right() -> None:
    """A figure without its arithmetic cannot be checked, and one that contradicts it misleads."""
    costs = OPERATIONS.partition("## Costs")[2].partition("\n## ")[0]
    rows = re.findall(r"\| ([\d.]+(?: [*/+] [\d.]+)+) \| ([\d.]+) \|$", costs, re.MULTILINE)
    assert 30 == len(rows)
    sums = [sum(product(term) for term in arithmetic.split(" + ")) for arithmetic, _ in rows]
    assert [result for _, result in rows] == [f"{each:.2f}" for each in sums]


def product(term: str) -> float:
    """Return `2 * 3 / 4`."""
    first, *rest = re.split(r" ([*/]) ", term)
    result = float(first)
    for sign, factor in zip(rest[::2], rest[1::2], strict=True):
        result = result * float(factor) if sign == "*" else result / float(factor)
    return result


CHANGES = {
    *("CreateRouteTable", "DeleteRouteTable", "AssociateRouteTable", "DisassociateRouteTable"),
    *("ReplaceRouteTableAssociation", "CreateRoute", "ReplaceRoute", "DeleteRoute", "CreateSubnet"),
    *("AssociateVpcCidrBlock", "DisassociateVpcCidrBlock", "CreateTags", "DeleteTags", "ModifyVpcAttribute"),
    *("AcceptVpcPeeringConnection", "RejectVpcPeeringConnection", "DeleteVpcPeeringConnection"),
    "ModifyVpcPeeringConnectionOptions",
}
"""What EC2 does that a peering may have to follow."""


@pytest.mark.parametrize("path", ["template.yaml", "accepter/role.yaml"])
def test_changes_of_ec2_wake_maintenance(load: Callable[[str], Template], path: str) -> None:
    """Here and in other accounts the same changes count, but not what failed."""
    pattern = load(path)["Resources"]["Changes"]["Properties"]["EventPattern"]
    names = [name for each in pattern["detail"]["$or"] for name in each["eventName"]]
    assert sorted(CHANGES) == sorted(names)
    assert [{"exists": False}] == pattern["detail"]["errorCode"]


def test_off_is_off(template: Template) -> None:
    """With MaintenanceMode Off nothing starts the function but requests."""
    resources = template["Resources"]
    switch = {"Fn::If": ["Maintains", "ENABLED", "DISABLED"]}
    assert [switch] * 3 == [resources[name]["Properties"]["State"] for name in ("Sweep", "Changes", "ForwardedChanges")]
    assert {"Fn::If": ["Maintains", True, False]} == resources["MaintenanceWorker"]["Properties"]["Enabled"]


def test_the_queue_waits_as_the_function_counts(template: Template) -> None:
    """A message that is dropped as a double must be covered by one that nobody has taken yet.

    Lambda demands that what is taken stays hidden as long as the function may run; where that dies its line waits.
    """
    resources = template["Resources"]
    queue = resources["MaintenanceQueue"]["Properties"]
    assert BUCKET_SECONDS <= queue["DelaySeconds"]
    assert 0 <= queue["VisibilityTimeout"] - resources["PeeringFunction"]["Properties"]["Timeout"] <= AGAIN_SECONDS
    assert BATCH == resources["MaintenanceWorker"]["Properties"]["BatchSize"]


def test_the_sweep_is_not_trusted_by_other_accounts(template: Template) -> None:
    """Roles below the function's path are trusted everywhere: that of the schedule must not be one."""
    assert "Path" not in template["Resources"]["SweepRole"]["Properties"]


def test_the_costs_count_what_the_template_makes(template: Template, emitted: set[Metric]) -> None:
    """Alarms and metrics are paid for each: one more changes the sum."""
    costs = OPERATIONS.partition("## Costs")[2].partition("\n## ")[0]
    own = [metric for metric in emitted if metric[0] == "VpcPeering"]
    assert f"| {len(own)} * 0.30 |" in costs
    assert f"| {len(alarms(template))} * 0.10 |" in costs
