"""EC2 as a whole: the corrected operations over moto's."""

from moto.ec2.responses import EC2Response

from local.strict.connections import State
from local.strict.networks import NetworkApi
from local.strict.peering_api import PeeringApi
from local.strict.route_api import RouteApi
from local.strict.tags import TagApi


class Ec2(PeeringApi, RouteApi, TagApi, NetworkApi, EC2Response):
    """One EC2 request."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state
