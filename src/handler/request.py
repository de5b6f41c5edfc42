"""What CloudFormation asks: its event, and what follows from it alone."""

from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_pascal


def _alias(field: str) -> str:
    return "ResponseURL" if field == "response_url" else to_pascal(field)


class Request(BaseModel):
    """CloudFormation's event. Values of the properties arrive as strings, lists and objects."""

    model_config = ConfigDict(alias_generator=_alias, frozen=True, hide_input_in_errors=True)

    request_type: Literal["Create", "Update", "Delete"]
    service_token: Annotated[str, StringConstraints(pattern=r"^arn:[\w-]+:\w+:[\w-]+:\d{12}:.+$")]
    response_url: Annotated[str, StringConstraints(pattern="^https://")]
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
    def connection_id(self) -> str | None:
        """The physical id, where it is a connection's."""
        known = self.physical_resource_id or ""
        return known if known.startswith("pcx-") else None

    @property
    def deterministic_id(self) -> str:
        """The physical id while no connection is known: the same at every retry, and never a connection's."""
        name = f"{self.stack_id}/{self.logical_resource_id}"
        return f"vpc-peering-{sha256(name.encode()).hexdigest()[:17]}"
