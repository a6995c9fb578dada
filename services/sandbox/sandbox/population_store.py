"""The people of the population register, loaded by the controls. All of them are invented."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Person:
    """`date_of_birth` is yyyy-mm-dd or only yyyy; `refused`: the register declines to look this person up."""

    personal_id: str
    old_id: str
    full_name: str
    date_of_birth: str
    gender: str
    address: str
    refused: bool


def name_key(full_name: str) -> str:
    """What 033 compares: NFC, upper case, single spaces. Accents and the place of the tone mark count."""
    return " ".join(unicodedata.normalize("NFC", full_name).upper().split())


def load(store: Store, people: Sequence[Person]) -> None:
    """Add people; the same number with the same name replaces, with another name it is a second record."""
    with store.transaction() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO person VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    person.personal_id,
                    name_key(person.full_name),
                    person.old_id,
                    person.full_name,
                    person.date_of_birth,
                    person.gender,
                    person.address,
                    int(person.refused),
                )
                for person in people
            ),
        )


def exists(store: Store, personal_id: str, old_id: str, full_name: str) -> bool:
    """Whether a person has this number (the personal ID when given, else the old one) and this name."""
    column, number = ("personal_id", personal_id) if personal_id else ("old_id", old_id)
    found = store.connection.execute(
        f"SELECT 1 FROM person WHERE {column} = ? AND name_key = ? AND NOT refused",
        (number, name_key(full_name)),
    ).fetchone()
    return found is not None


def look_up(store: Store, personal_id: str, old_id: str) -> list[Person]:
    """All records under this number."""
    column, number = ("personal_id", personal_id) if personal_id else ("old_id", old_id)
    columns = "personal_id, old_id, full_name, date_of_birth, gender, address, refused"
    found = store.connection.execute(
        f"SELECT {columns} FROM person WHERE {column} = ? ORDER BY name_key",
        (number,),
    )
    return [
        Person(found_id, old, name, born, gender, address, bool(refused))
        for found_id, old, name, born, gender, address, refused in found
    ]


def count(store: Store) -> int:
    number: int = store.connection.execute("SELECT count(*) FROM person").fetchone()[0]
    return number
