"""A private Apache Kafka: one KRaft node on Java, its jars fetched by Maven.

The jars stand in `deploy/local/kafka/libs` (44 MB, not committed) and are fetched once from the versions in
the pom beside it.
"""

import shutil
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from deploy.local import process
from deploy.local.problem import StackError
from deploy.local.process import Program

POM_FOLDER = Path(__file__).with_name("kafka")
LIBS = POM_FOLDER / "libs"

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "BROKER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,BROKER:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # The fault suite's readers lose their partitions after 3 s of silence; the broker's own limit is 6.
    "group.min.session.timeout.ms": "1000",
    # After a kill the broker waits until its old session expires: 11 s by default, 3 s with these.
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "400",
    "auto.create.topics.enable": "false",
}
JAVA_OPTIONS = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


@dataclass(frozen=True)
class Broker:
    """One private broker and where clients find it."""

    program: Program
    bootstrap: str


def have_jars() -> bool:
    """True when the jars of the pom as it stands are there, complete."""
    complete = LIBS / "complete"
    return complete.exists() and complete.read_text() == _pom()


def fetch_jars() -> None:
    """Fetches the jars when they are not there yet, whole or not at all."""
    if have_jars():
        return
    if shutil.which("mvn") is None:
        raise StackError("Kafka's jars are missing and so is Maven, which fetches them: install the package `maven`.")
    scratch = LIBS.with_name("libs.new")
    shutil.rmtree(scratch, ignore_errors=True)
    # Java takes the home folder from the system's user list, where some users have none.
    command = ["mvn", "-q", "-B", "-Dstyle.color=never", f"-Duser.home={Path.home()}"]
    command += ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={scratch}"]
    fetched = subprocess.run(command, cwd=POM_FOLDER, capture_output=True, text=True, check=False)
    if fetched.returncode != 0:
        lines = [line for line in fetched.stdout.splitlines() if "ERROR" in line] or ["no reason given"]
        raise StackError(f"Maven could not fetch Kafka's jars ({lines[0][:200]}): look at the network and try again.")
    (scratch / "complete").write_text(_pom())
    shutil.rmtree(LIBS, ignore_errors=True)
    scratch.rename(LIBS)


def prepare(folder: Path, port: int, controller_port: int) -> Broker:
    """Formats the broker's storage if there is none and says how to start it. The ports may differ from
    last time.
    """
    fetch_jars()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    given = {
        **SETTINGS,
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "listeners": f"BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"BROKER://127.0.0.1:{port}",
        "log.dirs": str(folder / "data"),
    }
    properties.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    if not (folder / "data/meta.properties").exists():
        _format(folder, properties)
    java = ["java", *JAVA_OPTIONS, "-cp", f"{LIBS}/*", "kafka.Kafka", str(properties)]
    program = Program(name="kafka", command=java, folder=folder, stop_seconds=20)
    return Broker(program, f"127.0.0.1:{port}")


def _format(folder: Path, properties: Path) -> None:
    """Gives the storage its cluster id. A folder that was half formatted by a killed run is formatted
    anew.
    """
    shutil.rmtree(folder / "data", ignore_errors=True)
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = ["java", "-cp", f"{LIBS}/*", "kafka.tools.StorageTool", "format", "--standalone"]
    # An id may begin with a dash, which the tool takes for an option: hence the equals sign.
    done = subprocess.run(
        [*tool, f"--cluster-id={cluster_id}", f"--config={properties}"],
        cwd=folder,
        env=process.base_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise StackError(
            f"Kafka's storage {folder} could not be made ({lines[-1][:200]}): free some disk or choose --dir."
        )


def _pom() -> str:
    """The pom as it stands: other versions in it mean other jars."""
    return (POM_FOLDER / "pom.xml").read_text()


if __name__ == "__main__":  # `make setup` fetches the jars ahead of the first start
    try:
        fetch_jars()
    except StackError as problem:
        sys.exit(str(problem))
