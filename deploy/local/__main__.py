"""`python -m deploy.local up|down|status|stop|start|restart [--dir .run] …`: see deploy/README.md."""

import argparse
import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from deploy.local import checks, health, postgres, process, steering
from deploy.local.layout import Layout, read_json
from deploy.local.problem import StackError
from deploy.local.process import Program
from deploy.local.services import SERVICES
from deploy.local.stack import KAFKA, POSTGRES, ROOT, by_service
from deploy.local.supervisor import Supervisor, clear_leftovers

# Stopping is orderly: PostgreSQL writes a checkpoint, Kafka its indexes.
STOP_SECONDS = 90.0
PROGRAMS = {service.name for service in SERVICES} | {POSTGRES, KAFKA}


def main() -> int:
    """Runs the command; a fault of the machine is one sentence on the error output."""
    arguments = _arguments()
    layout = Layout(Path(arguments.dir).resolve())
    try:
        if arguments.command == "status":
            return status(layout)
        if arguments.command == "down":
            return down(layout, erase=arguments.erase)
        if arguments.command in ("stop", "start", "restart"):
            return steer(layout, arguments)
        layout.make()
        if arguments.command == "supervise":
            return supervise(layout, arguments)
        if arguments.fresh:
            down(layout, erase=True)
            layout.make()
        return up(layout, arguments)
    except StackError as problem:
        print(problem, file=sys.stderr)
    except OSError as problem:
        print(checks.worded(problem), file=sys.stderr)
    return 1


def up(layout: Layout, arguments: argparse.Namespace) -> int:
    """Starts a supervisor of its own session and waits until the stack is ready."""
    supervisor = process.recall(layout.pid_file("supervisor"))
    child: subprocess.Popen[bytes] | None = None
    if supervisor is None:
        checks.disk(layout.folder)
        command = [sys.executable, "-m", "deploy.local", "supervise", "--dir", str(layout.folder)]
        command += ["--free-ports"] if arguments.free_ports else []
        command += ["--only", arguments.only] if arguments.only else []
        command += [part for setting in arguments.set for part in ("--set", setting)]
        layout.state.unlink(missing_ok=True)
        program = Program("supervisor", command, ROOT, _passed_on())
        child = process.spawn(program, layout.log("supervisor"), layout.marker)
    phase = ""
    while True:
        state = read_json(layout.state) or {}
        if child and state.get("supervisor") != child.pid:
            state = {}  # an older supervisor's last word
        if state.get("phase", phase) != phase:
            phase = state["phase"]
            print(f"  {phase}", flush=True)
        if phase == "ready":
            return _welcome(layout)
        if state.get("problem"):
            raise StackError(state["problem"])
        alive = child.poll() is None if child else process.recall(layout.pid_file("supervisor")) is not None
        if not alive and not (read_json(layout.state) or {}).get("problem"):
            raise StackError(f"The supervisor ended while starting: see {layout.log('supervisor')}.")
        time.sleep(0.1)


def _unless_gone(_call: object, _path: str, fault: tuple[object, BaseException, object]) -> None:
    """A supervisor on its way out removes its own files at the same time."""
    if not isinstance(fault[1], FileNotFoundError):
        raise fault[1]


def down(layout: Layout, *, erase: bool = False) -> int:
    """Stops the stack, also one whose supervisor is dead; with `erase` its folder goes too."""
    if not layout.folder.exists():
        return 0
    supervisor = process.recall(layout.pid_file("supervisor"))
    if supervisor is not None:
        process.end([supervisor], signal.SIGTERM, STOP_SECONDS)
    clear_leftovers(layout)
    if erase:
        postgres.erase(layout.folder / POSTGRES)
        shutil.rmtree(layout.folder, onerror=_unless_gone)
    return 0


def status(layout: Layout) -> int:
    """Prints every program of the stack; 0 when all are ready."""
    state: dict[str, Any] = read_json(layout.state) or {}
    supervisor = process.recall(layout.pid_file("supervisor"))
    if supervisor is None:
        print(f"No stack runs in {layout.folder}.")
        return 1
    urls = (read_json(layout.folder / "stack.json") or {}).get("services", {})
    well = state.get("phase") == "ready"
    for name, program in state.get("programs", {}).items():
        ready = program["state"] == "up"
        if name in urls:
            ready = asyncio.run(health.is_ready(urls[name]))
        well = well and ready
        word = "ready" if ready else program["state"] if program["state"] != "up" else "not ready"
        restarts = f"restarted {program['restarts']} times" if program["restarts"] else ""
        print(f"  {name:20} {word:10} {urls.get(name, ''):24} process {program['pid']} {restarts}".rstrip())
    return 0 if well else 1


def steer(layout: Layout, arguments: argparse.Namespace) -> int:
    """Stops, starts or restarts one program of a running stack."""
    if process.recall(layout.pid_file("supervisor")) is None:
        raise StackError(f"No stack runs in {layout.folder}.")
    name = arguments.program
    if arguments.command in ("stop", "restart"):
        steering.stop(layout, name)
    if arguments.command in ("start", "restart"):
        settings = by_service(f"{name}:{setting}" for setting in arguments.set)
        steering.start(layout, name, settings.get(name))
    return 0


def _welcome(layout: Layout) -> int:
    """What to look at, once everything is ready."""
    code = status(layout)
    gateway = (read_json(layout.folder / "stack.json") or {}).get("services", {}).get("gateway")
    if gateway:
        print(f"  The API is at {gateway}/docs, the console at {gateway}/console; sign in with operators.json.")
    return code


def supervise(layout: Layout, arguments: argparse.Namespace) -> int:
    """The supervisor itself; `up` starts it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # asking a broker that is not there yet is no error
    logging.getLogger("alembic").setLevel(logging.WARNING)
    process.remember(layout.pid_file("supervisor"), os.getpid())
    only = tuple(name for name in arguments.only.split(",") if name)
    supervisor = Supervisor(layout, free_ports=arguments.free_ports, only=only, settings=arguments.set)
    return asyncio.run(supervisor.run())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in (
        ("up", "start the stack and wait until it is ready"),
        ("down", "stop it"),
        ("status", "show its programs"),
        ("supervise", "start it and stay (what `up` runs behind the scenes)"),
    ):
        command = commands.add_parser(name, help=purpose)
        command.add_argument("--dir", default=".run", help="the stack's folder")
        if name in ("up", "supervise"):
            command.add_argument("--free-ports", action="store_true", help="choose ports that are free")
            command.add_argument("--only", default="", help="names separated by commas: just these programs")
            command.add_argument("--set", action="append", default=[], help="service:HUB_NAME=value, once for each")
        if name == "up":
            command.add_argument("--fresh", action="store_true", help="begin with an empty folder")
        if name == "down":
            command.add_argument("--erase", action="store_true", help="remove the folder with all its data")
    _add_steering(commands)
    arguments = parser.parse_args()
    unknown = {name for name in getattr(arguments, "only", "").split(",") if name} - PROGRAMS
    if unknown:
        parser.error(f"unknown in --only: {', '.join(sorted(unknown))}; there are {', '.join(sorted(PROGRAMS))}")
    return arguments


def _add_steering(commands: Any) -> None:
    """The commands for one program of a running stack."""
    for name, purpose in (
        ("stop", "stop one program and keep it down"),
        ("start", "let it run again"),
        ("restart", "stop it and start it"),
    ):
        command = commands.add_parser(name, help=purpose)
        command.add_argument("program", choices=sorted(PROGRAMS))
        command.add_argument("--dir", default=".run", help="the stack's folder")
        if name != "stop":
            command.add_argument("--set", action="append", default=[], help="HUB_NAME=value, for this start alone")


def _passed_on() -> dict[str, str]:
    """What of the caller's environment the supervisor may see."""
    return {name: os.environ[name] for name in ("HUB_POSTGRES_URL", "HUB_KAFKA_BOOTSTRAP") if name in os.environ}


if __name__ == "__main__":
    sys.exit(main())
