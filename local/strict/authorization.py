"""What a call needs permission for: actions, resources and condition keys, from EC2's service authorization reference.

Only roles are asked for permission: the root of an account, as which people act here, may do everything.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from local.strict.connections import Connection, End, State, backend_of
from local.strict.policy import Context, Policy, allowing
from local.strict.trust import Caller

ROUTES = {"CreateRoute", "ReplaceRoute", "DeleteRoute"}
OF_CONNECTIONS = {
    "AcceptVpcPeeringConnection",
    "DeleteVpcPeeringConnection",
    "ModifyVpcPeeringConnectionOptions",
    "RejectVpcPeeringConnection",
}


NAMED = {
    "dynamodb": ("table/", "TableName"),
    "secretsmanager": ("secret:", "SecretId"),
    "ssm": ("parameter", "Name"),
}
"""What the ARN of a service's resource begins with, and the parameter that names it, by its path at SSM."""


class Asked(NamedTuple):
    """One permission that a call needs."""

    action: str
    resource: str
    context: Context


class Grant(NamedTuple):
    """A permission that was given: to whom, for what, and by which statements."""

    principal_arn: str
    action: str
    resource: str
    statements: frozenset[str]


def caller_of(state: State, account: str, access_key: str) -> Caller:
    """Return who a key belongs to: an assumed role, or what the settings say of an account's own key."""
    session = sts_backends[account]["aws"].get_assumed_role_from_access_key(access_key)
    if session:
        return Caller(account, session.arn, session.role_arn)
    arn = state.settings.principals.get(account, f"arn:aws:iam::{account}:root")
    return Caller(account, arn, arn)


def refused(caller: Caller, key: str, asked: Iterator[Asked], grants: list[Grant]) -> str | None:
    """Return AWS's message where a permission is missing, else note who gave each."""
    if caller.principal_arn.endswith(":root"):
        return None
    policies, session = _policies(caller), _session_policy(caller.account, key)
    for action, resource, context in asked:
        statements = {sid for policy in policies for sid in allowing(policy, action, resource, context)}
        narrowed = session is None or bool([*allowing(session, action, resource, context)])
        if not statements or not narrowed:
            kind = "identity" if narrowed else "session"
            return (
                f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource} because no "
                f"{kind}-based policy allows the {action} action"
            )
        grants.append(Grant(caller.principal_arn, action, resource, frozenset(statements)))
    return None


def _policies(caller: Caller) -> list[Policy]:
    try:
        role = iam_backends[caller.account]["aws"].get_role_by_arn(caller.principal_arn)
    except NotFoundException:
        return []
    documents = [*role.policies.values(), *(each.versions[-1].document for each in role.managed_policies.values())]
    # What moto's CloudFormation has made holds its policies parsed.
    return [json.loads(policy) if isinstance(policy, str) else policy for policy in documents]


def _session_policy(account: str, key: str) -> Policy | None:
    session = sts_backends[account]["aws"].get_assumed_role_from_access_key(key)
    return json.loads(session.policy) if session and session.policy else None


def asked_of(  # noqa: PLR0913, PLR0917  # what a call is made of
    state: State, service: str, operation: str, params: dict[str, Any], account: str, region: str
) -> Iterator[Asked]:
    """Yield what a call needs."""
    if service == "ec2":
        yield from _asked_of_ec2(state, operation, params, account, region)
    elif service == "sns":
        yield Asked(f"sns:{operation}", params["TopicArn"], {})
    elif service == "sqs":
        queue = params["QueueUrl"].rpartition("/")[2]
        yield Asked(f"sqs:{operation.removesuffix('Batch')}", f"arn:aws:sqs:{region}:{account}:{queue}", {})
    elif service in NAMED:
        kind, name = NAMED[service]
        index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
        yield Asked(f"{service}:{operation}", f"arn:aws:{service}:{region}:{account}:{kind}{params[name]}{index}", {})
    elif operation == "AssumeRole":
        owner = {
            "aws:resourceaccount": params["RoleArn"].split(":")[4],
            "aws:resourceorgid": state.settings.organization,
        }
        yield Asked("sts:AssumeRole", params["RoleArn"], owner)
    else:
        yield Asked(f"{service}:{operation}", "*", {})


def _asked_of_ec2(state: State, operation: str, params: dict[str, Any], account: str, region: str) -> Iterator[Asked]:
    action, prefix = f"ec2:{operation}", f"arn:aws:ec2:{region}:{account}"
    if operation == "CreateVpcPeeringConnection":
        ends = _requested(params, account, region)
        given = _given_tags(params)
        yield _of_vpc(action, account, region, params["VpcId"])
        context = {**_ends(*ends), **_request_tags(given)}
        yield Asked(action, f"{prefix}:vpc-peering-connection/*", context)
        if given:
            created = {**context, "ec2:createaction": operation}
            yield Asked("ec2:CreateTags", f"{prefix}:vpc-peering-connection/*", created)
    elif operation in OF_CONNECTIONS:
        connection = state.connections.get(params["VpcPeeringConnectionId"])
        if operation == "AcceptVpcPeeringConnection" and connection:
            yield _of_vpc(action, account, region, connection.accepter.vpc_id)
        yield _of_connection(action, account, region, params["VpcPeeringConnectionId"], connection)
    elif operation in {"CreateTags", "DeleteTags"}:
        given = {tag["Key"]: tag.get("Value", "") for tag in params["Tags"]}
        for resource in params["Resources"]:
            asked = _of_connection(action, account, region, resource, state.connections.get(resource))
            unknown = () if operation == "CreateTags" else ("ec2:acceptervpc", "ec2:requestervpc")
            known = {name: value for name, value in asked.context.items() if name not in unknown}
            yield asked._replace(context={**known, **_request_tags(given)})
    elif operation in ROUTES:
        table = backend_of((account, region)).route_tables.get(params["RouteTableId"])
        vpc = {"ec2:vpc": f"{prefix}:vpc/{table.vpc_id}"} if table else {}
        tags = _resource_tags(account, region, params["RouteTableId"])
        yield Asked(action, f"{prefix}:route-table/{params['RouteTableId']}", {**tags, **vpc})
    else:
        yield Asked(action, "*", {"ec2:region": region})


def _requested(params: dict[str, Any], account: str, region: str) -> tuple[End, End]:
    peer = End(params.get("PeerOwnerId") or account, params.get("PeerRegion") or region, params["PeerVpcId"])
    return End(account, region, params["VpcId"]), peer


def _of_vpc(action: str, account: str, region: str, vpc_id: str) -> Asked:
    context = {**_resource_tags(account, region, vpc_id), "ec2:vpcid": vpc_id}
    return Asked(action, f"arn:aws:ec2:{region}:{account}:vpc/{vpc_id}", context)


def _of_connection(action: str, account: str, region: str, resource: str, connection: Connection | None) -> Asked:
    ends = _ends(connection.requester, connection.accepter) if connection else {}
    arn = f"arn:aws:ec2:{region}:{account}:vpc-peering-connection/{resource}"
    return Asked(action, arn, {**_resource_tags(account, region, resource), **ends})


def _ends(requester: End, accepter: End) -> dict[str, str]:
    return {
        f"ec2:{role}vpc": f"arn:aws:ec2:{end.region}:{end.account}:vpc/{end.vpc_id}"
        for role, end in (("requester", requester), ("accepter", accepter))
    }


def _resource_tags(account: str, region: str, resource: str) -> dict[str, str]:
    tags = backend_of((account, region)).tags.get(resource, {})
    return {f"{service}:resourcetag/{key}".lower(): value for key, value in tags.items() for service in ("aws", "ec2")}


def _given_tags(params: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for spec in params.get("TagSpecifications", []) for tag in spec["Tags"]}


def _request_tags(given: dict[str, str]) -> dict[str, str | list[str]]:
    tags: dict[str, str | list[str]] = {f"aws:requesttag/{key}".lower(): value for key, value in given.items()}
    return tags | ({"aws:tagkeys": sorted(given)} if given else {})
