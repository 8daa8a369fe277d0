"""template.yaml as data, with CloudFormation's short forms written out."""

from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
TEXT: Final = (ROOT / "template.yaml").read_text("utf-8")


class _CloudFormation(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, `!Ref x` for `{"Ref": "x"}`."""


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = node.value
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_CloudFormation.add_multi_constructor("!", _function)


def read_yaml(text: str) -> Any:
    return _CloudFormation(text).get_single_data()


TEMPLATE: dict[str, Any] = read_yaml(TEXT)
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
GLOBALS: dict[str, Any] = TEMPLATE["Globals"]["Function"]
VARIABLES: dict[str, Any] = GLOBALS["Environment"]["Variables"]
SECRET = {"Fn::If": ["MakesSecret", {"Ref": "Secret"}, {"Ref": "SecretId"}]}
FUNCTIONS: dict[str, Any] = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}
