"""From what CloudFormation sends to properties: every error of an event is found at once, before any AWS call."""

from collections.abc import Mapping
from copy import deepcopy
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError
from pydantic.alias_generators import to_pascal
from pydantic_core import ErrorDetails

from handler.contradictions import Problem, contradictions
from handler.errors import FINDINGS_LIMIT, several
from handler.properties import Home, Model, Properties, Routes, Tag

CLOUDFORMATION_KEYS: Final = frozenset({"ServiceToken", "ServiceTimeout"})
"""Keys among the properties that are CloudFormation's, not ours."""

UNKNOWN: Final = "extra_forbidden"
"""Pydantic's type of the error of an unknown key."""


def parse(raw: Mapping[str, Any], home: Home) -> Properties:
    """Parse the properties of a Create or an Update.

    Raises:
        InvalidRequest: with every problem, in the order of the properties, as far as its limit goes; `__cause__` has
            all of them.

    """
    properties, problems = _validate(raw)
    wrong = {problem.name.split(".")[0].split("[")[0] for problem in problems}
    problems += [problem for problem in contradictions(properties, raw, home) if not problem.rests_on & wrong]
    if problems:
        failure = several([problem.finding for problem in problems])
        failure.limit = FINDINGS_LIMIT
        raise failure from ValueError("; ".join(map(str, problems)))
    return properties


def salvage(raw: Mapping[str, Any], home: Home) -> Properties:
    """Parse the properties of a Delete, or the old ones of an Update: what is wrong in them is left out.

    CloudFormation may send what an earlier version accepted, and sends a Delete for a Create that was refused.
    """
    properties, _ = _validate(raw)
    unknown = [name for name in ("region", "peer_region") if getattr(properties, name) not in home.regions]
    return properties.model_copy(update=dict.fromkeys(unknown))


def _validate(raw: Mapping[str, Any]) -> tuple[Properties, list[Problem]]:
    kept = {key: value for key, value in raw.items() if key not in CLOUDFORMATION_KEYS}
    problems: list[Problem] = []
    while True:
        try:
            return Properties.model_validate(kept), problems
        except ValidationError as invalid:
            # What one round leaves out, an unknown key of a tag say, may have hidden another error.
            errors = invalid.errors(include_url=False)
            problems += (_problem(error) for error in errors if not _follows(error, errors))
            kept = _without(kept, errors)


def _follows(error: ErrorDetails, errors: list[ErrorDetails]) -> bool:
    """Tell whether a key is missing only since it is there in other letters."""
    there = {(*other["loc"][:-1], str(other["loc"][-1]).lower()) for other in errors if other["type"] == UNKNOWN}
    return error["type"] == "missing" and (*error["loc"][:-1], str(error["loc"][-1]).lower()) in there


def _without(raw: Mapping[str, Any], errors: list[ErrorDetails]) -> dict[str, Any]:
    """Leave out each unknown key, and each property with a wrong value whole: half a rule would be another rule."""
    kept: dict[Any, Any] = deepcopy(dict(raw))
    for *parents, key in (error["loc"] for error in errors if error["type"] == UNKNOWN):
        holder: Any = kept
        for part in parents:
            holder = holder[part]
        holder.pop(key)
    for name in {error["loc"][0] for error in errors if error["type"] != UNKNOWN}:
        kept.pop(name)
    return kept


def _problem(error: ErrorDetails) -> Problem:
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).removeprefix(".")
    if error["type"] == UNKNOWN:
        return _unknown(name, error["loc"])
    tags = "Tags" in name.split(".")[-1]
    known = {
        "string_type": "must be a string",
        "list_type": f"must be a list; write {'[{Key: ..., Value: ...}]' if tags else '[...]'}",
        "model_type": f"must be an object; write {'{Key: ..., Value: ...}' if tags else '{AllRouteTables: true}'}",
        "missing": "is missing",
    }
    return Problem(name, known.get(error["type"], error["msg"]))


def _unknown(name: str, loc: tuple[int | str, ...]) -> Problem:
    *parents, key = map(str, loc)
    if loc == ("AssumeRoleRegion",):
        text = "is of the native type alone; leave it out: a role is assumed wherever it is needed"
        return Problem(name, text)
    model: type[Model] = Properties
    if parents:
        model = Routes if parents[-1].endswith("Routes") else Tag
    names = [to_pascal(field) for field in model.model_fields]
    lower = {name.lower(): name for name in names}
    near = get_close_matches(key.lower(), lower, n=1)
    if near:
        return Problem(name, f"is unknown; did you mean {lower[near[0]]}?")
    return Problem(name, "is unknown", known=", ".join(names))
