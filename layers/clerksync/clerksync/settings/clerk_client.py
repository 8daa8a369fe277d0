"""The client of Clerk's Backend API, with what the settings say."""

from clerksync.clerk.api import ClerkApi
from clerksync.clerk.retry import Patience
from clerksync.settings.environment import Settings


def clerk_client(settings: Settings, patience: Patience) -> ClerkApi:
    """Make a client that reads its settings when it is used: none has to be there yet,
    and a rotated key counts from the next request on."""
    return ClerkApi(
        patience,
        url=lambda: settings.clerk_api_url,
        secret_key=lambda: settings.clerk_secret_key,
        user_model=lambda: settings.user_model,
        refresh=settings.refresh,
    )
