"""Trust policies, really evaluated: principals and the conditions that guard a cross-account role."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

ARN_PARTS = 6


@dataclass(frozen=True)
class Caller:
    """Who calls: `arn` is what messages name, `principal_arn` what `aws:PrincipalArn` is."""

    account: str
    arn: str
    principal_arn: str


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _arn_like(value: str, pattern: str) -> bool:
    parts, patterns = value.split(":", ARN_PARTS - 1), pattern.split(":", ARN_PARTS - 1)
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringLike": fnmatchcase,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
}


def allows(policy: Mapping[str, Any], caller: Caller, context: Mapping[str, str | None]) -> bool:
    """Whether the trust policy lets the caller assume the role.

    `context` holds the condition keys in lower case; None: not in the request.
    Raises NotImplementedError for an operator that is not evaluated here.
    """
    effects = {
        statement["Effect"]
        for statement in _listed(policy["Statement"])
        if _applies(statement, caller) and _holds(statement.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def _applies(statement: Mapping[str, Any], caller: Caller) -> bool:
    if not any(fnmatchcase("sts:AssumeRole", action) for action in _listed(statement["Action"])):
        return False
    principal = statement["Principal"]
    named = _listed(principal) if isinstance(principal, str) else _listed(principal.get("AWS", []))
    root = f"arn:aws:iam::{caller.account}:root"
    return any(name in ("*", caller.account, root, caller.principal_arn, caller.arn) for name in named)


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str | None]) -> bool:
    for operator, keys in conditions.items():
        if operator not in OPERATORS:
            raise NotImplementedError(f"the condition operator {operator} of a trust policy is not evaluated here")
        for key, wanted in keys.items():
            value = context.get(key.lower())
            if value is None or not any(OPERATORS[operator](value, pattern) for pattern in _listed(wanted)):
                return False
    return True
