"""What a person can do at the page: act on the stub Clerk, and run a sync."""

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, Final, Literal, TypeVar

import psycopg
from psycopg import sql
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import ValidationError

from clerksync.errors import ClerksyncError
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings
from clerksync.write.identifiers import identifiers
from local.page.access import Answer, Event, as_json, refused
from local.stack.functions import MODULES
from local.stub_clerk.errors import ClerkError
from local.stub_clerk.stub import StubClerk

_SET_TIER: Final = "UPDATE {users} AS u SET {tier} = %s WHERE {key} = %s AND {live}"

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
Filled = Annotated[Text, StringConstraints(min_length=1)]
Optional = Annotated[Text | None, BeforeValidator(lambda text: text or None)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Nothing(_Asked):
    pass


class _SignUp(_Asked):
    email: Optional = None
    first_name: Optional = None
    last_name: Optional = None


class _OfUser(_Asked):
    id: Filled


class _Rename(_OfUser):
    first_name: Optional = None
    last_name: Optional = None


class _Email(_OfUser):
    email: Filled


class _Delete(_OfUser):
    behind_our_back: bool = False


class _Tier(_OfUser):
    tier: Filled


class _Token(_OfUser):
    session_id: Filled


class _Replay(_Asked):
    message_id: Filled


class _Release(_Asked):
    newest_first: bool = False


class _Sync(_Asked):
    mode: Literal["full", "incremental"] = "full"


_Model = TypeVar("_Model", bound=_Asked)


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Actions:
    """Each takes a JSON object and gives one; a refusal says what is wrong."""

    def __init__(self, settings: Settings, stub: StubClerk) -> None:
        self._settings = settings
        self._stub = stub
        self._database = Database.from_settings(settings)

    def close(self) -> None:
        self._database.close()

    def by_name(self) -> dict[str, Callable[[Event], Answer]]:
        return {
            "sign-up": _action(_SignUp, self._sign_up),
            "rename": _action(_Rename, self._rename),
            "email": _action(_Email, self._change_email),
            "delete": _action(_Delete, self._delete),
            "tier": _action(_Tier, self._set_tier),
            "token": _action(_Token, self._token),
            "hold": _action(_Nothing, self._hold),
            "release": _action(_Release, self._release),
            "replay": _action(_Replay, self._replay),
            "sync": _action(_Sync, self._sync),
        }

    def _sign_up(self, asked: _SignUp) -> dict[str, Any]:
        return {"id": self._stub.create_user(**asked.model_dump())["id"]}

    def _rename(self, asked: _Rename) -> dict[str, Any]:
        user = self._stub.update_user(
            asked.id, first_name=asked.first_name, last_name=asked.last_name
        )
        return {"id": user["id"]}

    def _change_email(self, asked: _Email) -> dict[str, Any]:
        return {"id": self._stub.update_user(asked.id, email=asked.email)["id"]}

    def _delete(self, asked: _Delete) -> dict[str, Any]:
        self._stub.delete_user(asked.id, notify=not asked.behind_our_back)
        return {"id": asked.id}

    def _set_tier(self, asked: _Tier) -> dict[str, Any]:
        """What an application does when somebody pays: sync has no part in it."""
        names = identifiers(self._settings.mapping, self._settings.schema)
        if "tier" not in names:
            raise _RefusedError(422, "The mapping of the table has no tier.")
        query = sql.SQL(_SET_TIER).format(**names)
        written = self._database.run(
            lambda connection: connection.execute(query, [asked.tier, asked.id])
        )
        if not written.rowcount:
            raise _RefusedError(404, "There is no row of this user yet.")
        return {"id": asked.id}

    def _token(self, asked: _Token) -> dict[str, Any]:
        self._stub.get_user(asked.id)
        return {"token": self._stub.session_token(asked.id, sid=asked.session_id)}

    def _hold(self, _asked: _Nothing) -> dict[str, Any]:
        self._stub.sender.hold()
        return {}

    def _release(self, asked: _Release) -> dict[str, Any]:
        self._stub.sender.release(newest_first=asked.newest_first)
        return {}

    def _replay(self, asked: _Replay) -> dict[str, Any]:
        for delivery in self._stub.deliveries:
            if delivery.message_id == asked.message_id:
                self._stub.replay(delivery)
                return {}
        raise _RefusedError(404, "There is no such delivery.")

    def _sync(self, asked: _Sync) -> dict[str, Any]:
        """By the function, as the schedule would run it; gives its report."""
        function = import_module(MODULES["bulk_sync"])
        try:
            report: dict[str, Any] = function.handler({"mode": asked.mode}, None)
        except function.BulkSyncFailedError as error:
            raise _RefusedError(503, str(error)) from None
        return report


def _action(
    model: type[_Model], act: Callable[[_Model], dict[str, Any]]
) -> Callable[[Event], Answer]:
    def answer(event: Event) -> Answer:
        try:
            asked = model.model_validate_json(event.get("body") or "{}")
            return as_json(200, act(asked))
        except ValidationError as error:
            fields = {".".join(map(str, e["loc"])) or "body" for e in error.errors()}
            return refused(400, f"Not understood: {', '.join(sorted(fields))}.")
        except ClerkError as error:
            return refused(error.status, error.message)
        except _RefusedError as error:
            return refused(error.status, str(error))
        except ClerksyncError as error:
            return refused(503, str(error))
        except psycopg.Error as error:
            kind = type(error).__name__
            return refused(422, f"Postgres refused: {kind} ({error.sqlstate}).")

    return answer
