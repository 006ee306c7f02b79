"""Plays a session that is written down in Markdown: commands with what they print, and edits of files between them.

A block `console` holds commands, each behind `$ `, and below each what it prints, and its exit code where that is not
0. A block `diff` changes the file that its first line names: lines with `-` are replaced by those with `+`.

    python -m tests.examples.transcript     writes examples/new_user.md anew, to be read before it is committed
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["SESSION", "played"]

SESSION = Path(__file__).resolve().parents[2] / "examples" / "new_user.md"
ROOT = SESSION.parents[1]
BLOCK = re.compile(r"```(console|diff)\n(.*?)```\n", re.DOTALL)
FOLDER = "/home/you/project"
"""What stands in the text for the folder in which it was played."""
KEYS = {
    "AZURE_OPENAI_API_KEY": "not-a-key",
    "AZURE_OPENAI_ENDPOINT": "https://acme.openai.azure.com",
    "AWS_BEARER_TOKEN_BEDROCK": "not-a-key",
    "AWS_REGION": "eu-central-1",
    "OVH_AI_ENDPOINTS_ACCESS_TOKEN": "not-a-key",
}


def played(text: str, folder: Path) -> str:
    """The same text with what its commands print now, played in an empty folder."""

    def replay(match: re.Match[str]) -> str:
        kind, body = match.groups()
        if kind == "diff":
            _edit(folder, body)
            return match[0]
        commands = [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]
        return f"```console\n{''.join(_run(folder, command) for command in commands)}```\n"

    return BLOCK.sub(replay, text)


def _run(folder: Path, command: str) -> str:
    program, *arguments = shlex.split(command)
    assert program == "modelrouter", command
    done = subprocess.run(
        [sys.executable, "-m", "modelrouter", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "100", "HOME": str(folder), **KEYS},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    printed = "\n".join(line.rstrip() for line in done.stdout.replace(str(folder), FOLDER).splitlines())
    code = f"(exit code {done.returncode})\n" if done.returncode else ""
    return f"$ {command}\n{printed}\n{code}"


def _edit(folder: Path, body: str) -> None:
    name, *changes = body.splitlines()
    path = folder / name
    text = path.read_text(encoding="utf-8")
    for removed, added in re.findall(r"((?:^-.*\n)*)((?:^\+.*\n?)*)", "\n".join(changes) + "\n", re.MULTILINE):
        if not (removed or added):
            continue
        old, new = (re.sub(r"^[-+]", "", part, flags=re.MULTILINE) for part in (removed, added))
        assert text.count(old) == 1, f"{name} does not hold this once: {old}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        SESSION.write_text(played(SESSION.read_text(encoding="utf-8"), Path(made)), encoding="utf-8")
