"""What a folder of trained networks belongs to, so that a benchmark goes on with its own only."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparsenas import files
from sparsenas.errors import UserError


def claim(folder: Path, asked: Mapping[str, Any]) -> None:
    """Notes what a folder's networks are trained with; raises `UserError` where it is something else."""
    text = json.dumps(asked, indent=1) + "\n"
    path = folder / "settings.json"
    if not path.exists():
        files.write(path, text)
    elif path.read_text(encoding="utf-8") != text:
        raise UserError(
            f"The folder {str(folder)!r} holds networks that were trained otherwise ({path.name}); name "
            "another with --folder."
        )
