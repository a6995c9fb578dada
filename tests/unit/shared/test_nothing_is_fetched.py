"""Row 27: no module can fetch an address that somebody gave. Who opens connections is listed, with where it goes."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
CLIENTS = {"aiohttp", "httpx2", "httpx", "requests", "urllib.request", "http.client", "socket", "ftplib", "smtplib"}
CALLS = {"create_connection", "open_connection", "create_datagram_endpoint", "urlopen"}
KNOWN = {
    "shared/shared/http.py": "peers, each at one configured base URL; no redirects",
    "shared/shared/auth.py": "the issuer's keys, at the configured gateway",
    "services/gateway/gateway/upstream.py": "the hub's own services, at configured addresses",
}


def connects(source: str) -> bool:
    """Whether a module imports something that connects, or makes a connection itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(alias.name in CLIENTS for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and node.module in CLIENTS:
            return True
        if isinstance(node, ast.Attribute) and node.attr in CALLS:
            return True
    return False


def test_who_opens_connections_is_known() -> None:
    modules = [*(ROOT / "shared").rglob("*.py"), *(ROOT / "services").rglob("*.py")]
    found = {
        name
        for path in modules
        if not (name := str(path.relative_to(ROOT))).startswith("services/sandbox/") and connects(path.read_text())
    }
    assert found == set(KNOWN), f"new: {found - set(KNOWN)}, gone: {set(KNOWN) - found}"
