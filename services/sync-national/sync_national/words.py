"""What a destination says, as it is kept: short, with nobody in it that it can name."""

import re

_LONGEST = 500
# An address begins where its word does: looked for at every letter of a long word, it takes the square of its length.
_PERSONAL = re.compile(r"(?<![^\s@])[^\s@]+@[^\s@]+|(?<![\d-])\d{9,12}(?!\d)")


def as_kept(said: str) -> str:
    """Without addresses and numbers of persons, and without NUL, which no table takes."""
    return _PERSONAL.sub("***", said)[:_LONGEST].replace("\x00", "")
