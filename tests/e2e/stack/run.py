"""Creates the stack on AWS emulators, then runs the scenarios on it.

    python run.py STORE BINARIES LOGS PROGRAM [ARGUMENT …]

STORE is the template's parameter, BINARIES has a folder with a `bootstrap` for each function, PROGRAM is the driver
(`deployed-stack`).
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import create_stack
import servers


# The exit code of a Rust program whose panic unwinds to `main`; an abort ends it by a signal.
UNWOUND = 101


def check_unwinding(binaries):
    """lambda_runtime turns a panic into an error only if panics unwind. Without Lambda's variables it panics."""
    for bootstrap in sorted(binaries.glob("*/bootstrap")):
        ended = subprocess.run([bootstrap], env={}, capture_output=True, timeout=30).returncode
        if ended != UNWOUND:
            sys.exit(f"{bootstrap}: exit code {ended} after a panic, must be {UNWOUND}: see `panic` in Cargo.toml")


def main(store, binaries, logs, program, *arguments):
    check_unwinding(pathlib.Path(binaries).resolve())
    with tempfile.TemporaryDirectory(prefix="stack-") as folder:
        folder = pathlib.Path(folder)
        with servers.moto(folder) as aws_url, servers.localstack(folder) as sqs_url:
            plan = create_stack.create(store, aws_url, sqs_url, pathlib.Path(binaries).resolve())
            (folder / "plan.json").write_text(json.dumps(plan, indent=2))
            made = f"{len(plan['functions'])} functions, {len(plan['queues'])} queues, {len(plan['mappings'])} mappings"
            queues = "LocalStack" if sqs_url else "moto"
            print(f"stack created: {made}; queues by {queues}; records in {store}", flush=True)
            command = [program, "--plan", folder / "plan.json", "--logs", logs, *arguments]
            return subprocess.run(command).returncode


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
