"""Keeps the national portal equal to the province."""
