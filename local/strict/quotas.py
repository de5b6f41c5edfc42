"""Service Quotas as far as it tells of EC2's quotas."""

from collections.abc import Mapping
from typing import Any

from local.strict.settings import Settings

TARGET = "ServiceQuotasV20190624."
"""What comes before the operation in the header of a request."""
QUOTAS = {"L-93826ACB": "routes_per_table", "L-7E9ECCDB": "active_peerings_per_vpc"}
"""Quota codes of the service `vpc`, and the settings that they are."""
DEFAULTS = Settings()


class QuotaError(Exception):
    """What Service Quotas refuses."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def answer(settings: Settings, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Answer GetServiceQuota, which knows applied quotas only, or GetAWSDefaultServiceQuota. Raises QuotaError."""
    if operation not in {"GetServiceQuota", "GetAWSDefaultServiceQuota"}:
        raise NotImplementedError(f"{operation} of Service Quotas is not served here")
    applied = operation == "GetServiceQuota"
    name = QUOTAS.get(params.get("QuotaCode", "")) if params.get("ServiceCode") == "vpc" else None
    if name is None or (applied and not settings.applied_quotas):
        raise QuotaError("NoSuchResourceException", "The specified resource does not exist.")
    value = getattr(DEFAULTS if settings.applied_quotas and not applied else settings, name)
    return {"Quota": {**params, "QuotaName": name, "Value": float(value), "Adjustable": True}}
