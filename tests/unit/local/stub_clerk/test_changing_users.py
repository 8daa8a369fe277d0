"""Changes to users by the stub's own methods."""

import pytest

from local.stub_clerk.errors import ClerkError
from local.stub_clerk.stub import StubClerk
from tests.unit.local.stub_clerk.asking import listed


def test_updated_at_always_grows(stub: StubClerk) -> None:
    """Even twice within a millisecond, or when it lies in the future."""
    user_id = stub.create_user(created_at=1000)["id"]
    versions = [
        stub.update_user(user_id, first_name=str(n))["updated_at"] for n in range(50)
    ]
    assert versions == sorted(set(versions))
    future = stub.update_user(user_id, updated_at=2**42)["updated_at"]
    assert stub.update_user(user_id, banned=True)["updated_at"] == future + 1
    assert stub.get_user(user_id)["created_at"] == 1000


def test_an_address_moves_from_one_user_to_another(stub: StubClerk) -> None:
    """It is refused while somebody has it, and free once given up or deleted."""
    a = stub.create_user(email="shared@example.com")["id"]
    b = stub.create_user(email="b@example.com")["id"]
    with pytest.raises(ClerkError, match="form_identifier_exists"):
        stub.update_user(b, email="Shared@example.com")
    assert stub.update_user(a, email=None)["email_addresses"] == []
    moved = stub.update_user(b, email="shared@example.com")
    assert [e["email_address"] for e in moved["email_addresses"]] == (
        ["shared@example.com"]
    )
    stub.delete_user(b)
    assert stub.create_user(email="shared@example.com")["primary_email_address_id"]


def test_the_primary_address_need_not_be_the_first(stub: StubClerk) -> None:
    """A new primary address takes the old one's place; the others stay."""
    user = stub.create_user(email="main@example.com", emails=["old@example.com"])
    assert user["primary_email_address_id"] == user["email_addresses"][1]["id"]
    user = stub.update_user(user["id"], email="new@example.com")
    assert [e["email_address"] for e in user["email_addresses"]] == [
        "old@example.com",
        "new@example.com",
    ]
    assert user["primary_email_address_id"] == user["email_addresses"][1]["id"]
    assert listed(stub, "email_address=main@example.com") == []


def test_an_image_is_the_same_under_both_names(stub: StubClerk) -> None:
    """`image_url` and the deprecated `profile_image_url`, when created and changed."""
    user = stub.create_user(image_url="https://img.clerk.com/a")
    assert user["profile_image_url"] == user["image_url"] == "https://img.clerk.com/a"
    user = stub.update_user(user["id"], image_url="https://img.clerk.com/b")
    assert user["profile_image_url"] == user["image_url"] == "https://img.clerk.com/b"
    assert user["has_image"]


def test_a_misspelt_field_is_an_error(stub: StubClerk) -> None:
    """A test that changes nothing must not go on as if it had."""
    user_id = stub.create_user(phone_number="+15550000001")["id"]
    with pytest.raises(TypeError, match="frist_name"):
        stub.update_user(user_id, frist_name="Ann")
    with pytest.raises(TypeError, match="frist_name"):
        stub.create_user(frist_name="Ann")


def test_what_a_method_returns_is_a_copy(stub: StubClerk) -> None:
    """Changing it changes nothing in the stub."""
    user = stub.create_user(public_metadata={"tier": "FREE"})
    user["public_metadata"]["tier"] = "PRO"
    assert stub.get_user(user["id"])["public_metadata"] == {"tier": "FREE"}
