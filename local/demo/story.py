"""The demo: one function a step, each with what must hold after it."""

from collections.abc import Iterable
from itertools import product

from local.demo.installation import EXTERNAL_ID
from local.demo.scene import ACCEPTER, REQUESTER, RouteKey, live_connections
from local.demo.stage import Stage
from local.embedded import REGION


class Story(Stage):
    """Tells the whole life of a peering."""

    def tell(self) -> None:
        """Go through all steps.

        Raises:
            DoesNotHoldError: something that must hold after a step does not.
            InstallationError: sam or a stack of the installation failed.

        """
        self.install()
        self.create()
        self.extend()
        self.repair()
        self.replace()
        self.fail()
        self.delete()
        self.uninstall()

    def install(self) -> None:
        """Deploy the function and the role."""
        self.open("Install", "The function in 111111111111, and the role that lets it act in 222222222222.")
        with self.screen.task("function", "sam build"):
            self.installation.build()
        with self.screen.task("", f"sam deploy into {REQUESTER} {REGION}"):
            service_token = self.installation.deploy()["ServiceToken"]
        self.screen.fact("", service_token)
        with self.screen.task("role", f"accepter/role.yaml into {ACCEPTER}"):
            role_arn = self.installation.deploy_role(ACCEPTER)
        self.screen.fact("", role_arn)
        self.parameters = self._first_parameters(role_arn)
        self.check({"no connection exists yet": not live_connections(self.aws)})

    def create(self) -> None:
        """Peer hub and spoke."""
        self.open("Create", "The stack of local/demo/network.yaml: three route tables and two CIDR blocks a side.")
        step = self.deploy("CREATE_COMPLETE", "creating the stack")
        here, there = step.now.sides
        hub, spoke = self.place.hub, self.place.spoke
        self.check(
            {
                "both sides show an active connection": here.state == there.state == "active",
                "each of the 3 tables a side has a route to each of the other VPC's 2 CIDR blocks": (
                    step.now.peered
                    == _grid(hub.route_table_ids[:3], spoke.cidr_blocks) | _grid(spoke.route_table_ids, hub.cidr_blocks)
                ),
                "both sides resolve DNS for each other, and carry tags": (
                    here.allows_dns and there.allows_dns and here.tags["Name"] == there.tags["Name"] == "hub-to-spoke"
                ),
                "no route that was there before was touched": step.before.flat.items() <= step.now.flat.items(),
            }
        )

    def extend(self) -> None:
        """Add a route table here and a CIDR block there."""
        self.open(
            "Add a route table and a CIDR block", "spoke gets 10.10.0.0/16, the stack's list gets a fourth table."
        )
        spoke, hub = self.place.spoke, self.place.hub
        ec2 = self.aws.client("ec2", spoke.account, spoke.region)
        ec2.associate_vpc_cidr_block(VpcId=spoke.id, CidrBlock="10.10.0.0/16")
        blocks = (*spoke.cidr_blocks, "10.10.0.0/16")
        step = self.deploy("UPDATE_COMPLETE", "updating the stack", RouteTableIds=",".join(hub.route_table_ids[:4]))
        added = _grid(hub.route_table_ids[:4], blocks) - step.before.peered
        self.check(
            {
                "the connection is the same": step.before.connection_id == step.now.connection_id,
                "exactly the 6 missing routes were made": (
                    added == step.now.peered - step.before.peered == step.routes_written("CreateRoute")
                ),
                "no existing route was touched: every write was a CreateRoute": set(step.writes) == {"CreateRoute"},
            }
        )

    def repair(self) -> None:
        """Add a table and delete a route by hand on the accepter's side, and ask maintenance to put both right."""
        self.open(
            "Drift, and no deployment",
            "By hand in 222222222222: spoke gets a route table, and loses a route. Then maintenance is asked to repair "
            "the peering, as it does by itself every 15 minutes.",
        )
        spoke, hub = self.place.spoke, self.place.hub
        ec2 = self.aws.client("ec2", spoke.account, spoke.region)
        added = ec2.create_route_table(VpcId=spoke.id)["RouteTable"]["RouteTableId"]
        lost = (spoke.route_table_ids[0], hub.cidr_blocks[0])
        ec2.delete_route(RouteTableId=lost[0], DestinationCidrBlock=lost[1])
        self.screen.fact("by hand", f"created {added}; deleted {lost[1]} from {lost[0]}")
        before = self.scene.peered
        step = self.maintain("repaired", "asking the function")
        missing = {lost, *_grid([added], hub.cidr_blocks)}
        self.check(
            {
                "the table has its routes, and the route is back": step.now.peered == before | missing,
                "nothing else was written": missing == step.routes_written("CreateRoute")
                and set(step.writes) == {"CreateRoute"},
                "each finding is told in plain words": all(table in step.reason for table in (added, lost[0])),
            }
        )

    def replace(self) -> None:
        """Move to another VPC on the other side."""
        self.open("Replace the connection", "PeerVpcId becomes spoke-2, a new VPC with the same CIDR blocks as spoke.")
        step = self.deploy("UPDATE_COMPLETE", "replacing the connection", PeerVpcId=self.place.new_spoke.id)
        kept = {key for key in step.before.peered if key in step.now.peered}
        back = _grid(self.place.new_spoke.route_table_ids, self.place.hub.cidr_blocks)
        self.check(
            {
                "another connection is there, and the old one is gone on both sides": (
                    step.before.connection_id != step.now.connection_id
                    and live_connections(self.aws) == [step.now.connection_id] * 2
                ),
                f"all {len(kept)} routes of the hub moved by ReplaceRoute: no moment without a route": (
                    kept == step.before.routes["hub"].keys() & step.before.peered == step.routes_written("ReplaceRoute")
                    and not kept & (step.routes_written("DeleteRoute") | step.routes_written("CreateRoute"))
                ),
                "spoke-2 has its routes back to the hub": back <= step.now.peered,
                "spoke lost its own only after the last route was moved": (
                    not step.now.routes["spoke"]
                    and step.ended("CreateRoute", "ReplaceRoute") < step.began("DeleteRoute")
                ),
            }
        )

    def fail(self) -> None:
        """Ask for a route that another gateway owns."""
        table_id, gateway_id = self.place.hub.route_table_ids[4], self.place.partner_gateway_id
        self.open(
            "An update that fails",
            "A fifth table joins, but it sends 10.9.0.0/16 to a partner's VPN already; a tag would change too.",
        )
        changed = {"RouteTableIds": ",".join(self.place.hub.route_table_ids), "Environment": "production"}
        step = self.deploy("UPDATE_ROLLBACK_COMPLETE", "updating the stack", **changed)
        self.check(
            {
                "the reason names the table, the destination and who owns it": all(
                    word in step.reason for word in ("ResourceConflict", table_id, "10.9.0.0/16", gateway_id)
                ),
                "it was refused before the first write, and the rollback had nothing to do": not step.writes,
                "everything is as before": step.before == step.now,
            }
        )

    def delete(self) -> None:
        """Delete the stack."""
        self.open("Delete", "The stack goes, and with it everything that it made, on both sides.")
        step = self.remove("DELETE_COMPLETE", "deleting the stack")
        self.check(
            {
                "neither account has a connection": not live_connections(self.aws),
                "every route of before the first step is there, and no other": self.start.routes == step.now.routes,
            }
        )

    def uninstall(self) -> None:
        """Delete the role and the function."""
        self.open("Uninstall", "The function and the role go too.")
        with self.screen.task("function", "sam delete"):
            self.installation.remove()
        with self.screen.task("role", f"the role's stack in {ACCEPTER}"):
            self.installation.remove_role(ACCEPTER)
        left = [
            stack["StackName"]
            for account in (REQUESTER, ACCEPTER)
            for region in (REGION, "eu-west-1")
            for stack in self.aws.client("cloudformation", account, region).describe_stacks()["Stacks"]
        ]
        self.check({"no stack is left in either account": not left})

    def _first_parameters(self, role_arn: str) -> dict[str, str]:
        hub, spoke = self.place.hub, self.place.spoke
        return {
            "VpcId": hub.id,
            "RouteTableIds": ",".join(hub.route_table_ids[:3]),
            "PeerVpcId": spoke.id,
            "PeerOwnerId": spoke.account,
            "PeerRegion": spoke.region,
            "PeerRoleArn": role_arn,
            "PeerExternalId": EXTERNAL_ID,
        }


def _grid(table_ids: Iterable[str], blocks: Iterable[str]) -> set[RouteKey]:
    return set(product(table_ids, blocks))
