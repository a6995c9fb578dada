"""A mutant: the hub with one promise broken on purpose, and the tests that must notice."""

from dataclasses import dataclass
from pathlib import Path


class DoesNotApply(Exception):
    """The code that the mutant changes is not there any more, or is there twice: write the mutant anew."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """Replacements in one file. `tests` are pytest node ids, the fewest that must catch it."""

    name: str
    path: str
    edits: tuple[tuple[str, str], ...]
    """What stands in the file exactly once, and what stands there in the mutant."""
    tests: tuple[str, ...]

    def mutated(self, root: Path) -> str:
        """The file's text with the promise broken. Raises `DoesNotApply`."""
        text = (root / self.path).read_text()
        for before, after in self.edits:
            if (found := text.count(before)) != 1:
                raise DoesNotApply(f"{self.path} has this {found} times instead of once:\n{before}")
            text = text.replace(before, after)
        return text
