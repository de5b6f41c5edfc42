"""What CloudFormation asks: its event, and what follows from it alone."""

import os
import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qs

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationInfo
from pydantic.alias_generators import to_pascal
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url


def _alias(field: str) -> str:
    return "ResponseURL" if field == "response_url" else to_pascal(field)


DOMAINS: Final = r"amazonaws\.com(\.cn)?|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov"
"""One a partition."""

SIGNED: Final = "%Y%m%dT%H%M%SZ"
SERVICE_TIMEOUT: Final = 3600.0
"""Seconds that CloudFormation waits for a response, unless the template says less."""


def _response_url(url: str, info: ValidationInfo) -> str:
    """Refuse what is not a ResponseURL: whoever may invoke the function must not have it call where they like.

    It is read as it will be sent: other readers see another host where there is a backslash.

    Raises:
        ValueError: without the URL, which is a secret.

    """
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise ValueError("it is not a URL") from None
    host = parts.host or ""
    if parts.scheme != "https" or parts.auth or not host:
        raise ValueError(f"{parts.scheme}://{host} is not a ResponseURL of CloudFormation")
    stack_id = info.data.get("stack_id")
    if host in os.environ.get("ALLOWED_RESPONSE_HOSTS", "").split(","):
        return url
    if stack_id and parts.port in {None, 443} and re.fullmatch(_response_host(stack_id.split(":")[3]), host):
        return url
    raise ValueError(f"{parts.netloc} is not a ResponseURL of CloudFormation for that stack")


def _response_host(region: str) -> str:
    """Return the pattern of CloudFormation's bucket for responses, one a Region."""
    bucket = f"cloudformation-custom-resource-response-{region.replace('-', '')}"
    return rf"{bucket}\.s3([.-]{region})?\.({DOMAINS})"


class Request(BaseModel):
    """CloudFormation's event. Values of the properties arrive as strings, lists and objects."""

    model_config = ConfigDict(alias_generator=_alias, frozen=True, hide_input_in_errors=True)

    request_type: Literal["Create", "Update", "Delete"]
    service_token: Annotated[str, StringConstraints(pattern=r"^arn:[\w-]+:\w+:[\w-]+:\d{12}:.+$")]
    stack_id: Annotated[str, StringConstraints(pattern=r"^arn:[\w-]+:cloudformation:[\w-]+:\d{12}:stack/.+$")]
    response_url: Annotated[str, AfterValidator(_response_url)]
    request_id: str
    logical_resource_id: str
    physical_resource_id: str | None = None
    resource_properties: dict[str, Any] = {}
    old_resource_properties: dict[str, Any] = {}

    @property
    def account(self) -> str:
        """The function's account; the emulators of Lambda put an invented one into the context's ARN."""
        return self.service_token.split(":")[4]

    @property
    def sent(self) -> float | None:
        """When CloudFormation signed the ResponseURL, in seconds since 1970; None where that does not say."""
        signed = parse_qs(parse_url(self.response_url).query or "").get("X-Amz-Date", [""])[0]
        try:
            return datetime.strptime(signed, SIGNED).replace(tzinfo=UTC).timestamp()
        except ValueError:
            return None

    def time_left(self, now: float) -> float:
        """Return the seconds for which CloudFormation still waits for the response, where the template says how long.

        It waits from the time of its sending: the event may have been in Lambda's queue. Unless the template says less
        than the hour that is its default, no event is kept there for as long (`MaximumEventAgeInSeconds`).
        """
        given = str(self.resource_properties.get("ServiceTimeout", ""))
        if not given.isdecimal():
            return SERVICE_TIMEOUT
        return float(given) - max(0.0, now - (self.sent or now))

    @property
    def connection_id(self) -> str | None:
        """The physical id, where it is a connection's."""
        known = self.physical_resource_id or ""
        return known if known.startswith("pcx-") else None

    @property
    def deterministic_id(self) -> str:
        """The physical id while no connection is known: the same at every retry, and never a connection's."""
        name = f"{self.stack_id}/{self.logical_resource_id}"
        return f"vpc-peering-{sha256(name.encode()).hexdigest()[:17]}"
