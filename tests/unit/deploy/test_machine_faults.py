"""A fault of the machine is one sentence that says what to do."""

import errno
import shutil
import socket
from pathlib import Path

import pytest

from deploy.local import broker, checks, ports
from deploy.local.problem import StackError


def test_a_taken_port_is_named_with_its_holder() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        sentence = rf"Port {port}, which dossier needs, is taken by .*\(process \d+\).*--free-ports"
        with pytest.raises(StackError, match=sentence):
            ports.require_free({"dossier": port})
    ports.require_free({"dossier": port})


def test_free_ports_lie_below_the_range_of_outgoing_connections() -> None:
    taken: set[int] = set()
    chosen = [ports.a_free_port(taken) for _ in range(20)]
    assert len(set(chosen)) == 20
    assert all(20_000 <= port < 32_000 for port in chosen)


def test_missing_java_is_one_sentence_with_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"Java 17 or newer.*apt-get install .*HUB_KAFKA_BOOTSTRAP"):
        checks.java()


def test_an_old_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(StackError, match="Java is 11, but Kafka needs 17"):
        checks.java()


def test_missing_maven_matters_only_without_the_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(broker, "LIBS", tmp_path / "libs")
    with pytest.raises(StackError, match="install the package `maven`"):
        checks.maven()
    (tmp_path / "libs").mkdir()
    shutil.copy(broker.POM_FOLDER / "pom.xml", tmp_path / "libs/complete")
    checks.maven()


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"Only \d+ MiB are free under .*--dir"):
        checks.disk(tmp_path, needed_bytes=10**18)
    sentence = str(checks.worded(OSError(errno.ENOSPC, "No space left on device")))
    assert sentence.startswith("The disk is full: free some space")
