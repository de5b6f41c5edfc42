"""VPCs and subnets: canonical CIDR blocks, EC2's filters, pages."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.managed_prefixes import ManagedPrefixList
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses.subnets import Subnets
from moto.ec2.responses.vpcs import VPCs

from local.strict.api import StrictApi
from local.strict.connections import Place, backend_of
from local.strict.filters import moto_values, select, tag_values, unknown


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


def prefix_list_of(place: Place, prefix_list_id: str) -> ManagedPrefixList:
    """Moto's prefix list of this account and Region. Raises InvalidPrefixListID.NotFound."""
    found: ManagedPrefixList | None = backend_of(place).managed_prefix_lists.get(prefix_list_id)
    if found is None:
        raise EC2ClientError("InvalidPrefixListID.NotFound", f"The prefix list ID '{prefix_list_id}' does not exist")
    return found


def _prefix_list(found: ManagedPrefixList) -> dict[str, Any]:
    """Show a prefix list; AWS's own have neither a state nor a maximum."""
    own = {} if found.owner_id == "AWS" else {"State": found.state, "MaxEntries": int(found.max_entries or 0)}
    return own | {
        "PrefixListId": found.id,
        "PrefixListName": found.prefix_list_name,
        "AddressFamily": found.address_family,
        "OwnerId": found.owner_id,
        "Tags": [{"Key": key, "Value": value} for key, value in found.ec2_backend.tags.get(found.id, {}).items()],
    }


def _of_prefix_list(shown: Mapping[str, Any], name: str) -> Iterable[str]:
    tags = tag_values({tag["Key"]: tag["Value"] for tag in shown["Tags"]}, name)
    known = {"owner-id": "OwnerId", "prefix-list-id": "PrefixListId", "prefix-list-name": "PrefixListName"}
    if tags is None and name not in known:
        raise unknown(name)
    return [shown[known[name]]] if tags is None else tags


class _ShownSubnet:
    """A subnet in answers: moto shows the state of an IPv6 block within another state."""

    def __init__(self, subnet: Subnet) -> None:
        self._subnet = subnet

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any of moto's attributes
        return getattr(self._subnet, name)

    @property
    def ipv6_cidr_block_association_set(self) -> list[dict[str, Any]]:
        shown = self._subnet.ipv6_cidr_block_association_set
        return [{**block, "ipv6CidrBlockState": {"State": "associated"}} for block in shown]


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
        return self._network_answer("Subnets", list(map(_ShownSubnet, found)))

    def describe_managed_prefix_lists(self) -> ActionResult:
        """Filter, and answer in pages."""
        ids: list[str] = self._get_param("PrefixListIds", [])
        found = [prefix_list_of(self.place, each) for each in ids] or self.ec2_backend.describe_managed_prefix_lists()
        items, following = self.paged(select([_prefix_list(each) for each in found], self.filters, _of_prefix_list))
        return ActionResult({"PrefixLists": items, "NextToken": following})

    def _network_answer(self, member: str, found: list[Any]) -> ActionResult:
        items, following = self.paged(select(found, self.filters, moto_values))
        return ActionResult({member: items, "NextToken": following})

    def _canonicalise(self, parameter: str) -> None:
        if cidr := self._get_param(parameter):
            self.params[parameter] = canonical(cidr, parameter)
