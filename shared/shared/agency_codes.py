"""The two forms of an agency's code, and the one everything is compared in.

Present form (Decision 20/2020/QĐ-TTg): `H08` the province, `H08.15` a department, further levels after dots. The form
before (QCVN 102:2016/BTTTT) stood the other way round, padded with zeros: `000.00.15.H08`; it is still spoken.
"""

import re
from collections.abc import Iterable, Sequence

OLD_FORM = r"^[0-9]{3}\.[0-9]{2}\.[0-9]{2}\.[A-Z][0-9]{2}$"
_OLD = re.compile(OLD_FORM)
_WIDTHS = (2, 2, 3)  # of the groups after the first, from the province downwards


def canonical(code: str) -> str:
    """The code in its present form: `000.00.15.H08` → `H08.15`; another form stays as it is."""
    if not _OLD.fullmatch(code):
        return code
    parts = code.split(".")[::-1]
    while len(parts) > 1 and not parts[-1].strip("0"):
        parts.pop()
    return ".".join(parts)


def canonical_dossier(code: str) -> str:
    """A dossier's code with its agency's in the present form: `000.00.15.H08-261122-0001` → `H08.15-261122-0001`."""
    agency, dash, rest = code.partition("-")
    return canonical(agency) + dash + rest


def forms(code: str) -> list[str]:
    """All ways to write this code."""
    plain = canonical(code)
    return sorted({code, plain, old_form(plain) or plain})


def old_form(code: str) -> str | None:
    """The code in its former form: `H08.15` → `000.00.15.H08`; None where it has none (too deep, other widths)."""
    top, *groups = code.split(".")
    if len(groups) > len(_WIDTHS) or any(len(it) != width for it, width in zip(groups, _WIDTHS, strict=False)):
        return None
    padded = groups + ["0" * width for width in _WIDTHS[len(groups) :]]
    turned = ".".join([*padded[::-1], top])
    return turned if _OLD.fullmatch(turned) and canonical(turned) == code else None


def agencies_within(asked: str | None, own: Sequence[str]) -> list[str] | None:
    """The agencies asked for (with all below them), as far as the caller has them, none twice; None: all there are."""
    if "*" in own:
        wanted = [] if asked is None else [asked]
        if not wanted:
            return None
    elif asked is None or any(is_within(asked, it) for it in own):
        wanted = list(own) if asked is None else [asked]
    else:
        wanted = [it for it in own if is_within(it, asked)]
    return sorted({it for it in wanted if not any(it != other and is_within(it, other) for other in wanted)})


def dossier_ranges(asked: str | None, own: Sequence[str]) -> list[tuple[str, str]] | None:
    """Where the codes of these agencies' dossiers lie (`agencies_within`), in order; None: all codes.

    A dossier's code begins with its agency's, so an agency with all below it is one range: from `H08.15-` up to, not
    including, `H08.15/` ("-" "." "/" follow each other).
    """
    agencies = agencies_within(asked, own)
    return None if agencies is None else sorted((f"{it}-", f"{it}/") for it in agencies)


def covers(own: Iterable[str], agency: str) -> bool:
    """Whether who has these agencies has this one: `H08` covers `H08` and `H08.*`; `*` covers all."""
    return any(it == "*" or is_within(agency, it) for it in own)


def is_within(agency: str, above: str) -> bool:
    """Whether an agency is this one or below it."""
    return agency == above or agency.startswith(above + ".")
