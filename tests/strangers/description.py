"""docs/openapi.yaml, as something to hold requests and answers against."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from tests.template import ROOT

JSON = dict[str, Any]

DESCRIPTION: Final[JSON] = yaml.safe_load(
    (ROOT / "docs" / "openapi.yaml").read_text("utf-8")
)


def routes() -> Iterator[tuple[str, str]]:
    """Method, in capitals, and path."""
    for path, methods in DESCRIPTION["paths"].items():
        for method in methods:
            yield method.upper(), path


def statuses(method: str, path: str) -> set[int]:
    return {int(status) for status in _operation(method, path)["responses"]}


def assert_described(
    method: str, path: str, status: int, headers: JSON, body: Any
) -> None:
    """Assert that the description knows such an answer to such a request."""
    assert status in statuses(method, path), f"{method} {path} answered {status}"
    response = _operation(method, path)["responses"][str(status)]
    if "$ref" in response:
        response = _referred(response["$ref"])
    for name, header in response.get("headers", {}).items():
        _validator_of(header["schema"]).validate(headers.get(name))
    _validator(method, path, status).validate(body)


def body_fields() -> list[str]:
    """What the bodies of requests are made of."""
    schemas = DESCRIPTION["components"]["schemas"]
    return [
        *schemas["SyncRequest"]["properties"],
        *schemas["Event"]["properties"],
        *schemas["Event"]["properties"]["data"]["properties"],
    ]


def _operation(method: str, path: str) -> JSON:
    operation: JSON = DESCRIPTION["paths"][path][method.lower()]
    return operation


@cache
def _validator(method: str, path: str, status: int) -> Validator:
    response = _operation(method, path)["responses"][str(status)]
    if "$ref" in response:
        response = _referred(response["$ref"])
    return _validator_of(response["content"]["application/json"]["schema"])


def _validator_of(schema: JSON) -> Validator:
    # The components stand beside the schema, where its references look for them.
    return Draft202012Validator(
        schema | {"components": DESCRIPTION["components"]},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def _referred(reference: str) -> JSON:
    found = DESCRIPTION
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found
