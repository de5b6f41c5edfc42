from conftest import Stack, function

from local import stacks

FAILED = {"Status": "FAILED", "Reason": "as told"}


def test_event_has_the_fields_of_the_contract_in_their_order(stack: Stack) -> None:
    """The top-level ServiceToken is what MiniStack leaves out; PhysicalResourceId never comes with a Create."""
    stack.deploy(Name="a")
    stack.deploy(Name="b")
    create, update = (entry["event"] for entry in stack.requests)
    first = ["RequestType", "ServiceToken", "ResponseURL", "StackId", "RequestId", "LogicalResourceId", "ResourceType"]
    assert [*first, "ResourceProperties"] == list(create)
    assert [*first, "PhysicalResourceId", "ResourceProperties", "OldResourceProperties"] == list(update)
    assert create["ServiceToken"] == create["ResourceProperties"]["ServiceToken"]
    assert create["ResourceType"] == "Custom::VpcPeering"
    assert (update["OldResourceProperties"]["Name"], update["ResourceProperties"]["Name"]) == ("a", "b")


def test_every_property_value_is_a_string(stack: Stack) -> None:
    """CloudFormation stringifies booleans and numbers at any depth: "false" is truthy in Python."""
    stack.deploy(Flag=False, Number=3, Deep=[{"Flag": True, "Numbers": [1, 2.5]}])
    properties = stack.requests[0]["event"]["ResourceProperties"]
    assert (properties["Flag"], properties["Number"]) == ("false", "3")
    assert properties["Deep"] == [{"Flag": "true", "Numbers": ["1", "2.5"]}]


def test_attributes_reach_the_template(stack: Stack) -> None:
    """Fn::GetAtt reads the response's Data."""
    stack.deploy(outputs=("RouteCount",), Create=[{"Data": {"RouteCount": "40"}}])
    assert stacks.outputs(stack.aws.client("cloudformation"), stack.name) == {"RouteCount": "40"}


def test_function_error_is_retried_twice_with_the_same_event(stack: Stack) -> None:
    """Asynchronous invocation: a stack can still succeed on the third attempt."""
    assert stack.deploy(Create=[{"Raise": "crashed", "Times": 2}, {}]) == "CREATE_COMPLETE"
    (request,) = stack.finished()
    assert [attempt and attempt["errorType"] for attempt in request["attempts"]] == ["RuntimeError"] * 2 + [None]


def test_there_is_no_third_retry(stack: Stack) -> None:
    """After three attempts Lambda drops the event, and the stack waits for ServiceTimeout."""
    assert stack.deploy(ServiceTimeout=1, Create=[{"Raise": "crashed", "Times": 9}]) == "ROLLBACK_COMPLETE"
    assert len(stack.finished()[0]["attempts"]) == 3


def test_function_timeout_is_enforced_and_retried(stack: Stack) -> None:
    """Lambda kills the process at its Timeout and tries again with a new one."""
    stack.function = function(Timeout=1)
    assert stack.deploy(ServiceTimeout=4, Create=[{"Sleep": 9}]) == "ROLLBACK_COMPLETE"
    assert [attempt["errorType"] for attempt in stack.finished()[0]["attempts"]] == ["Sandbox.Timedout"] * 3


def test_service_timeout_counts_from_the_invocation(stack: Stack) -> None:
    """CloudFormation gives up while the function still runs, and its Delete arrives then, with an invented id."""
    assert stack.deploy(ServiceTimeout=1, Create=[{"Sleep": 2}]) == "ROLLBACK_COMPLETE"
    (create, _), (delete, invented) = stack.sent
    assert (create, delete) == ("Create", "Delete")
    assert str(invented).startswith(f"{stack.name}-Toy-")
    assert not stack.requests[0]["attempts"]
    assert any("did not receive a response from your Custom Resource" in reason for reason in stack.reasons)


def test_failed_create_is_followed_by_delete_with_its_id(stack: Stack) -> None:
    """The id of the FAILED response is all that the Delete has to find what was half created."""
    assert stack.deploy(Create=[{**FAILED, "PhysicalResourceId": "half"}]) == "ROLLBACK_COMPLETE"
    assert stack.sent == [("Create", None), ("Delete", "half")]
    request_id = stack.requests[0]["event"]["RequestId"]
    message = (
        f"Received response status [FAILED] from custom resource. Message returned: as told (RequestId: {request_id})"
    )
    assert f"Toy CREATE_FAILED {message}" in stack.reasons


def test_failed_create_within_an_update_is_followed_by_delete(stack: Stack) -> None:
    """A resource that is new in an update is rolled back like one of a new stack; the others stay."""
    stack.deploy()
    assert stack.deploy(then={"Create": [{**FAILED, "PhysicalResourceId": "half"}]}) == "UPDATE_ROLLBACK_COMPLETE"
    (_, *last) = (entry["event"] for entry in stack.requests)
    assert [(e["RequestType"], e.get("PhysicalResourceId")) for e in last] == [("Create", None), ("Delete", "half")]


def test_failed_create_that_cannot_be_deleted_fails_the_rollback(stack: Stack) -> None:
    """A failure of that Delete must be as visible as in CloudFormation."""
    assert stack.deploy(Create=[FAILED], Delete=[FAILED]) == "ROLLBACK_FAILED"


def test_failed_update_is_followed_by_update_with_the_properties_swapped(stack: Stack) -> None:
    """The rollback is an Update like any other; a handler must not tell it apart."""
    stack.deploy(Name="a")
    assert stack.deploy(Name="b", Update=[FAILED]) == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.sent == [("Create", None), ("Update", "toy"), ("Update", "toy")]
    failed, rollback = (entry["event"] for entry in stack.requests[1:])
    assert failed["ResourceProperties"] == rollback["OldResourceProperties"]
    assert failed["OldResourceProperties"] == rollback["ResourceProperties"]


def test_replacement_is_cleaned_up_with_the_old_properties(stack: Stack) -> None:
    """Another physical id is a replacement: one Delete of the old id, with the properties that made it."""
    stack.deploy(Name="a")
    assert stack.deploy(Name="b", Update=[{"PhysicalResourceId": "new"}]) == "UPDATE_COMPLETE"
    assert stack.sent == [("Create", None), ("Update", "toy"), ("Delete", "toy")]
    assert stack.requests[2]["event"]["ResourceProperties"]["Name"] == "a"
    assert stack.delete() == "DELETE_COMPLETE"
    assert stack.sent[3:] == [("Delete", "new")]


def test_rollback_of_a_replacement_deletes_the_new_id(stack: Stack) -> None:
    """One of CloudFormation's two ways back: the old one is still there, the new one goes."""
    stack.deploy(Name="a")
    status = stack.deploy(Name="b", Update=[{"PhysicalResourceId": "new"}], then={"Create": [FAILED]})
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.sent == [("Create", None), ("Update", "toy"), ("Delete", "new")]
    assert stack.requests[-1]["event"]["ResourceProperties"]["Name"] == "b"


def test_rollback_of_a_replacement_by_update_deletes_what_the_update_left(stack: Stack) -> None:
    """The other way back: an Update from the new id, and when it answers the old one, a Delete of the new one."""
    stack.metadata = {"RollbackOfReplacement": "Update"}
    stack.deploy(Name="a", Update=[{"PhysicalResourceId": "toy"}])
    status = stack.deploy(Name="b", Update=[{"PhysicalResourceId": "new"}], then={"Create": [FAILED]})
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.sent == [("Create", None), ("Update", "toy"), ("Update", "new"), ("Delete", "new")]
    assert stack.delete() == "DELETE_COMPLETE"
    assert stack.sent[-1] == ("Delete", "toy")


def test_failed_update_that_moved_is_rolled_back_from_its_new_id(stack: Stack) -> None:
    """A FAILED response with another id leaves a new resource behind: the rollback starts from it and deletes it."""
    stack.deploy(Name="a", Update=[{"PhysicalResourceId": "toy"}])
    failed = {**FAILED, "PhysicalResourceId": "new"}
    assert stack.deploy(Name="b", Update=[failed]) == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.sent == [("Create", None), ("Update", "toy"), ("Update", "new"), ("Delete", "new")]
    assert stack.delete() == "DELETE_COMPLETE"
    assert stack.sent[-1] == ("Delete", "toy")


def test_rollback_that_moves_elsewhere_keeps_the_id_it_answered(stack: Stack) -> None:
    """The stack must go on with the id of the rollback's Update, or its deletion would miss the resource."""
    stack.deploy(Name="a", Update=[{"PhysicalResourceId": "third"}])
    assert stack.deploy(Name="b", Update=[FAILED]) == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.sent == [("Create", None), ("Update", "toy"), ("Update", "toy"), ("Delete", "toy")]
    assert stack.delete() == "DELETE_COMPLETE"
    assert stack.sent[-1] == ("Delete", "third")


def test_failed_delete_keeps_the_resource(stack: Stack) -> None:
    """DELETE_FAILED, and the next deletion tries again."""
    stack.deploy(Delete=[FAILED])
    assert stack.delete() == "DELETE_FAILED"
    assert stack.sent == [("Create", None), ("Delete", "toy")]


def test_function_of_another_region_is_refused(stack: Stack) -> None:
    """ServiceToken must be in the stack's Region."""
    arn = "arn:aws:lambda:eu-west-1:111111111111:function:elsewhere"
    assert stack.deploy(ServiceToken=arn) == "ROLLBACK_COMPLETE"
    assert f"Toy CREATE_FAILED There is no function {arn} in us-east-1." in stack.reasons
    assert not stack.requests
