"""Checks against Clerk's own OpenAPI specifications, where they are at hand.

They are not part of this project; they lie beside it, in `../shared/openapi`.
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft4Validator

_FOLDER = Path(__file__).parents[2] / "shared" / "openapi"
_BACKEND_API = _FOLDER / "clerk-backend-api-2026-05-12.yml"
_WEBHOOKS = _FOLDER / "clerk-webhooks-2025-04-15.yml"

needs_specifications = pytest.mark.skipif(
    not (_BACKEND_API.exists() and _WEBHOOKS.exists()),
    reason=f"Clerk's OpenAPI specifications are not in {_FOLDER}",
)


def assert_answer(method: str, path: str, status: int, answer: Any) -> None:
    """Assert that the specification knows such an answer of the Backend API.

    `path` is written as there, such as `/users/{user_id}`. Where it says nothing about
    the status (429 for one), the answer must be an error of Clerk's form.
    """
    specification = _specification(_BACKEND_API)
    responses = specification["paths"][path][method]["responses"]
    response = responses.get(
        str(status), {"$ref": "#/components/responses/ClerkErrors"}
    )
    if "$ref" in response:
        name = response["$ref"].removeprefix("#/components/responses/")
        response = specification["components"]["responses"][name]
    _assert_valid(specification, response["content"], answer)


def assert_request(method: str, path: str, body: Any) -> None:
    """Assert that the specification knows such a body of a request."""
    specification = _specification(_BACKEND_API)
    request = specification["paths"][path][method]["requestBody"]
    _assert_valid(specification, request["content"], body)


def assert_event(event: dict[str, Any]) -> None:
    """Assert that the specification knows such a webhook event."""
    specification = _specification(_WEBHOOKS)
    request = specification["x-webhooks"][event["type"]]["post"]["requestBody"]
    _assert_valid(specification, request["content"], event)


def _assert_valid(
    specification: dict[str, Any], content: dict[str, Any], value: Any
) -> None:
    # The components stand beside the schema, where its references look for them.
    schema = content["application/json"]["schema"] | {
        "components": specification["components"]
    }
    if "$ref" in schema:
        # In Draft 4 nothing counts beside a reference; the components are no rule.
        schema = {
            "allOf": [{"$ref": schema["$ref"]}],
            "components": schema["components"],
        }
    errors = [
        f"{error.json_path}: {error.message[:300]}"
        for error in Draft4Validator(schema).iter_errors(value)
    ]
    assert not errors, errors


@cache
def _specification(path: Path) -> dict[str, Any]:
    # The C loader: the other one takes ten seconds.
    with path.open(encoding="utf-8") as file:
        document: dict[str, Any] = _without_nullable(
            yaml.load(file, Loader=yaml.CSafeLoader)
        )
    return document


def _without_nullable(node: Any) -> Any:
    """Say OpenAPI 3.0's `nullable` as JSON Schema says it."""
    if isinstance(node, list):
        return [_without_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _without_nullable(value) for key, value in node.items()}
    if plain.get("nullable") is True:
        return {"anyOf": [{"type": "null"}, plain]}
    return plain
