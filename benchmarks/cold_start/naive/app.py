"""The usual page of glue code: every SDK imported, everything made at import.

It does what clerksync's three doors do on a good day, one row at a time, and none of
what they do on a bad one.
"""

import json
import os
from typing import Any

import boto3
import jwt
import psycopg
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from clerk_backend_api import Clerk, GetUserListRequest
from psycopg.rows import dict_row
from pydantic import BaseModel
from svix.webhooks import Webhook

UPSERT = """
    WITH written AS (
        INSERT INTO users (id, email, first_name, last_name, image_url)
        VALUES (%(id)s, %(email)s, %(first_name)s, %(last_name)s, %(image_url)s)
        ON CONFLICT (id) DO UPDATE SET email = excluded.email,
            first_name = excluded.first_name, last_name = excluded.last_name,
            image_url = excluded.image_url, updated_at = now()
        RETURNING *
    ), limited AS (
        INSERT INTO rate_limits (user_id) SELECT id FROM written ON CONFLICT DO NOTHING
    )
    SELECT id, email, first_name, last_name, image_url FROM written
"""
PAGE = 100

logger = Logger(service="naive")
tracer = Tracer(service="naive")
metrics = Metrics(namespace="naive", service="naive")
app = APIGatewayHttpResolver()

settings: dict[str, str] = dict(os.environ)
if settings.get("CLERKSYNC_SECRET_ID"):
    secrets = boto3.client("secretsmanager")
    secret = secrets.get_secret_value(SecretId=settings["CLERKSYNC_SECRET_ID"])
    settings |= json.loads(secret["SecretString"])

database = psycopg.connect(
    settings["DATABASE_URL"], autocommit=True, row_factory=dict_row
)
clerk = Clerk(
    bearer_auth=settings["CLERK_SECRET_KEY"],
    server_url=settings["CLERK_API_URL"] + "/v1",
)
keys = jwt.PyJWKClient(settings["CLERK_ISSUER"] + "/.well-known/jwks.json")


class EmailAddress(BaseModel):
    id: str
    email_address: str


class User(BaseModel):
    id: str
    first_name: str | None
    last_name: str | None
    image_url: str | None
    primary_email_address_id: str | None
    email_addresses: list[EmailAddress]


def save(data: Any) -> Any:
    user = User.model_validate(data, from_attributes=True)
    emails = {e.id: e.email_address for e in user.email_addresses}
    row = user.model_dump() | {"email": emails.get(user.primary_email_address_id or "")}
    row.pop("email_addresses")
    return database.execute(UPSERT, row).fetchone()


@app.post("/api/webhooks/clerk")
@tracer.capture_method
def webhook() -> dict[str, Any]:
    body = app.current_event.body or ""
    signing_secret = settings["CLERK_WEBHOOK_SIGNING_SECRET"]
    Webhook(signing_secret).verify(body, app.current_event.headers)
    event = json.loads(body)
    if event["type"] in {"user.created", "user.updated"}:
        save(event["data"])
    elif event["type"] == "user.deleted":
        database.execute("DELETE FROM users WHERE id = %s", [event["data"]["id"]])
    metrics.add_metric(name="Webhooks", unit=MetricUnit.Count, value=1)
    logger.info("webhook applied")
    return {"success": True}


@app.post("/api/users/sync")
@tracer.capture_method
def self_sync() -> dict[str, Any]:
    token = app.current_event.headers["authorization"].removeprefix("Bearer ")
    key = keys.get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=["RS256"])
    row = save(clerk.users.get(user_id=claims["sub"]))
    metrics.add_metric(name="SelfSyncs", unit=MetricUnit.Count, value=1)
    logger.info("self-sync")
    return {"success": True, "user": row}


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def bulk_handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    fetched, ids = 0, []
    while True:
        request = GetUserListRequest(limit=PAGE, offset=fetched, order_by="+created_at")
        page = clerk.users.list(request=request)
        for user in page:
            save(user)
            ids.append(user.id)
        fetched += len(page)
        if len(page) < PAGE:
            break
    database.execute("DELETE FROM users WHERE id <> ALL(%s)", [ids])
    metrics.add_metric(name="UsersSynced", unit=MetricUnit.Count, value=fetched)
    return {"status": "completed", "fetched": fetched}
