"""What CloudFormation asks: its event, and what follows from it alone."""

import os
import re
from hashlib import sha256
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_pascal


def _alias(field: str) -> str:
    return "ResponseURL" if field == "response_url" else to_pascal(field)


RESPONSE_HOST: Final = re.compile(
    r"cloudformation-custom-resource-response-[a-z0-9]+"
    r"\.s3([.-][a-z0-9-]+)*"
    r"\.(amazonaws\.com(\.cn)?|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)"
)
"""CloudFormation's bucket for responses, one a Region, in the domain of each partition."""

SERVICE_TIMEOUT: Final = 3600.0
"""Seconds that CloudFormation waits for a response, unless the template says less."""


def _response_url(url: str) -> str:
    """Refuse what is no ResponseURL: whoever may invoke the function must not have it call where they like.

    Raises:
        ValueError: without the URL, which is a secret.

    """
    parts = urlsplit(url)
    allowed = os.environ.get("ALLOWED_RESPONSE_HOSTS", "").split(",")
    host = parts.hostname or ""
    if parts.scheme == "https" and (RESPONSE_HOST.fullmatch(host) or host in allowed):
        return url
    raise ValueError(f"{parts.scheme}://{host} is no ResponseURL of CloudFormation")


class Request(BaseModel):
    """CloudFormation's event. Values of the properties arrive as strings, lists and objects."""

    model_config = ConfigDict(alias_generator=_alias, frozen=True, hide_input_in_errors=True)

    request_type: Literal["Create", "Update", "Delete"]
    service_token: Annotated[str, StringConstraints(pattern=r"^arn:[\w-]+:\w+:[\w-]+:\d{12}:.+$")]
    response_url: Annotated[str, AfterValidator(_response_url)]
    stack_id: Annotated[str, StringConstraints(pattern=r"^arn:[\w-]+:cloudformation:[\w-]+:\d{12}:stack/.+$")]
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
    def service_timeout(self) -> float:
        """The seconds that CloudFormation waits for the response."""
        given = str(self.resource_properties.get("ServiceTimeout", ""))
        return float(given) if given.isdecimal() else SERVICE_TIMEOUT

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
