#!/usr/bin/env python3
"""Finds words that this project does not use. `scripts/vocabulary.py [--counts] [PATH…]`; the words are in vocabulary.toml.

Identifiers are split into their words first, so `is_told` and `ToldThrough` are found as `told`.
"""
import argparse
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Recorded inputs and answers of others, licences, lock files, and the list itself.
NOT_SEARCHED = re.compile(r"(^|/)(LICENSE.*|Cargo\.lock|package-lock\.json|corpus/.*|recorded/.*|vocabulary\.(py|toml))$")
SEARCHED = re.compile(r"\.(rs|md|toml|py|mjs|ts|sql|ya?ml|json|snap|sh|dict)$|(^|/)(Makefile|run)$")
IN_IDENTIFIER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_(?=[A-Za-z0-9])")


def rules():
    table = tomllib.loads((HERE / "vocabulary.toml").read_text())
    for word in table["word"]:
        exceptions = "|".join(word.get("except", []))
        pattern = re.compile(rf"(?<![A-Za-z])(?:{word['pattern']})(?![A-Za-z])", re.IGNORECASE)
        yield pattern, re.compile(exceptions, re.IGNORECASE) if exceptions else None, word["instead"]
    for phrase in table.get("phrase", []):
        yield re.compile(phrase["pattern"]), None, phrase["instead"]


def tracked(paths):
    listed = subprocess.run(["git", "ls-files", "--", *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if SEARCHED.search(name) and not NOT_SEARCHED.search(name)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", default=["."])
    parser.add_argument("--counts", action="store_true", help="only how many there are in each file")
    arguments = parser.parse_args()
    found, counts = list(rules()), Counter()
    for name in tracked(arguments.paths):
        path = ROOT / name
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            spaced = IN_IDENTIFIER.sub(" ", line)
            for pattern, exceptions, instead in found:
                searched = exceptions.sub("", spaced) if exceptions else spaced
                hit = pattern.search(searched)
                if hit:
                    counts[name] += 1
                    if not arguments.counts:
                        print(f"{name}:{number}: `{hit.group().strip()}`: {instead}\n    {line.strip()[:150]}")
    if arguments.counts:
        for name, count in counts.most_common():
            print(f"{count:5} {name}")
    total = sum(counts.values())
    if total:
        print(f"{total} words in {len(counts)} files that scripts/vocabulary.toml replaces", file=sys.stderr)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
