"""EC2's filters and paging, as its reference has them: any value of a filter, every filter, `*` and `?`."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from moto.ec2.exceptions import EC2ClientError, FilterNotImplementedError

T = TypeVar("T")
Values = Callable[[T, str], Iterable[str]]

MAX_VALUES = 200


def _pattern(value: str) -> re.Pattern[str]:
    escaped = re.escape(value).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.DOTALL)


def _passes(values: Iterable[str], wanted: Sequence[str]) -> bool:
    patterns = [_pattern(value) for value in wanted]
    return any(pattern.fullmatch(value) for value in values for pattern in patterns)


def select(items: Iterable[T], filters: Mapping[str, Sequence[str]], values: Values[T]) -> list[T]:
    """Keep the items that pass every filter; `values(item, filter name)` yields what the filter looks at.

    Raises EC2's FilterLimitExceeded beyond 200 values in a call.
    """
    if sum(map(len, filters.values())) > MAX_VALUES:
        raise EC2ClientError(
            "FilterLimitExceeded", f"The maximum number of filter values specified on a single call is {MAX_VALUES}"
        )
    return [item for item in items if all(_passes(values(item, name), wanted) for name, wanted in filters.items())]


def unknown(name: str) -> EC2ClientError:
    """EC2's answer to a filter that it does not have."""
    return EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")


def along(item: Mapping[str, Any], path: Sequence[str]) -> Iterable[str]:
    """Every value at a path of member names through an answer; lists fan out, booleans are spelled as EC2 does."""
    found: list[Any] = [item]
    for name in path:
        found = [value for parent in found if (value := parent.get(name)) is not None]
        found = [member for value in found for member in (value if isinstance(value, list) else [value])]
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in found]


def tag_values(tags: Mapping[str, str], name: str) -> Iterable[str] | None:
    """Return what the filters `tag:KEY` and `tag-key` look at; None: it is another filter."""
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return [tags[key]] if key in tags else []
    return list(tags) if name == "tag-key" else None


def moto_values(item: Any, name: str) -> Iterable[str]:  # noqa: ANN401 - any of moto's resources
    """Return what a filter looks at in one of moto's own resources."""
    tags = tag_values(item.ec2_backend.tags.get(item.id, {}), name)
    if tags is not None:
        return tags
    try:
        value = item.get_filter_value(name)
    except FilterNotImplementedError:
        raise unknown(name) from None
    if isinstance(value, bool):
        return [str(value).lower()]
    return [value] if isinstance(value, str) else [str(member) for member in value or []]


def page(
    items: Sequence[T], size: int | None, token: str | None, default: int, sizes: range
) -> tuple[list[T], str | None]:
    """One page of at most `size` items, which must be among `sizes`, and the token of the next."""
    if size is not None and size not in sizes:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ( {size} ) for parameter maxResults is invalid. "
            f"Expecting a value between {sizes[0]} and {sizes[-1]}.",
        )
    start = _offset(token) if token else 0
    end = start + (size or default)
    return list(items[start:end]), urlsafe_b64encode(f"at {end}".encode()).decode() if end < len(items) else None


def _offset(token: str) -> int:
    try:
        return int(urlsafe_b64decode(token).decode().removeprefix("at "))
    except ValueError:
        raise EC2ClientError("InvalidPaginationToken", "The provided pagination token is invalid.") from None
