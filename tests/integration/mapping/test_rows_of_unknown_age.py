"""Rows that do not tell when they were made."""

import pytest

from tests.integration.mapping.application import Application


@pytest.fixture(scope="module")
def preset() -> str:
    return "avatar"


def test_a_row_of_unknown_age_is_swept_a_run_later(application: Application) -> None:
    """The application may have made it during the first run, and Clerk not yet list it.
    created_at may be NULL in its table."""
    application.connection.execute(
        """
        INSERT INTO users ("clerkUserId", email)
        VALUES ('user_3MeGCclwyNHlgh5gMFINVNLTeKf', 'gone@example.com')
        """
    )
    stays = application.sign_up("stays@example.com")
    application.connection.execute('UPDATE users SET "createdAt" = NULL')
    assert application.bulk_sync()["deleted"] == 0
    assert application.bulk_sync()["deleted"] == 1
    assert list(application.rows()) == [stays["id"]]


def test_who_is_known_is_swept_at_once(application: Application) -> None:
    """sync_state tells that the user was there before."""
    user = application.sign_up("gone@example.com")
    application.sign_up("stays@example.com")
    application.connection.execute('UPDATE users SET "createdAt" = NULL')
    application.clerk.delete_user(user["id"], notify=False)
    assert application.bulk_sync()["deleted"] == 1
    application.assert_equals_clerk()
