"""Faults and load, on loopback only: what breaks, what a caller gets, what is lost."""
