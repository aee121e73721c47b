"""The code blocks of the documents, as they are written."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
_FENCE = re.compile(r"^```(\w+)?(?: title=\"([^\"]+)\")?$")
_INDENT = "    "


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block, or an indented one, which has no language.

    Attributes:
        line: of the document, from 1.
        title: the file that the block is, where it says so.
        not_run: why nobody runs it; empty where it is run.
    """

    document: str
    line: int
    language: str
    title: str
    text: str
    not_run: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """Yields what follows `sparsenas` in its lines."""
        for line in self.text.splitlines():
            # The program may be named by its path in an environment.
            if re.match(r"(\S+/bin/)?sparsenas ", line):
                yield shlex.split(line, comments=True)[1:]


def documents() -> list[str]:
    """Returns the paths of all documents for users, from the root of the repository."""
    found = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/**/*.md"))]
    return ["README.md", "CONTRIBUTING.md", "experiments/README.md", "latency_models/README.md", *found]


def blocks(document: str) -> list[Block]:
    """Returns the code blocks of a document in their order."""
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    found, reason, at = [], "", 0
    while at < len(lines):
        line, start = lines[at], at + 1
        at += 1
        if mark := NOT_RUN.fullmatch(line):
            reason = mark[1]
            continue
        language = title = ""
        if fence := _FENCE.match(line):
            language, title = fence[1] or "", fence[2] or ""
            end = lines.index("```", at)
            text, at = "\n".join(lines[at:end]), end + 1
        elif line.startswith(_INDENT) and not lines[start - 2].strip():
            while at < len(lines) and (lines[at].startswith(_INDENT) or not lines[at].strip()):
                at += 1
            text = "\n".join(one.removeprefix(_INDENT) for one in lines[start - 1 : at])
        else:
            reason = reason if not line.strip() else ""
            continue
        found.append(
            Block(document=document, line=start, language=language, title=title, text=text, not_run=reason)
        )
        reason = ""
    return found
