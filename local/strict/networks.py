"""VPCs and subnets: canonical CIDR blocks, EC2's filters, pages."""

from ipaddress import ip_network
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.subnets import Subnets
from moto.ec2.responses.vpcs import VPCs

from local.strict.api import StrictApi
from local.strict.filters import moto_values, select


def canonical(cidr: str, parameter: str) -> str:
    """Return the network that EC2 makes of it: 100.68.0.18/18 is 100.68.0.0/18. Raises InvalidParameterValue."""
    try:
        address, _, prefix = cidr.partition("/")
        return str(ip_network((address, int(prefix)), strict=False))
    except ValueError:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({cidr}) for parameter {parameter} is invalid. This is not a valid CIDR block.",
        ) from None


class NetworkApi(StrictApi, Subnets, VPCs):
    """What the peering needs of VPCs and subnets."""

    def create_vpc(self) -> ActionResult:
        """Store the CIDR block in canonical form."""
        self._canonicalise("CidrBlock")
        return super().create_vpc()

    def associate_vpc_cidr_block(self) -> ActionResult:
        """Store a secondary block in canonical form."""
        self._canonicalise("CidrBlock")
        return super().associate_vpc_cidr_block()

    def create_subnet(self) -> ActionResult:
        """Store a subnet's block in canonical form."""
        self._canonicalise("CidrBlock")
        return super().create_subnet()

    def describe_vpcs(self) -> ActionResult:
        """Filter, and answer in pages."""
        found = self.ec2_backend.describe_vpcs(vpc_ids=self._get_param("VpcIds", []))
        return self._network_answer("Vpcs", found)

    def describe_subnets(self) -> ActionResult:
        """Filter, and answer in pages."""
        found = self.ec2_backend.describe_subnets(self._get_param("SubnetIds"))
        return self._network_answer("Subnets", found)

    def _network_answer(self, member: str, found: list[Any]) -> ActionResult:
        items, following = self.paged(select(found, self.filters, moto_values))
        return ActionResult({member: items, "NextToken": following})

    def _canonicalise(self, parameter: str) -> None:
        if cidr := self._get_param(parameter):
            self.params[parameter] = canonical(cidr, parameter)
