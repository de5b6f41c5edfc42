"""From the properties to the desired state: all defaults are decided here."""

from handler.model import Desired, DesiredSide, End, Owner, RouteRule
from handler.properties import Home, Properties, Routes, Tag


def desire(properties: Properties, home: Home, owner: Owner, *, present: bool = True) -> Desired:
    """Return the state that the properties ask for.

    `vpc_id` and `peer_vpc_id` must be given; the caller has parsed them, or has nothing to delete.
    """
    end = End(properties.vpc_id or "", properties.account(home), properties.own_region(home))
    peer_end = End(properties.peer_vpc_id or "", properties.peer_account(home), properties.peer_own_region(home))
    peer_tags = properties.tags if properties.peer_tags is None else properties.peer_tags
    return Desired(
        owner=owner,
        requester=DesiredSide(
            end=end,
            tags=_mapping(properties.tags),
            allow_dns=properties.allow_dns_resolution_from_remote_vpc,
            routes=_rule(properties.routes),
        ),
        accepter=DesiredSide(
            end=peer_end,
            managed=properties.manages_accepter,
            tags=_mapping(peer_tags),
            allow_dns=properties.peer_allow_dns_resolution_from_remote_vpc,
            routes=_rule(properties.peer_routes),
        ),
        auto_accept=properties.auto_accept,
        present=present,
    )


def _mapping(tags: list[Tag]) -> dict[str, str]:
    return {tag.key: tag.value for tag in tags}


def _rule(routes: Routes | None) -> RouteRule | None:
    return routes.rule() if routes else None
