"""The commands in the docs that a reader is meant to type."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).parents[2]
SHELLS = {"sh", "bash", "shell", "console"}
# A code span is a command if it starts with one of these and has an argument.
PROGRAMS = {"aws", "cargo", "curl", "docker", "git", "make", "npm", "npx", "pip", "pipx", "python", "python3", "runner-monitor",
            "rustup", "sam", "sqlite3", "stately", "systemctl", "journalctl"}


def pages():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.split()
    return [path for path in listed if not path.startswith("docs/decisions/")]


def blocks_and_spans(path):
    """The shell blocks of a page, and the commands in its text, each once."""
    blocks, spans, fence, lines = [], [], None, []
    prose = []
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
        opened = re.match(r"( *)```(\w*)", line)
        if fence is None and opened:
            fence, lines = (opened[1], opened[2]), []
        elif fence is not None and line.strip() == "```":
            if fence[1] in SHELLS:
                blocks.append("\n".join(each.removeprefix(fence[0]) for each in lines))
            fence = None
        elif fence is not None:
            lines.append(line)
        else:
            prose.append(line)
    assert fence is None, f"{path}: a code block is not closed"
    for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", "\n".join(prose)):
        span = " ".join(span.replace("\\|", "|").split())
        if span.split(" ")[0] in PROGRAMS and " " in span:
            spans.append(span)
    return blocks, list(dict.fromkeys(spans))


def commands(block):
    """The commands of a block. Continued lines and functions are one command each; comments are left out."""
    found, taken = [], ""
    for line in block.splitlines():
        taken += ("\n" if taken else "") + line
        if is_whole(taken):
            text = taken.strip()
            if text and not text.startswith("#"):
                found.append(text)
            taken = ""
    assert not taken, f"an incomplete command: {taken}"
    return found


def is_whole(text):
    if text.rstrip().endswith("\\") or re.search(r"(\||&&)\s*$", text):
        return False
    # bash decides whether a function or a quotation is complete.
    return subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True).returncode == 0
