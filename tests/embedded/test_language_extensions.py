"""`AWS::LanguageExtensions` over custom resources: many peerings from one template are written with it."""

from typing import Any

import pytest
from conftest import function

from local import stacks
from local.embedded import EmbeddedAws

CIDR = {"Fn::FindInMap": ["Networks", {"Fn::FindInMap": ["Spokes", {"Ref": "Spoke"}, "Network"]}, "Cidr"]}
MAPPINGS = {
    "Spokes": {
        "Red": {"Network": "First", "Made": "yes"},
        "Blue": {"Network": "Second", "Made": "yes"},
        "Grey": {"Network": "Second", "Made": "no"},
    },
    "Networks": {"First": {"Cidr": "10.1.0.0/16"}, "Second": {"Cidr": "10.2.0.0/16"}},
}


def toy(**properties: object) -> dict[str, Any]:
    """Return a custom resource of the toy function."""
    token = {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}}
    return {"Type": "Custom::VpcPeering", "Properties": {**token, **properties}}


def template(resources: dict[str, Any], **sections: object) -> dict[str, Any]:
    """Return a template with the transform, the mappings and a parameter for the loop."""
    return {
        "Transform": "AWS::LanguageExtensions",
        "Parameters": {"Names": {"Type": "CommaDelimitedList", "Default": "Red,Blue,Grey"}},
        "Mappings": MAPPINGS,
        "Resources": {"Function": function(), **resources},
        **sections,
    }


@pytest.fixture
def outputs(aws: EmbeddedAws, request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 - a function
    """Return what deploys a template and deletes it again, and tells its outputs."""
    name = request.node.name.replace("_", "-")

    def deployed(body: dict[str, Any]) -> dict[str, str]:
        cloudformation = aws.client("cloudformation")
        assert stacks.deploy(cloudformation, name, body) == "CREATE_COMPLETE"
        found = stacks.outputs(cloudformation, name)
        assert stacks.delete(cloudformation, name) == "DELETE_COMPLETE"
        return found

    return deployed


def test_loop_with_conditions_and_mappings_within_mappings(outputs: Any) -> None:  # noqa: ANN401
    """A list as parameter, a mapping that names the key of another one, a condition and an output for each item."""
    made = {"Fn::Equals": [{"Fn::FindInMap": ["Spokes", {"Ref": "Spoke"}, "Made"]}, "yes"]}
    condition = {"Condition": {"Fn::Sub": "Makes${Spoke}"}}
    value = {"Value": {"Fn::GetAtt": [{"Fn::Sub": "Toy${Spoke}"}, "Cidr"]}}
    loops = {
        "Conditions": {"Makes${Spoke}": made},
        "Resources": {"Toy${Spoke}": {**condition, **toy(Create=[{"Data": {"Cidr": CIDR}}])}},
        "Outputs": {"Cidr${Spoke}": {**condition, **value}},
    }
    conditions, resources, results = (
        {f"Fn::ForEach::{name}": ["Spoke", {"Ref": "Names"}, fragment]} for name, fragment in loops.items()
    )
    assert outputs(template(resources, Conditions=conditions, Outputs=results)) == {
        "CidrRed": "10.1.0.0/16",
        "CidrBlue": "10.2.0.0/16",
    }


def test_loop_within_a_loop(outputs: Any) -> None:  # noqa: ANN401
    """Each of one list with each of another, in logical ids, properties and outputs."""

    def nested(name: str, key: str, fragment: dict[str, Any]) -> dict[str, Any]:
        inner = {f"Fn::ForEach::{name}To": ["To", ["Blue", "Grey"], {key: fragment}]}
        return {f"Fn::ForEach::{name}From": ["From", ["Red", "Green"], inner]}

    pair = {"Fn::Sub": "${From} to ${To}"}
    resources = nested("Pairs", "Pair${From}${To}", toy(Create=[{"Data": {"Pair": pair}}]))
    value = {"Value": {"Fn::GetAtt": [{"Fn::Sub": "Pair${From}${To}"}, "Pair"]}}
    assert outputs(template(resources, Outputs=nested("Names", "${From}${To}", value))) == {
        "RedBlue": "Red to Blue",
        "RedGrey": "Red to Grey",
        "GreenBlue": "Green to Blue",
        "GreenGrey": "Green to Grey",
    }
