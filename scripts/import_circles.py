#!/usr/bin/env python3
"""Finds source files of one crate that import each other, directly or through others. `scripts/import_circles.py`

Reads paths that begin with `crate` or `super` as text, without those of comments and of tests.
"""
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = re.compile(r"^#\[cfg\(test\)\]\s+mod \w+ \{.*?^\}", re.MULTILINE | re.DOTALL)
# A path, or `use` with braces up to its semicolon.
PATH = re.compile(r"\buse ((?:crate|super)\b[^;]*);|\b((?:crate|super)(?:::\w+)+)")


def branches(tree):
    """Every path of a `use` tree: `a::{b, c::{d, e}}` has three."""
    head, brace, rest = tree.partition("{")
    if not brace:
        yield head.split(" as ")[0].strip()
        return
    depth, begin, inner = 0, 0, rest.rpartition("}")[0] + ","
    for at, char in enumerate(inner):
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            if inner[begin:at].strip():
                yield from branches(head.strip() + inner[begin:at].strip())
            begin = at + 1


def modules_of(source, files):
    """Module path to file, of one crate."""
    modules = {}
    for file in files:
        path = file.relative_to(source).with_suffix("").parts
        modules[path[:-1] if path[-1] in ("mod", "lib", "main") else path] = file
    return modules


def imports(module, text, modules):
    text = TESTS.sub("", re.sub(r"//.*", "", text))
    for tree, path in PATH.findall(text):
        for one in branches(tree) if tree else [path]:
            names = one.split("::")
            outwards = sum(1 for name in names if name == "super")
            base = () if names[0] == "crate" else module[: len(module) - outwards]
            full = (*base, *(name for name in names if name not in ("crate", "super", "self")))
            # What a path names in a module may be an item, so its longest part that is a module counts.
            owner = next((full[:length] for length in range(len(full), 0, -1) if full[:length] in modules), None)
            if owner and owner != module:
                yield owner


def main():
    listed = subprocess.run(["git", "ls-files", "--", "*.rs"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.splitlines() if "/src/" in name and (ROOT / name).is_file()]
    files = [file for file in files if file.name != "tests.rs"]
    crates = {next(folder for folder in file.parents if folder.name == "src") for file in files}
    found = 0
    for source in sorted(crates):
        modules = modules_of(source, [file for file in files if file.is_relative_to(source)])
        graph = {module: set(imports(module, file.read_text(), modules)) for module, file in modules.items()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            found += 1
            print("circle of imports: " + " -> ".join(str(modules[module].relative_to(ROOT)) for module in reversed(error.args[1])))
    if found:
        sys.exit(f"{found} crates have files that import each other: move what both need into a file of its own")


if __name__ == "__main__":
    main()
