"""Charges through the national payment platform and at the counter."""
