"""Free and taken ports on the loopback address."""

import contextlib
import secrets
import socket

import psutil

from deploy.local.problem import StackError

# Below the range the system hands out to outgoing connections: a port of ours must still be free when a
# program that died is started again a second later.
FREE_RANGE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """True when a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def a_free_port(taken: set[int] | None = None) -> int:
    """A free port that is not in `taken`, and adds it there."""
    taken = taken if taken is not None else set()
    for _ in range(1000):
        port = FREE_RANGE[secrets.randbelow(len(FREE_RANGE))]
        if port not in taken and is_free(port):
            taken.add(port)
            return port
    raise StackError("No free port was found between 20000 and 32000: end some of the programs that listen there.")


def holder_of(port: int) -> str:
    """Who listens on the port, in words."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another program"


def require_free(ports: dict[str, int]) -> None:
    """Raises a sentence for the first taken port of {program: port}."""
    for name, port in ports.items():
        if not is_free(port):
            raise StackError(
                f"Port {port}, which {name} needs, is taken by {holder_of(port)}: end that program, "
                "or start the stack on other ports with --free-ports."
            )
