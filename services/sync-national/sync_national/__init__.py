"""Keeps the national portal equal to the province, and can prove it (architecture §Guarantees 4)."""
