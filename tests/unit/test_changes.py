"""The human form of a change: what the log shows of a plan."""

import pytest

from handler.changes import (
    AcceptConnection,
    AdoptConnection,
    Change,
    CreateConnection,
    CreateRoute,
    DeleteConnection,
    DeleteRoute,
    ModifyOptions,
    ReleaseConnection,
    ReplaceRoute,
    Stage,
    TagConnection,
    UntagConnection,
)
from handler.model import Option, Side
from tests.unit.given import PCX, key, peer_key

HUMAN: list[tuple[Change, Stage, str]] = [
    (CreateConnection({}), Stage.REQUEST, "request the connection"),
    (AdoptConnection(PCX, {}), Stage.ADOPT, "adopt pcx-ours"),
    (AcceptConnection(), Stage.ACCEPT, "accept the connection"),
    (
        ModifyOptions(Side.ACCEPTER, {Option.DNS: True, Option.MULTIPATH: False}),
        Stage.MAKE,
        "accepter: turn AllowDnsResolutionFromRemoteVpc on, AllowMultipathResilience off",
    ),
    (TagConnection(Side.REQUESTER, {"b": "", "a": ""}), Stage.MAKE, "requester: tag the connection with a, b"),
    (CreateRoute(peer_key()), Stage.MAKE, "accepter: create route 10.0.0.0/16 in rtb-spoke"),
    (
        ReplaceRoute(key(), former="igw-1"),
        Stage.MAKE,
        "requester: replace route 10.8.0.0/16 in rtb-hub: igw-1 -> the connection",
    ),
    (
        ReplaceRoute(key(), former=PCX, target="igw-1"),
        Stage.MAKE,
        "requester: replace route 10.8.0.0/16 in rtb-hub: pcx-ours -> igw-1",
    ),
    (UntagConnection(Side.ACCEPTER, {"a": ""}), Stage.BREAK, "accepter: untag a"),
    (DeleteRoute(key()), Stage.BREAK, "requester: delete route 10.8.0.0/16 in rtb-hub"),
    (DeleteConnection(PCX), Stage.DELETE, "delete pcx-ours"),
    (ReleaseConnection(PCX, {}), Stage.DELETE, "release pcx-ours"),
]


@pytest.mark.parametrize(("change", "stage", "text"), HUMAN, ids=[text for _, _, text in HUMAN])
def test_change(change: Change, stage: Stage, text: str) -> None:
    """Who reads the log at night sees what was done, on which side, and in which order."""
    assert (stage, text) == (change.stage, str(change))


def test_every_change_is_told() -> None:
    """A kind of change without words would be logged as a Python value."""
    kinds = {type(change) for change, _, _ in HUMAN}

    assert {kind.__name__ for kind in _leaves(Change)} == {kind.__name__ for kind in kinds}


def _leaves(kind: type[Change]) -> set[type[Change]]:
    below = kind.__subclasses__()
    return {leaf for each in below for leaf in _leaves(each)} if below else {kind}
