"""What a study found, as files: JSON for programs, Markdown for people."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from serving.files import replace_file

__all__ = ["keep", "page"]


def keep(folder: Path, name: str, document: Mapping[str, Any], text: str) -> None:
    """Write ``name.json`` and ``name.md`` to a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for ending, content in (("json", json.dumps(document, indent=1) + "\n"), ("md", text)):
        replace_file(folder / f"{name}.{ending}", content.encode())


def page(title: str, about: str, command: str, table: Iterable[str]) -> str:
    """Return a page of one table as Markdown, with the command that it comes from.

    Args:
        title: of the page.
        about: what was done, in a sentence or two.
        command: as it may be published.
        table: lines of it, heads first.
    """
    lines = (f"# {title}", "", about, "", "```sh", command, "```", "", *table)
    return "\n".join(lines) + "\n"
