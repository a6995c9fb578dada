"""The one public door: OAuth 2, routes, exchange log, ministry events."""
