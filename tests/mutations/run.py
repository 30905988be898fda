#!/usr/bin/env python3
"""Applies small faults one at a time and reports which test catches each.

Works on a copy of the tree in target/mutations. Runs the quick tests first, then the simulation for faults that they
do not catch. Exit code 1 if nothing catches a fault, 2 if one cannot be applied or does not compile.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "mutations"
TREE = WORK / "tree"
# One profile for tests and simulation, so that every crate is built once for each fault. Without debug information
# linking takes seconds, with some optimisation a scenario takes milliseconds.
ENVIRONMENT = os.environ | {
    "CARGO_TARGET_DIR": str(WORK / "build"),
    "CARGO_PROFILE_DEV_OPT_LEVEL": "1",
    "CARGO_PROFILE_DEV_DEBUG": "false",
    "CARGO_INCREMENTAL": "1",
    "CARGO_TERM_COLOR": "never",
    "INSTA_UPDATE": "no",
    "RUST_BACKTRACE": "0",
    # The copy has no node_modules.
    "DYNOXIDE": os.environ.get("DYNOXIDE", str(ROOT / "tests/dynamodb/node_modules/@dynoxide/linux-x64/dynoxide")),
}
LIMIT_SECS = 900

CONTRACTS = ["test", "-p", "monitor-embedded", "--test", "contracts"]
STAGES = {
    "shared/pipeline": [CONTRACTS, ["test", "-p", "monitor-pipeline", "--lib", "--tests"]],
    "shared/domain": [["test", "-p", "monitor-domain", "--lib", "--tests"], CONTRACTS],
    "shared/embedded": [["test", "-p", "monitor-embedded", "--lib", "--test", "contracts", "--test", "file"]],
    "shared/stately": [["test", "-p", "monitor-stately", "--lib", "--test", "contracts", "--test", "client"]],
    "shared/dynamodb": [["test", "-p", "monitor-dynamodb-emulators", "--", "--skip", "ministack"]],
    "shared/github": [["test", "-p", "monitor-github", "--lib", "--tests"]],
    "shared/access": [["test", "-p", "monitor-access", "--lib"]],
    "shared/web": [["test", "-p", "monitor-web", "--lib", "--tests"]],
}
SIMULATED = ("shared/domain", "shared/pipeline", "shared/embedded")


def copy_tree():
    """Copies the tracked and untracked files. Unchanged files keep their time, so that they are not rebuilt."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True
    )
    wanted = {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()}
    for name in sorted(wanted):
        source, copy = ROOT / name, TREE / name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
    for found in [path for path in TREE.rglob("*") if path.is_file()]:
        if str(found.relative_to(TREE)) not in wanted:
            found.unlink()


def run(command):
    """Runs a command to its end. Returns whether it succeeded, and its output."""
    try:
        done = subprocess.run(
            ["cargo", *command], cwd=TREE, env=ENVIRONMENT, text=True, errors="replace", timeout=LIMIT_SECS,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired:
        return False, f"did not end within {LIMIT_SECS} s"
    return done.returncode == 0, done.stdout


def caught_by_tests(command):
    """The first test that fails. None if all pass."""
    succeeded, said = run(command)
    if succeeded:
        return None
    if said.startswith("did not end"):
        return said
    if re.search(r"^error: could not compile", said, re.M):
        raise Unusable(f"it does not compile:\n{said[-3000:]}")
    names = re.findall(r"^test (\S+)(?: - should panic)? \.\.\. FAILED", said, re.M)
    if not names:
        raise Unusable(f"cargo {' '.join(command)}:\n{said[-3000:]}")
    return f"`{names[0]}`{place_of(said, names[0])}"


def place_of(said, test):
    """Some tests are suites of many parts: the part in which the test panicked."""
    panicked = re.search(r"panicked at (shared/\S+\.rs):(\d+)", said)
    if not panicked or not (TREE / panicked[1]).exists():
        return ""
    before = (TREE / panicked[1]).read_text().splitlines()[: int(panicked[2])]
    part = next((found[1] for line in reversed(before) if (found := re.match(r"\s*(?:pub.* )?(?:async )?fn (\w+)", line))), None)
    return f", `{part}`" if part and part not in test else ""


def caught_by_simulations(simulations):
    """The invariant that a scenario of any kind violates. None if no scenario does."""
    return next((found for simulation in simulations if (found := caught_by_simulation(simulation))), None)


def caught_by_simulation(simulation):
    """The invariant that a scenario violates. None if no scenario does."""
    command = ["run", "-q", "-p", "monitor-simulation", "--", *simulation]
    _, said = run(command)
    broken = re.search(r"^seed (\d+) fails: (.*)$", said, re.M)
    if broken:
        return f"simulation, seed {broken[1]}: {broken[2]}"
    if re.search(r"no violation|proves nothing|never struck", said):
        return None
    if said.startswith("did not end"):
        return "simulation: " + said
    if "panicked at" in said:
        return "simulation: a stage panics"
    raise Unusable(f"the simulation did not run:\n{said[-3000:]}")


class Unusable(Exception):
    """A fault that cannot be tried."""


def altered(mutant, tree):
    """The file of a fault, its text, and its text with the fault."""
    path = tree / mutant["file"]
    before = path.read_text() if path.is_file() else ""
    count = before.count(mutant["search"])
    if count != 1:
        raise Unusable(f"{mutant['file']}: the text to replace occurs {count} times, not once")
    return path, before, before.replace(mutant["search"], mutant["replace"])


def list_all(mutants):
    """Lists the faults and reports those that cannot be applied to the current tree. Returns the number of those."""
    unusable = 0
    for mutant in mutants:
        try:
            altered(mutant, ROOT)
            print(f"{mutant['rule']:>10}  {mutant['name']}")
        except Unusable as error:
            unusable += 1
            print(f"CANNOT BE APPLIED  {mutant['name']}: {error}", file=sys.stderr)
    return unusable


def area(file):
    return "/".join(Path(file).parts[:2])


def with_fault(mutant, by):
    """Returns the result of `by` with the fault in the tree."""
    path, before, after = altered(mutant, TREE)
    path.write_text(after)
    try:
        return by()
    finally:
        path.write_text(before)


def first_of(stages):
    return next((found for command in stages if (found := caught_by_tests(command))), None)


def try_all(mutants, simulations):
    """Tries every fault with the tests, then with the simulation if no test catches it. Returns what caught each."""
    results, left, sound = {}, [], set()

    def attempt(mutant, by):
        began = time.monotonic()
        try:
            found = with_fault(mutant, by)
        except Unusable as error:
            print(f"CANNOT BE TRIED  {mutant['name']}\n{error}", flush=True)
            return False
        print(f"{time.monotonic() - began:4.0f} s  {mutant['name']}: {found or 'nothing'}", flush=True)
        results[mutant["name"]] = found
        return True

    # Sorted by crate, so that little is rebuilt between two faults.
    for mutant in sorted(mutants, key=lambda mutant: list(STAGES).index(area(mutant["file"]))):
        place = area(mutant["file"])
        if place not in sound:
            sound.add(place)
            if found := first_of(STAGES[place]):
                raise SystemExit(f"fails without any fault: {found}")
            print(f"{place} passes without a fault", flush=True)
        if attempt(mutant, lambda: first_of(STAGES[place])) and results[mutant["name"]] is None and place in SIMULATED:
            left.append(mutant)
    if left and (found := caught_by_simulations(simulations)):
        raise SystemExit(f"fails without any fault: {found}")
    for mutant in left:
        attempt(mutant, lambda: caught_by_simulations(simulations))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="TEXT", help="only faults whose name contains this text")
    parser.add_argument("--rule", help="only faults of this rule")
    parser.add_argument("--seeds", type=int, default=400, help="scenarios that the simulation plays for each fault [400]")
    parser.add_argument("--list", action="store_true", help="list the faults and check that each can be applied")
    parser.add_argument("--markdown", type=Path, help="write the table to this file too")
    arguments = parser.parse_args()
    mutants = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text())["mutant"]
    if arguments.only:
        mutants = [mutant for mutant in mutants if arguments.only in mutant["name"]]
    if arguments.rule:
        mutants = [mutant for mutant in mutants if mutant["rule"] == arguments.rule]
    if arguments.list:
        return 2 if list_all(mutants) else 0
    copy_tree()
    known = "tests/simulation/seeds/known.txt"
    each = ["--seeds", str(arguments.seeds), "--for-secs", "120"]
    results = try_all(mutants, [["--known", known, *each], ["--workflow-jobs", *each]])
    survivors = [name for name, found in results.items() if found is None]
    if arguments.markdown:
        tried = [mutant for mutant in mutants if mutant["name"] in results]
        rows = [f"| {it['rule']} | {it['name']} | {results[it['name']] or '**nothing**'} |\n" for it in tried]
        arguments.markdown.write_text("| rule | fault | caught by |\n|---|---|---|\n" + "".join(rows))
    unusable = len(mutants) - len(results)
    print(f"{len(results)} faults, {len(results) - len(survivors)} caught; {unusable} could not be tried")
    for name in survivors:
        print(f"SURVIVES: {name}")
    return 2 if unusable else 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
