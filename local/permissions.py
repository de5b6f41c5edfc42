"""`python -m local.permissions`: docs/security.md from the templates, what each statement of IAM allows and why.

Actions, resources and conditions are the templates'. The reasons stand below; a test compares their names with them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "docs/security.md"
TEMPLATES: Final = {"The function's role": "template.yaml", "The role in another account": "accepter/role.yaml"}

WHY: Final = {
    "Read": "What is there is compared with what is wanted. EC2 knows no condition for reading.",
    "JoinOwnVpcs": "A connection is requested from a VPC of this account, or accepted into one.",
    "RequestFromOwnVpcs": "A connection is requested from a VPC of this account.",
    "RequestOnlyWithOwnerTag": "A connection without the owner tag could never be told from somebody else's again.",
    "WriteOwnerTagOnlyAtCreation": "The owner tag comes with the request, and not on what is there already.",
    "ChangeOnlyWhatCarriesOwnerTag": "Tags and options of our connections, as their requester.",
    "DeleteOnlyWhatItRequested": "Neither somebody else's connection nor one that was adopted can be deleted.",
    "ReleaseOnlyWhatItAdopted": "An adopted connection is left without our owner tags.",
    "AdoptAsRequester": "Claims a connection that somebody else has requested here, marked as such. Off by default.",
    "AdoptAsAccepter": "The same of one that this account has accepted.",
    "AcceptIntoOwnVpcs": "A request is accepted into a VPC of this account.",
    "AcceptAsAccepter": "A request is accepted, with this account at its accepting end.",
    "AcceptFromRequester": "A request is accepted, with the requester's account at its other end.",
    "SetOptionsOfTheOtherSide": "The accepter's side of our connections shows no owner tag: its ends are the limit.",
    "TagTheOtherSideNeverAsOwner": "The same for tags, which are never owner tags.",
    "SetOptionsAsAccepter": "Options of connections with the requester's account.",
    "TagAsAccepterNeverAsOwner": "Tags of connections with the requester's account, never owner tags.",
    "SetOptionsAsRequester": "A connection that was adopted may have been requested from here. Off by default.",
    "TagAsRequesterNeverAsOwner": "The same for tags, which are never owner tags.",
    "UntagNeverTheOwner": "Tags that a stack gives no more. EC2 knows no condition for the ends of a connection here.",
    "Route": "Routes to the connection. IAM cannot limit their destination or target: the code does.",
    "TakeRouteOff": "What was made can be taken away without anybody's consent, of a VPC that is listed no more too.",
    "ReplaceRoute": "Takes a route over without a gap: `OnConflict: Replace`, and replacements. Off by default.",
    "ActInOtherAccounts": "The roles of the other accounts; each of them decides whom it trusts.",
    "ReadExternalIds": "External ids that stacks give as `{{resolve:ssm-secure:...}}`.",
    "ReadSecretExternalIds": "External ids that stacks give as `{{resolve:secretsmanager:...}}`.",
    "Remember": "The registry's items, one a resource.",
    "FindMaintained": "A sweep lists the resources; an event finds those that it is about.",
    "RememberExternalIds": "The external id of a role, for maintenance: CloudFormation sends none then.",
    "Enqueue": "One message a resource that is to be looked at.",
    "TakeMessages": "Lambda takes them for the function, which has one that failed come again soon.",
    "TellFindings": "What maintenance has found, if there is a topic.",
    "StartSweep": "EventBridge Scheduler invokes the function, and nothing else.",
    "TellFailedSweeps": "EventBridge Scheduler puts what it could not start into the queue of failed events.",
    "EncryptFailedSweeps": "The same, where the queue is encrypted with a key of one's own.",
    "Forward": "Changes of EC2 go to the function's event bus, and nowhere else.",
    "Log": "The function's own log group.",
    "Trace": "Lambda's active tracing. X-Ray knows no resources.",
    "SendFailedEvents": "Lambda puts events that no attempt could serve into their queue, as this role.",
    "EncryptFailedEvents": "The same, where the queue is encrypted with a key of one's own.",
    "SeeNetworkInterfaces": "Lambda puts the function into a VPC, as this role. EC2 knows no condition for reading.",
    "ManageNetworkInterfaces": "The same.",
    "LeaveNetworkInterfacesToLambda": "Denies both to the function's own code, which has the same role.",
    "DecryptRegistryAndEnvironment": "DynamoDB and Lambda use that key in the name of the function's role.",
}

BY_AWS: Final = (
    *("Log", "Trace", "SendFailedEvents", "EncryptFailedEvents", "DecryptRegistryAndEnvironment"),
    *("SeeNetworkInterfaces", "ManageNetworkInterfaces", "LeaveNetworkInterfacesToLambda"),
    *("TakeMessages", "StartSweep", "TellFailedSweeps", "EncryptFailedSweeps", "Forward"),
)
"""Statements that AWS itself needs, around the function's own code: no call of that shows their use."""

Template = dict[str, Any]
Statement = dict[str, Any]


def read(name: str) -> Template:
    """Read a template; a short form of CloudFormation becomes its text, or the texts in it."""

    class Loader(yaml.SafeLoader):
        """Reads CloudFormation's short forms."""

    def text(loader: Loader, _tag: str, node: yaml.Node) -> Any:  # noqa: ANN401  # YAML's
        if isinstance(node, yaml.ScalarNode):
            return loader.construct_scalar(node)
        return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else {}

    Loader.add_multi_constructor("!", text)
    return dict(yaml.load((ROOT / name).read_text(encoding="utf-8"), Loader))  # noqa: S506 - it is a SafeLoader


def statements(name: str) -> Iterator[tuple[str, Statement]]:
    """Yield the statements of a template with the condition under which they are there, or with nothing."""
    for resource in read(name)["Resources"].values():
        properties = resource["Properties"]
        for policy in properties.get("Policies", [properties] if "PolicyDocument" in properties else []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield resource.get("Condition", ""), statement


def document() -> str:
    """Return the whole document."""
    return "\n".join([*_head(), *(line for title, name in TEMPLATES.items() for line in _table(title, name))]) + "\n"


def _head() -> Iterator[str]:
    yield from ("# Permissions", "", "<!-- Generated from the templates: make docs -->", "")
    yield "What the roles may do, and why. `tests/faults/test_least_privilege.py` plays whole lives with these policies"
    yield "enforced, conditions included: no call is refused, and without any action of any statement some would be."
    yield "Not shown so, since AWS itself makes those calls: " + ", ".join(f"`{sid}`" for sid in BY_AWS) + "."
    yield "Threats and controls: [SECURITY.md](../SECURITY.md)."


def _table(title: str, name: str) -> Iterator[str]:
    yield from ("", f"## {title}", "", f"In [{name}](../{name}).", "")
    yield "| statement | actions | on | limited by | why |"
    yield "| --- | --- | --- | --- | --- |"
    for condition, statement in statements(name):
        sid = f"`{statement['Sid']}`" + (f", if `{condition}`" if condition else "")
        actions = ", ".join(f"`{action}`" for action in _listed(statement["Action"]))
        on = ", ".join(f"`{str(resource).rpartition(':')[2]}`" for resource in _listed(statement["Resource"]))
        yield f"| {sid} | {actions} | {on} | {_limits(statement)} | {WHY[statement['Sid']]} |"


def _limits(statement: Statement) -> str:
    keys = []
    for given in statement.get("Condition", {}).values():
        condition, asked = ("", given) if isinstance(given, dict) else (f" (if `{given[0]}`)", given[1])
        keys += [f"`{key}`{condition}" for key in asked]
    return ", ".join(dict.fromkeys(keys))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    print(document(), end="")
