"""dlt's REST API source, merged by id into Postgres, as its documentation shows it.

Runs in .venv-dlt: the one contender that imports nothing of ours but the stopwatch.
Pages of 500. Each user is mapped to one flat row of about what our `users` and
`sync_state` hold; left alone, dlt would make a child table of each list in a user.
The pipeline's state stays between runs. dlt deletes nobody.
"""

import os
from datetime import UTC, datetime
from typing import Any, Final

import dlt
from dlt.destinations import postgres
from dlt.sources.rest_api import rest_api_source

from benchmarks.contenders.stopwatch import tell

_SAME: Final = ("id", "first_name", "last_name", "username", "image_url", "banned")


def _work() -> dict[str, int]:
    pipeline = dlt.pipeline(
        "clerk",
        destination=postgres(os.environ["DATABASE_URL"]),
        dataset_name="clerk",
        pipelines_dir=os.environ["BENCHMARK_FOLDER"],
    )
    pipeline.run(_source())
    return {"users": pipeline.last_trace.last_normalize_info.row_counts["users"]}


def _source() -> Any:
    users = {
        "name": "users",
        "primary_key": "id",
        "write_disposition": "merge",
        "columns": {"public_metadata": {"data_type": "json"}},
        "processing_steps": [{"map": _flat}],
        "endpoint": {
            "path": "users",
            "data_selector": "$",
            "params": {"order_by": "+created_at"},
            "paginator": {"type": "offset", "limit": 500, "total_path": None},
        },
    }
    return rest_api_source(
        {
            "client": {
                "base_url": f"{os.environ['CLERK_API_URL']}/v1/",
                "auth": {"type": "bearer", "token": os.environ["CLERK_SECRET_KEY"]},
            },
            "resources": [users],
        }
    )


def _flat(user: dict[str, Any]) -> dict[str, Any]:
    email = _primary(user, "email_address", "email_addresses")
    full = " ".join(part for part in (user["first_name"], user["last_name"]) if part)
    return {name: user[name] for name in _SAME} | {
        "email": email,
        "name": full or user["username"] or (email or "").partition("@")[0] or None,
        "phone_number": _primary(user, "phone_number", "phone_numbers"),
        "public_metadata": user["public_metadata"],
        "clerk_created_at": _moment(user["created_at"]),
        "clerk_updated_at": _moment(user["updated_at"]),
    }


def _primary(user: dict[str, Any], kind: str, entries: str) -> str | None:
    for entry in user[entries]:
        if entry["id"] == user[f"primary_{kind}_id"]:
            return str(entry[kind])
    return None


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


if __name__ == "__main__":
    tell(_work)
