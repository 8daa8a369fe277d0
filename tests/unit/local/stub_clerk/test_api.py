"""The other routes: users by id, the instance, the key; and wrong requests."""

from typing import Any

import pytest
import urllib3

from local.stub_clerk.stub import StubClerk
from tests.openapi import assert_answer, needs_specifications
from tests.unit.local.stub_clerk.asking import call


@needs_specifications
def test_answers_are_as_clerks_specification_says(crowd: StubClerk) -> None:
    """List, count, user, instance, key set, and the errors 401 and 404."""
    for method, path, asked, expected in [
        ("get", "/users", "/v1/users?limit=80", 200),
        ("get", "/users/count", "/v1/users/count", 200),
        ("get", "/users/{user_id}", f"/v1/users/{crowd.ids()[0]}", 200),
        ("get", "/users/{user_id}", "/v1/users/user_nobody", 404),
        ("get", "/instance", "/v1/instance", 200),
        ("get", "/jwks", "/v1/jwks", 200),
        ("get", "/jwks", "/.well-known/jwks.json", 200),
    ]:
        status, answer = call(crowd, "GET", asked)
        assert status == expected
        assert_answer(method, path, status, answer)


def test_the_instance_says_who_it_is(crowd: StubClerk) -> None:
    """Id and environment are those that the stub was made with."""
    answer = call(crowd, "GET", "/v1/instance")[1]
    assert answer["id"] == crowd.instance_id
    assert answer["environment_type"] == "development"


@needs_specifications
def test_users_live_through_the_api(stub: StubClerk) -> None:
    """POST, PATCH and DELETE answer by the specification, and do what they say."""
    body = {
        "email_address": ["noor@example.com", "old@example.com"],
        "phone_number": ["+15550000001"],
        "first_name": "Noor",
        "external_id": "crm-1",
        "public_metadata": {"tier": "PRO"},
        "skip_password_requirement": True,
        "created_at": "2024-05-06T07:08:09.010Z",
    }
    status, made = call(stub, "POST", "/v1/users", body)
    assert status == 200
    assert_answer("post", "/users", 200, made)
    assert made["created_at"] == 1_714_979_289_010
    assert [e["email_address"] for e in made["email_addresses"]] == body[
        "email_address"
    ]
    assert made["primary_email_address_id"] == made["email_addresses"][0]["id"]
    path = f"/v1/users/{made['id']}"

    second = made["email_addresses"][1]["id"]
    change = {"last_name": "Ruiz", "first_name": None}
    status, patched = call(
        stub, "PATCH", path, change | {"primary_email_address_id": second}
    )
    assert status == 200
    assert_answer("patch", "/users/{user_id}", 200, patched)
    assert {name: patched[name] for name in change} == change
    assert patched["updated_at"] > made["updated_at"]
    assert patched["primary_email_address_id"] == second
    assert call(stub, "GET", path) == (200, patched)

    status, gone = call(stub, "DELETE", path)
    assert_answer("delete", "/users/{user_id}", 200, gone)
    assert gone == {
        "object": "user",
        "id": made["id"],
        "deleted": True,
        "external_id": "crm-1",
    }
    for method in ("GET", "PATCH", "DELETE"):
        assert call(stub, method, path, {})[0] == 404
    assert stub.count == 0


@needs_specifications
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"email_address": ["TAKEN@example.com"]}, "form_identifier_exists"),
        ({"email_address": "a@example.com"}, "form_param_type_invalid"),
        ({"first_name": 1}, "form_param_type_invalid"),
        ({"public_metadata": []}, "form_param_type_invalid"),
        ({"age": 7}, "form_param_unknown"),
        ({"created_at": "soon"}, "form_param_value_invalid"),
        ([], "request_body_invalid"),
    ],
)
def test_a_wrong_body_changes_nothing(
    stub: StubClerk, body: Any, expected: str
) -> None:
    """An address in use, a wrong type, an unknown parameter: 422; no object: 400."""
    stub.create_user(email="taken@example.com")
    victim = stub.create_user(email="victim@example.com")
    for method, path in (("POST", ""), ("PATCH", f"/{victim['id']}")):
        status, answer = call(stub, method, f"/v1/users{path}", body)
        assert status == (400 if expected == "request_body_invalid" else 422)
        assert answer["errors"][0]["code"] == expected
        assert_answer("post", "/users", status, answer)
    assert stub.count == 2
    assert stub.get_user(victim["id"]) == victim


@needs_specifications
def test_without_the_right_key_it_is_a_401(stub: StubClerk) -> None:
    """No key, a wrong one, no Bearer; only the public key set needs none."""
    with urllib3.PoolManager(retries=False) as http:
        for headers in (
            {},
            {"Authorization": "Bearer sk_test_wrong"},
            {"Authorization": stub.secret_key},
            {"Authorization": f"Basic {stub.secret_key}"},
        ):
            for path in ("/v1/users", "/v1/jwks", "/v1/instance", "/v1/nothing"):
                response = http.request("GET", stub.url + path, headers=headers)
                assert response.status == 401
                assert_answer("get", "/users", 401, response.json())
        assert http.request("GET", f"{stub.issuer}/.well-known/jwks.json").status == 200
        headers = {"Authorization": f"bearer {stub.secret_key}"}
        assert (
            http.request("GET", f"{stub.url}/v1/users", headers=headers).status == 200
        )


def test_an_unknown_route_is_a_404(stub: StubClerk) -> None:
    """Also a known path with a method that it does not have."""
    assert call(stub, "GET", "/v1/organizations")[0] == 404
    assert call(stub, "POST", "/v1/instance", {})[0] == 404
