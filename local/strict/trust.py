"""Trust policies: principals, and the conditions that guard a role across accounts."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from local.strict.policy import Context, Policy, holds, listed


@dataclass(frozen=True)
class Caller:
    """Who calls: `arn` is what messages name, `principal_arn` what `aws:PrincipalArn` is."""

    account: str
    arn: str
    principal_arn: str


def allows(policy: Policy, caller: Caller, context: Context) -> bool:
    """Whether the trust policy lets the caller assume the role.

    Raises NotImplementedError for an operator that is not evaluated here.
    """
    effects = {
        statement["Effect"]
        for statement in listed(policy["Statement"])
        if _applies(statement, caller) and holds(statement.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def _applies(statement: Mapping[str, Any], caller: Caller) -> bool:
    if not any(fnmatchcase("sts:AssumeRole", action) for action in listed(statement["Action"])):
        return False
    principal = statement["Principal"]
    named = listed(principal) if isinstance(principal, str) else listed(principal.get("AWS", []))
    root = f"arn:aws:iam::{caller.account}:root"
    return any(name in ("*", caller.account, root, caller.principal_arn, caller.arn) for name in named)
