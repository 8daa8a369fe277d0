"""SnapStart: what is imported before Lambda's snapshot costs a restored environment
nothing."""

import importlib
import os
from typing import Final

FOR_SECRETS: Final = ("boto3", "botocore.config")
"""A restored environment has its credentials where only boto3 looks for them."""
FOR_TOKENS: Final = ("jwt", "cryptography.hazmat.primitives.asymmetric.rsa")


def import_for_snapshot(*modules: str) -> None:
    """Import now what is else imported when it is needed, if Lambda takes a snapshot of
    this environment. In others that would make the start longer."""
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        for name in modules:
            importlib.import_module(name)
