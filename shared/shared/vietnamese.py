"""Vietnamese text: one normal form, folding for search.

`hoà` and `hòa` are the same word with the tone mark in two traditional places and differ even after NFC:
the new place (on the main vowel) is taken for comparison.
"""

import unicodedata

_TONES = "\u0300\u0301\u0303\u0309\u0323"  # huyền sắc ngã hỏi nặng
# Old place of the tone → new place: oà → òa is the older *writing*; we settle on the mark standing on the last
# vowel of the open pairs oa, oe, uy, so both spellings meet.
_OPEN_PAIRS = ("oa", "oe", "uy")


def normal(text: str) -> str:
    """NFC with the tone mark of open `oa oe uy` syllables on their last vowel."""
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", _move_tones(decomposed))


def _move_tones(decomposed: str) -> str:
    letters = list(decomposed)
    for i in range(len(letters) - 2):
        first, tone, second = letters[i : i + 3]
        if tone in _TONES and (first + second).lower() in _OPEN_PAIRS:
            following = letters[i + 3] if i + 3 < len(letters) else " "
            open_syllable = not following.isalpha() and not unicodedata.combining(following)
            after_q = i > 0 and letters[i - 1].lower() == "q"
            if open_syllable and not after_q:
                letters[i + 1], letters[i + 2] = second, tone
    return "".join(letters)


def unaccented(text: str) -> str:
    """Without accents, case kept: `Nguyễn Đức` → `Nguyen Duc`."""
    decomposed = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def fold(text: str) -> str:
    """For search: lower case, no accents, single spaces."""
    return " ".join(unaccented(text).lower().split())
