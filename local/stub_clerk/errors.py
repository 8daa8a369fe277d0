"""Clerk's errors: a status and the body that goes with it."""

import json
import secrets
from typing import Any


class ClerkError(Exception):
    """An answer that is no success, as `ClerkErrors` of Clerk's specification.

    The Python methods of the stub raise it; over HTTP it becomes the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.param = param

    def body(self) -> bytes:
        """Return the JSON body, with a new `clerk_trace_id`."""
        error: dict[str, Any] = {
            "message": self.message,
            "long_message": self.message,
            "code": self.code,
        }
        if self.param:
            error["meta"] = {"param_name": self.param}
        answer = {"errors": [error], "clerk_trace_id": secrets.token_hex(16)}
        return json.dumps(answer).encode()


def user_not_found(user_id: str) -> ClerkError:
    """Return the 404 for a user who never was or is gone: Clerk answers both alike."""
    return ClerkError(
        404, "resource_not_found", f"No user was found with id {user_id}."
    )


def invalid_param(
    param: str, message: str, code: str = "form_param_value_invalid"
) -> ClerkError:
    """Return the 422 for a parameter that Clerk does not take."""
    return ClerkError(422, code, f"{param}: {message}", param=param)


def email_taken(address: str) -> ClerkError:
    """Return the 422 for an address that another user has."""
    message = f"That email address is taken: {address}"
    return ClerkError(422, "form_identifier_exists", message, param="email_address")
