"""POST /api/users/sync and GET /api/users/me: the browser's own way to its row.

What is stored is what Clerk's API says, never what the browser says.
"""

from typing import Final

from pydantic import BaseModel, Field, ValidationError

from clerksync.clerk.retry import INTERACTIVE
from clerksync.clerk.session_token import SessionVerifier, find_token, key_id
from clerksync.clerk.user import parse_json
from clerksync.doors.ensure_user import row_of_synced, sync_user
from clerksync.doors.http_api import Request, Response, http_door
from clerksync.doors.snapshot import (
    FOR_SECRETS,
    FOR_TOKENS,
    import_for_snapshot,
)
from clerksync.errors import ForbiddenError, InvalidPayloadError
from clerksync.observability import count, logger
from clerksync.postgres.database import Database
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from clerksync.write.user_table import UserTable

import_for_snapshot(*FOR_SECRETS, *FOR_TOKENS)

settings = Settings()
database = Database.from_settings(settings)
clerk = clerk_client(settings, INTERACTIVE)
sessions = SessionVerifier(clerk.jwks)


class SyncRequest(BaseModel):
    """The optional body. Its profile is ignored; it has to be well-formed."""

    user_id: str = Field(alias="userId", min_length=1)
    email: str = Field(min_length=1)
    first_name: str | None = Field(default=None, alias="firstName")
    last_name: str | None = Field(default=None, alias="lastName")
    image_url: str | None = Field(default=None, alias="imageUrl")


def answer(request: Request) -> Response:
    path = request.path.rstrip("/")
    for method, route, handle in ROUTES:
        # A stage or a base path may stand before it.
        if request.method == method and path.endswith(route):
            return handle(request)
    return Response(404, {"error": "No such route."})


def sync(request: Request) -> Response:
    clerk_id = authenticate(request)
    check_body(request.body, clerk_id)
    users = UserTable.from_settings(database, settings, clerk.users_by_id)
    signed_by = key_id(token_of(request))
    user, outcome = sync_user(users, clerk, clerk_id, signed_by=signed_by)
    logger.info("self-sync", action=outcome.action)
    count(f"SelfSyncs{outcome.action.capitalize()}")
    count("EmailConflicts", outcome.email_conflicts)
    row = row_of_synced(users, user, outcome)
    return Response(200, {"success": True, "user": row})


def me(request: Request) -> Response:
    row = UserTable.from_settings(database, settings).find(authenticate(request))
    if row is None:
        return Response(404, {"error": "Not synced yet: POST /api/users/sync first."})
    return Response(200, {"user": row})


def authenticate(request: Request) -> str:
    issuer = settings.clerk_issuer
    clerk_id = sessions.verify(
        token_of(request),
        pem=settings.clerk_jwt_key,
        jwks_url=clerk.jwks_url(issuer),
        issuer=issuer,
        authorized_parties=settings.authorized_parties,
    )
    logger.append_keys(clerk_id=clerk_id)
    return clerk_id


def token_of(request: Request) -> str:
    return find_token(request.headers, request.cookies)


def check_body(body: bytes, clerk_id: str) -> None:
    if not body.strip():
        return
    try:
        sync_request = SyncRequest.model_validate(parse_json(body))
    except ValidationError:
        message = 'The body must be empty or {"userId": "…", "email": "…"}.'
        raise InvalidPayloadError(message) from None
    if sync_request.user_id != clerk_id:
        raise ForbiddenError("The body's userId is not the user of the session.")


ROUTES: Final = (
    ("POST", "/api/users/sync", sync),
    ("POST", "/api/user/sync", sync),
    ("GET", "/api/users/me", me),
)
handler = http_door(answer, counted_as="SelfSyncs")
