"""How the tests ask a stub Clerk."""

from typing import Any

import urllib3

from local.stub_clerk.stub import StubClerk

Answer = tuple[int, Any]


def call(stub: StubClerk, method: str, path: str, body: Any = None) -> Answer:
    """Ask the stub with its key; the JSON answer of a test without surprises."""
    headers = {"Authorization": f"Bearer {stub.secret_key}"}
    with urllib3.PoolManager(headers=headers, retries=False) as http:
        response = http.request(method, stub.url + path, json=body)
        return response.status, response.json()


def listed(stub: StubClerk, query: str) -> list[str]:
    """Ask for a page and return its ids."""
    status, users = call(stub, "GET", f"/v1/users?{query}")
    assert status == 200, users
    return [user["id"] for user in users]


def get(stub: StubClerk, path: str = "/v1/users") -> urllib3.BaseHTTPResponse:
    """Ask once, without retries, over a connection of its own."""
    headers = {"Authorization": f"Bearer {stub.secret_key}"}
    with urllib3.PoolManager(headers=headers, retries=False) as http:
        return http.request("GET", stub.url + path)


def post(stub: StubClerk, path: str, **params: Any) -> Any:
    """Use a control route, which needs no key."""
    with urllib3.PoolManager(retries=False) as http:
        return http.request("POST", stub.url + path, json=params).json()
