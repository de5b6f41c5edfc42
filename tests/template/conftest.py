"""Reads the project's CloudFormation templates as CloudFormation does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
Template = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref x` is {Ref: x}, `!Sub x` is {Fn::Sub: x}."""


def _short_form(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        value = value.split(".", 1) if name == "GetAtt" else value
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        raise yaml.constructor.ConstructorError(None, None, f"!{name} takes no mapping here", node.start_mark)
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _short_form)


@pytest.fixture(scope="session")
def load() -> Callable[[str], Template]:
    """Return a function that reads a template by its path in the project."""

    def read(path: str) -> Template:
        loader = _Loader((ROOT / path).read_text())
        try:
            return dict(loader.get_single_data())
        finally:
            loader.dispose()

    return read
