"""IAM policies, really evaluated: actions, resources and conditions, as far as this project's policies use them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

ARN_PARTS = 6

Context = Mapping[str, str | Sequence[str] | None]
"""Condition keys in lower case, with what the request has of them; None and what is missing: nothing."""

Policy = Mapping[str, Any]


def listed(value: object) -> list[Any]:
    """Return what a policy may give as one or as several."""
    return value if isinstance(value, list) else [value]


def _arn_like(value: str, pattern: str) -> bool:
    parts, patterns = value.split(":", ARN_PARTS - 1), pattern.split(":", ARN_PARTS - 1)
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


POSITIVE: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringLike": fnmatchcase,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
}
SETS: dict[str, Callable[[Iterable[bool]], bool]] = {"ForAllValues": all, "ForAnyValue": any}
NEGATED: dict[str, Callable[[str, str], bool]] = {"StringNotEquals": str.__eq__, "StringNotLike": fnmatchcase}


def allowing(policy: Policy, action: str, resource: str, context: Context) -> Iterator[str]:
    """Yield the ids of the statements that allow an action on a resource; none where one denies it."""
    applying = [
        statement
        for statement in listed(policy["Statement"])
        if any(fnmatchcase(action.lower(), pattern.lower()) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
        and holds(statement.get("Condition", {}), context)
    ]
    if all(statement["Effect"] == "Allow" for statement in applying):
        yield from (statement.get("Sid", "") for statement in applying)


def holds(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Tell whether all conditions hold.

    Raises:
        NotImplementedError: for an operator that is not evaluated here.

    """
    return all(
        _holds(operator, context.get(key.lower()), listed(wanted))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _holds(operator: str, value: str | Sequence[str] | None, wanted: list[str]) -> bool:
    if operator == "Null":
        return ("true" if value is None else "false") in wanted
    qualifier, _, name = operator.rpartition(":")
    compare, negated = {**POSITIVE, **NEGATED}.get(name), name in NEGATED
    if compare is None or qualifier not in {"", *SETS} or (qualifier == "" and isinstance(value, list)):
        raise NotImplementedError(f"the condition operator {operator} is not evaluated here")
    if value is None:
        return (negated and qualifier == "") or qualifier == "ForAllValues"
    return SETS.get(qualifier, all)(
        any(compare(each, pattern) for pattern in wanted) is not negated for each in listed(value)
    )
