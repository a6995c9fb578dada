"""`make setup`: from a bare machine to one on which everything runs. Standard library only: it makes the `.venv`.

Each step leaves a stamp with the hash of what it was made from, so that a second run does nothing (< 1 s).
```
system packages   Java, Maven, Chromium and fonts; by apt as root, otherwise one sentence that names what lacks
.venv             requirements.txt, every version with its hashes
our packages      shared and services/*, editable
assets            htmx and Bootstrap's CSS out of two wheels, for the console
Kafka             its jars, by Maven
```
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
VENDOR = ROOT / "services/console/console/static/vendor"
OLDEST_PYTHON = (3, 11)
# Distributions build theirs with profile-guided optimisation; one that was compiled by hand or by pyenv lacks it and
# takes a third more of the processor for the same work (DECISIONS.md).
DISTRIBUTIONS_PYTHON = Path("/usr/bin/python3")

# File in the wheel → name among the console's static files.
ASSETS = {
    "django_htmx/static/django_htmx/htmx-2.min.js": "htmx.min.js",
    "flask_bootstrap/static/bootstrap5/css/bootstrap.min.css": "bootstrap.min.css",
}
# Debian's package → where one sees that it is there, and whether anything but the browser tests needs it.
PACKAGES = {
    "default-jre-headless": ("java", True),
    "maven": ("mvn", True),
    "chromium": ("chromium", False),
    "fonts-dejavu-core": ("/usr/share/fonts/truetype/dejavu", False),
}


class SetupError(Exception):
    """One sentence: what lacks and what to do."""


def main() -> int:
    """Does what is still to do."""
    try:
        if sys.version_info < OLDEST_PYTHON:
            raise SetupError(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: install python3.11.")
        install_system_packages()
        make_environment()
        install_our_packages()
        unpack_assets()
        run([PYTHON, "-m", "deploy.local.broker"], "Kafka's jars could not be fetched")
    except SetupError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def install_system_packages() -> None:
    """Installs what is missing with apt as root. A plain user gets told; the browser alone is no reason to stop."""
    missing = [name for name, (sign, _) in PACKAGES.items() if not (shutil.which(sign) or Path(sign).is_dir())]
    if not makes_environments(sys.executable) and not PYTHON.exists():
        missing.append("python3-venv")
    if not missing:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {', '.join(missing)}", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], check=False, stdout=subprocess.DEVNULL)
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
        if subprocess.run(install, check=False, env=environment, stdout=subprocess.DEVNULL).returncode == 0:
            return
    needed = [name for name in missing if PACKAGES.get(name, ("", True))[1]]
    names = " ".join(missing)
    sentence = f"System packages are missing: install them with `apt-get install {names}`."
    if needed:
        raise SetupError(sentence)
    print(f"{sentence} Only the browser tests need them.", file=sys.stderr)


def makes_environments(python: str | Path) -> bool:
    """Whether this interpreter is new enough and complete: Debian packs the module that makes environments apart."""
    check = f"import ensurepip, sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    return subprocess.run([python, "-c", check], check=False, capture_output=True).returncode == 0


def interpreter() -> str | Path:
    """The distribution's where it will do, else the one that runs this."""
    is_usable = DISTRIBUTIONS_PYTHON.exists() and makes_environments(DISTRIBUTIONS_PYTHON)
    return DISTRIBUTIONS_PYTHON if is_usable else sys.executable


def make_environment() -> None:
    """`.venv` with exactly the pinned versions."""
    if not PYTHON.exists():
        run([interpreter(), "-m", "venv", VENV], "The folder .venv could not be made")
    if is_done("requirements", [ROOT / "requirements.txt"]):
        return
    print("installing requirements.txt into .venv", flush=True)
    pip("--no-compile", "--require-hashes", "--no-deps", "-r", ROOT / "requirements.txt")
    done("requirements", [ROOT / "requirements.txt"])


def install_our_packages() -> None:
    """shared and the services, editable: their code is used where it stands."""
    projects = sorted([ROOT / "shared/pyproject.toml", *ROOT.glob("services/*/pyproject.toml")])
    if is_done("packages", projects):
        return
    editable = [part for project in projects for part in ("-e", project.parent)]
    # As path entries: setuptools' import hooks come after the current folder, where `shared/` (without a package
    # of its own) would be taken for the package.
    pip("--no-build-isolation", "--no-deps", "--no-index", "--config-settings", "editable_mode=compat", *editable)
    done("packages", projects)


def unpack_assets() -> None:
    """The two files the console's pages load, out of wheels checked by hash; nothing is installed."""
    sources = [ROOT / "requirements-assets.txt", Path(__file__)]
    if is_done("assets", sources) and all((VENDOR / name).exists() for name in ASSETS.values()):
        return
    VENDOR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        pip("--require-hashes", "--no-deps", "-r", sources[0], "-d", scratch, command="download")
        found = 0
        for wheel in Path(scratch).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for inside in set(ASSETS) & set(archive.namelist()):
                    (VENDOR / ASSETS[inside]).write_bytes(archive.read(inside))
                    found += 1
    if found != len(ASSETS):
        raise SetupError("A wheel of requirements-assets.txt lacks a file that deploy/preparing.py names: correct it.")
    done("assets", sources)


def pip(*arguments: str | Path, command: str = "install") -> None:
    """pip of the `.venv`, quiet unless it fails."""
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    run([PYTHON, "-m", "pip", command, "-q", *arguments], "pip could not install", environment)


def run(command: list[str | Path], failure: str, environment: dict[str, str] | None = None) -> None:
    """Runs a command; its own words follow the sentence when it fails."""
    outcome = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise SetupError(f"{failure}: {(outcome.stderr or outcome.stdout).strip()[-1500:]}")


def fingerprint(files: Iterable[Path]) -> str:
    """What the files say, and where this checkout stands: editable installs point at it."""
    digest = hashlib.sha256(str(ROOT).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_done(step: str, files: Iterable[Path]) -> bool:
    """True when the step's stamp was made from the files as they are."""
    stamp = VENV / f"stamp-{step}"
    return stamp.exists() and stamp.read_text() == fingerprint(files)


def done(step: str, files: Iterable[Path]) -> None:
    """Leaves the step's stamp."""
    (VENV / f"stamp-{step}").write_text(fingerprint(files))


if __name__ == "__main__":
    sys.exit(main())
