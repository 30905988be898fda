#!/usr/bin/env python3
"""Adds the inputs to the corpus that increase its coverage most: keep.py [TARGET…], after a search by run.sh.

The search keeps thousands of inputs. This takes a few small ones, each time the one that reaches the most code that
the others do not reach. A test that replays some tens of files then covers nearly everything that the search covered.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FUZZ = Path(__file__).resolve().parent
WORK = FUZZ.parents[1] / "target" / "fuzz"
MOST_FILES = 40
MOST_BYTES = 1_024


def coverage(target, folders):
    """Each input with the places in the program that it reaches, as libFuzzer reports them."""
    search = next((WORK / "build").glob("*/release/search"))
    with tempfile.TemporaryDirectory() as empty, tempfile.NamedTemporaryFile() as control:
        command = [search, "-set_cover_merge=1", "-use_counters=0", f"-merge_control_file={control.name}", empty, *folders]
        subprocess.run(command, env=os.environ | {"FUZZ_TARGET": target}, check=True, capture_output=True)
        lines = Path(control.name).read_text().splitlines()
    count = int(lines[0])
    paths = [Path(line) for line in lines[2 : 2 + count]]
    reached = {}
    for line in lines[2 + count :]:
        kind, index, *places = line.split()
        if kind == "FT":
            reached[paths[int(index)]] = set(places)
    return reached


def main():
    for target in sys.argv[1:] or sorted(folder.name for folder in (FUZZ / "corpus").iterdir()):
        kept = FUZZ / "corpus" / target
        reached = coverage(target, [kept, WORK / "corpus" / target])
        known = set().union(*(places for path, places in reached.items() if path.parent == kept))
        everything = set().union(*reached.values())
        candidates = {path: places for path, places in reached.items() if path.stat().st_size <= MOST_BYTES}
        while len(list(kept.iterdir())) < MOST_FILES and candidates:
            best = max(candidates, key=lambda path: (len(candidates[path] - known), -path.stat().st_size))
            if not candidates[best] - known:
                break
            content = best.read_bytes()
            (kept / f"found-{hashlib.sha256(content).hexdigest()[:12]}").write_bytes(content)
            known |= candidates.pop(best)
        print(f"{target}: {len(list(kept.iterdir()))} files, {len(known)} of {len(everything)} places")


if __name__ == "__main__":
    main()
