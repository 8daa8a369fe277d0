"""`clerksync doctor`: what is wrong with a setup, and how to mend it, a line each."""

from local.doctor.checks import CHECKS
from local.doctor.examination import Finding, examine
from local.doctor.subject import Subject

__all__ = ["CHECKS", "Finding", "Subject", "examine"]
