"""Templates as CloudFormation would make them of given parameters, as far as this project's policies use it."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Template = dict[str, Any]


class Rendered:
    """A template with parameters: those that are not given have their defaults."""

    def __init__(self, template: Template, **given: str) -> None:
        parameters = template["Parameters"]
        values = {name: given.get(name, str(each.get("Default", ""))) for name, each in parameters.items()}
        lists = {name for name, each in parameters.items() if each["Type"] == "CommaDelimitedList"}
        pseudo = {name: value for name, value in given.items() if name.startswith("AWS::")}
        self._template = template
        self._values = {name: text.split(",") if name in lists else text for name, text in {**values, **pseudo}.items()}

    def holds(self, condition: Any) -> bool:  # noqa: ANN401  # a name, or what CloudFormation makes of conditions
        """Tell whether a condition is true."""
        match condition:
            case str(name) | {"Condition": name}:
                return self.holds(self._template["Conditions"][name])
            case {"Fn::Equals": [left, right]}:
                return bool(self.value(left) == self.value(right))
            case {"Fn::Not": [inner]}:
                return not self.holds(inner)
            case {"Fn::And": inner}:
                return all(map(self.holds, inner))
            case {"Fn::Or": inner}:
                return any(map(self.holds, inner))
        raise NotImplementedError(condition)

    def value(self, node: Any) -> Any:  # noqa: ANN401, C901, PLR0911  # of YAML; a line a function
        """Return what becomes of a part of the template; None of what is AWS::NoValue. A resource is its name."""
        match node:
            case {"Ref": "AWS::NoValue"}:
                return None
            case {"Ref": name}:
                return self._values.get(name, name)
            case {"Fn::GetAtt": path}:
                return self._values.get(".".join(path), ".".join(path))
            case {"Fn::If": [condition, then, otherwise]}:
                return self.value(then if self.holds(condition) else otherwise)
            case {"Fn::Join": [between, parts]}:
                return between.join(self.value(parts))
            case {"Fn::Split": [between, text]}:
                return self.value(text).split(between)
            case {"Fn::Select": [number, parts]}:
                return self.value(parts)[number]
            case {"Fn::Sub": [text, names]}:
                return self._filled(text, {name: self.value(each) for name, each in names.items()})
            case {"Fn::Sub": text}:
                return self._filled(text, {})
            case dict():
                made = {name: self.value(each) for name, each in node.items()}
                return {name: each for name, each in made.items() if each is not None}
            case list():
                return [each for each in map(self.value, node) if each is not None]
        return node

    def _filled(self, text: str, names: Mapping[str, Any]) -> str:
        return re.sub(r"\$\{([^}]+)\}", lambda found: str({**self._values, **names}.get(found[1], found[1])), text)

    def policies(self, role: str) -> tuple[list[Any], list[Any]]:
        """Return the documents of a role's policies: those within it, and those that are attached."""
        resources = self._template["Resources"]
        there = {
            name: each["Properties"]
            for name, each in resources.items()
            if each["Type"].startswith("AWS::IAM::") and ("Condition" not in each or self.holds(each["Condition"]))
        }
        within = [each["PolicyDocument"] for each in there[role]["Policies"]]
        attached = [there[name]["PolicyDocument"] for name in self.value(there[role].get("ManagedPolicyArns", []))]
        for name, each in there.items():
            if {"Ref": role} in each.get("Roles", []):
                of_its_own = resources[name]["Type"] == "AWS::IAM::ManagedPolicy"
                (attached if of_its_own else within).append(each["PolicyDocument"])
        return self.value(within), self.value(attached)


Load = Callable[[str], Template]
