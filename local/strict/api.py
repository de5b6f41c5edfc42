"""What every corrected operation starts from."""

from collections.abc import Sequence
from typing import Any, TypeVar

from moto.core.utils import get_service_model
from moto.ec2.responses._base_response import EC2BaseResponse

from local.strict.connections import Place, State
from local.strict.filters import page

T = TypeVar("T")


class StrictApi(EC2BaseResponse):
    """One EC2 request, its parameters parsed by botocore's model (`_get_param`)."""

    state: State

    @property
    def place(self) -> Place:
        """Account and Region of the caller."""
        return self.current_account, self.region

    @property
    def filters(self) -> dict[str, list[str]]:
        """Filter names and values."""
        filters: dict[str, Any] = self._filters_from_querystring()
        return filters

    def paged(self, items: Sequence[T]) -> tuple[list[T], str | None]:
        """Return the page that was asked for, and the token of the next one; how large it may be, EC2's model says."""
        operation = get_service_model("ec2").operation_model(self._get_action())
        limits = operation.input_shape.members["MaxResults"].metadata
        size, token = self._get_int_param("MaxResults"), self._get_param("NextToken")
        sizes = range(limits["min"], limits["max"] + 1)
        return page(items, size, token, self.state.settings.page_size, sizes)

    @property
    def own_tags(self) -> dict[str, dict[str, str]]:
        """Tags by resource id: of this account and Region."""
        tags: dict[str, dict[str, str]] = self.ec2_backend.tags
        return tags
