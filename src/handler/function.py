"""The function: what each kind of event is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handler.cfn import MARGIN_SECONDS, LambdaContext, PeeringResource
from handler.clock import Deadline
from handler.maintenance import Maintenance
from handler.operate import Operator


@dataclass(frozen=True)
class Function:
    """Serves CloudFormation's events, EC2's, those of the queue and those of people."""

    resource: PeeringResource
    maintenance: Maintenance

    def __call__(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Serve one event. The response to CloudFormation is returned as well, for a person who invokes the function.

        Raises:
            ValidationError: it is none of these.
            Undelivered: CloudFormation did not take the response.
            PeeringError: the registry or the queue cannot be used; Lambda shall send the event again.
            BatchProcessingError: no message of the queue could be served.

        """
        seconds = context.get_remaining_time_in_millis() / 1000
        deadline = Deadline(self.maintenance.registry.clock, seconds - min(MARGIN_SECONDS, seconds / 4))
        match event:
            case {"Action": _}:
                return Operator(self.maintenance)(event, context.invoked_function_arn, deadline)
            case {"Records": _}:
                return self.maintenance.work(event, context, deadline)
            case {"detail-type": _, "detail": _}:
                return {"Resources": self.maintenance.wake(event, deadline)}
            case _:
                return self.resource(event, context)
