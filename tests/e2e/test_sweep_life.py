"""Maintenance as it is deployed: the schedule's event, the real queue, its worker, the registry's index."""

import json
import time

from local import stacks
from tests.e2e.installed import FUNCTION, Installed

SECONDS = 60


def test_a_sweep_repairs_through_the_queue(lab: Installed) -> None:
    """What the schedule starts ends with the route back, without anybody asking for that resource."""
    vpc, peer = lab.vpc("one", "10.0.0.0/16"), lab.peer_vpc("two", "10.8.0.0/16")
    assert lab.stack().deploy(lab.properties(vpc, peer)) == "CREATE_COMPLETE"
    lab.settle()
    healthy = lab.routes(vpc)
    sqs = lab.aws.client("sqs")
    (queue,) = (url for url in sqs.list_queues()["QueueUrls"] if "MaintenanceQueue" in url)
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "0"})
    table_id, destination = vpc.route_table_ids[0], peer.cidr_blocks[0]
    lab.ec2(vpc).delete_route(RouteTableId=table_id, DestinationCidrBlock=destination)

    answer = lab.aws.client("lambda").invoke(FunctionName=FUNCTION, Payload=json.dumps({"Action": "Sweep"}).encode())

    assert json.loads(answer["Payload"].read())["Resources"] >= 1
    ends = time.monotonic() + SECONDS
    while lab.routes(vpc) != healthy and time.monotonic() < ends:
        time.sleep(stacks.POLL_SECONDS)
    assert healthy == lab.routes(vpc)
