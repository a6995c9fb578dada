"""Keys and passwords of a local stack, made once and kept under its folder, readable by the owner only.

```
secrets/postgres-password      the administrator's
secrets/signing-keys.json      the gateway's token signer: private JWK set, ES256
secrets/service-<name>.json    a service's own private key (private_key_jwt); its client id is its name
secrets/service-keys.json      {name: public JWK}, read by the gateway
secrets/<purpose>-key          32 random bytes in hex: encryption, person-hash, session
secrets/<system>-secret        what hub and national system share, here made up for the sandbox
```
"""

import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from joserfc.jwk import ECKey

from deploy.local.layout import read_json, write_json, write_text

RAW_KEYS = ("encryption", "person-hash", "session")
SHARED_SECRETS = ("inbound", "platform", "portal", "register")
OWNER_ONLY = 0o600


def postgres_password(folder: Path) -> str:
    """The administrator's password of the private cluster."""
    return _text(folder / "postgres-password")


def shared_secret(folder: Path, system: str) -> str:
    """What the hub and one of the sandbox's systems both know."""
    return _text(folder / f"{system}-secret")


def make_all(folder: Path, services: Iterable[str]) -> None:
    """Makes what is missing; what is there stays: tokens and encrypted columns must outlive a restart."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _private_key(folder / "signing-keys.json", "hub", as_set=True)
    public = {name: _public(_private_key(folder / f"service-{name}.json", name)) for name in services}
    write_json(folder / "service-keys.json", public, OWNER_ONLY)
    for purpose in RAW_KEYS:
        _text(folder / f"{purpose}-key")
    for system in SHARED_SECRETS:
        _text(folder / f"{system}-secret")


def _text(path: Path) -> str:
    """32 random bytes in hex, made when missing (or torn by a full disk)."""
    if not path.exists() or len(path.read_text()) != 64:
        write_text(path, secrets.token_hex(32), OWNER_ONLY)
    return path.read_text()


def _private_key(path: Path, name: str, *, as_set: bool = False) -> ECKey:
    """The ES256 key of a file, made when missing. Its id tells generations apart when keys are rotated."""
    kept = read_json(path)
    if kept is None:
        key = ECKey.generate_key("P-256", {"kid": f"{name}-{secrets.token_hex(4)}", "alg": "ES256", "use": "sig"})
        jwk = {**key.as_dict(private=True), **({} if as_set else {"client_id": name})}
        write_text(path, json.dumps({"keys": [jwk]} if as_set else jwk, indent=2), OWNER_ONLY)
        return key
    return ECKey.import_key(kept["keys"][0] if as_set else kept)


def _public(key: ECKey) -> dict[str, object]:
    """What others may know of a key; the file's own remark `client_id` is not part of it."""
    return {name: value for name, value in key.as_dict(private=False).items() if name != "client_id"}
