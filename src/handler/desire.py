"""From the properties to the desired state: all defaults are decided here."""

from handler.model import Desired, DesiredSide, End, Owner, RouteRule, Side
from handler.properties import Home, Properties, Routes, Tag, query
from handler.values import OnExistingConnection


def desire(properties: Properties, home: Home, owner: Owner, *, present: bool = True) -> Desired:
    """Return the state that the properties ask for; the id of a VPC that is looked for by its tags is empty yet."""
    end = End(properties.vpc_id or "", properties.account(home), properties.own_region(home))
    peer_end = End(properties.peer_vpc_id or "", properties.peer_account(home), properties.peer_own_region(home))
    peer_tags = properties.tags if properties.peer_tags is None else properties.peer_tags
    return Desired(
        owner=owner,
        requester=DesiredSide(
            end=end,
            managed=properties.vpc_peering_connection_id is None,
            vpc_tags=query(properties.vpc_tags),
            tags=_mapping(properties.tags),
            options=properties.options(Side.REQUESTER),
            routes=_rule(properties.routes),
        ),
        accepter=DesiredSide(
            end=peer_end,
            managed=properties.manages_accepter,
            vpc_tags=query(properties.peer_vpc_tags),
            tags=_mapping(peer_tags),
            options=properties.options(Side.ACCEPTER),
            routes=_rule(properties.peer_routes),
        ),
        auto_accept=properties.auto_accept,
        wait_for_acceptance=properties.wait_for_acceptance,
        adopt=properties.on_existing_connection is OnExistingConnection.ADOPT,
        preflight=properties.preflight,
        present=present,
        foreign_id=properties.vpc_peering_connection_id,
    )


def _mapping(tags: list[Tag]) -> dict[str, str]:
    return {tag.key: tag.value for tag in tags}


def _rule(routes: Routes | None) -> RouteRule | None:
    return routes.rule() if routes else None
