"""The page of `clerksync dev`: users, deliveries and runs as they change."""

from local.page.page import Page

__all__ = ["Page"]
