"""A Clerk instance on loopback, true to Clerk's specification."""

from local.stub_clerk.deliveries import Attempt, Delivery
from local.stub_clerk.errors import ClerkError
from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk

__all__ = ["Attempt", "ClerkError", "Delivery", "Fault", "StubClerk", "StubRequest"]
