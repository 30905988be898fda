"""Runs the commands in the docs as they are written, against fakes: MiniStack for AWS (with the AWS CLI and SAM that the tests pin), the
fake GitHub and Slack, and the local StatelyDB server. commands.toml says how, or why a command cannot run here. The run fails if a
command in the docs is missing there, or if an entry there is no longer in the docs.

    python commands.py [NAME …]      only the scenarios of these names

AWS_CLI names another AWS CLI, for example version 2.
"""

import contextlib
import os
import pathlib
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib

import pages

sys.path[:0] = [str(pages.ROOT / "tests" / "e2e" / "stack"), str(pages.ROOT / "scripts")]
import release  # noqa: E402
import servers  # noqa: E402
import template  # noqa: E402

DATA = tomllib.loads(pathlib.Path(__file__).with_name("commands.toml").read_text(encoding="utf-8"))
BUILT = pages.ROOT / "target" / "debug"
WITHIN_SECS = 300
# Runs a program until its log contains a text, then ends it as systemd does. It must exit with code 0.
PREAMBLE = r"""
set -euo pipefail
until_said() {
  local said=$1 log; shift
  log=$(mktemp)
  ( eval "exec env $*" ) >"$log" 2>&1 &
  local pid=$!
  for _ in $(seq 600); do
    if grep -q -- "$said" "$log"; then break; fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  grep -q -- "$said" "$log" || { echo "not in the log: $said" >&2; cat "$log" >&2; kill "$pid"; exit 1; }
  kill -TERM "$pid"; wait "$pid"
}
"""


def bare(command):
    """A command without comments and with single spaces: the form in which commands are compared."""
    lines = [re.sub(r"\s+#( .*)?$", "", line) for line in command.splitlines()]
    return " ".join(" ".join(line.rstrip("\\") for line in lines).split())


def everything():
    """Returns the blocks by page and first command, and every command with its pages."""
    blocks, known = {}, {}
    for page in pages.pages():
        found, spans = pages.blocks_and_spans(page)
        for block in found:
            commands = pages.commands(block)
            blocks.setdefault((page, bare(commands[0])), []).append(commands)
            for command in commands:
                known.setdefault(bare(command), set()).add(page)
        for span in spans:
            known.setdefault(bare(span), set()).add(page)
    return blocks, known


def check_complete(blocks, known):
    """Fails unless every command in the docs is run or listed, and every listed one is in the docs."""
    listed = {bare(command): each["reason"] for each in DATA["listed"] for command in each["commands"]}
    run, faults = set(), []
    for scenario in DATA["scenario"]:
        for begins in scenario["blocks"]:
            found = blocks.get((scenario["page"], bare(begins)))
            if not found:
                faults.append(f"scenario {scenario['name']}: {scenario['page']} has no block that starts with `{begins}`")
            for commands in found or []:
                run |= {bare(command) for command in commands}
    targets = set(re.findall(r"^([a-z-]+):", (pages.ROOT / "Makefile").read_text(), re.MULTILINE))
    for command, where in known.items():
        made = re.fullmatch(r"make ([a-z-]+)( [A-Z_]+=.*)?", command)
        if made and made[1] in targets:
            # CI or the nightly job runs the target, or it takes too long. Here it must only exist.
            continue
        if command not in run and command not in listed:
            faults.append(f"{', '.join(sorted(where))}: neither run nor listed: `{command}`")
    faults += [f"listed, but not in the docs: `{command}`" for command in sorted(set(listed) - set(known))]
    faults += [f"listed without a reason: `{command}`" for command, reason in listed.items() if len(reason) < 20]
    if faults:
        sys.exit("tests/commands/commands.toml:\n" + "\n".join(faults))
    return listed, run


def script(scenario, blocks, listed):
    """The blocks of a scenario as a script: as written, except for the replacements in commands.toml."""
    lines = [PREAMBLE, scenario.get("before", "")]
    until = {bare(command): said for command, said in scenario.get("until", {}).items()}
    codes = {bare(command): code for command, code in scenario.get("codes", {}).items()}
    for begins in scenario["blocks"]:
        for command in [each for found in blocks[scenario["page"], bare(begins)] for each in found]:
            known, text = bare(command), command
            if known in listed:
                continue
            for given, put in scenario.get("replace", {}).items():
                text = text.replace(given, put)
            lines.append(f"printf '+ %s\\n' {shlex.quote(known)} >&2")
            if known in until:
                text = f"until_said {shlex.quote(until[known])} {shlex.quote(bare(text))}"
            elif known in codes:
                text = f"code=0\n{{ {text}\n}} || code=$?\n[ $code = {codes[known]} ] || {{ echo \"exit code $code\" >&2; exit 1; }}"
            lines.append(text)
    return "\n".join([*lines, scenario.get("after", ""), ""])


def run(scenario, blocks, listed, environment):
    with tempfile.TemporaryDirectory(prefix="commands-") as folder:
        folder = pathlib.Path(folder)
        # The commands write into a copy, not into the tree.
        for name in ("infra", "events", "schema"):
            subprocess.run(["cp", "-r", pages.ROOT / name, folder / name], check=True)
        servers.home_of_sam(folder)
        program = folder / "script"
        program.write_text(script(scenario, blocks, listed), encoding="utf-8")
        given = {**environment, "HOME": str(folder), **{name: os.path.expandvars(value) for name, value in
                                                       scenario.get("environment", {}).items()}}
        for name, value in given.items():
            for known, put in environment.items():
                value = value.replace("{" + known + "}", put)
            given[name] = value
        answers = "".join(f"{answer}\n" for answer in scenario.get("typed", []))
        # A terminal, for input that a person types.
        ours, theirs = pty.openpty()
        os.write(ours, answers.encode())
        process = subprocess.Popen(["bash", program], cwd=pages.ROOT if scenario.get("in_tree") else folder, env=given,
                                   stdin=theirs if answers else subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, start_new_session=True)
        try:
            output, _ = process.communicate(timeout=WITHIN_SECS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"took longer than {WITHIN_SECS} s"
        finally:
            os.close(ours), os.close(theirs)
        missing = [text for text in scenario.get("says", []) if text not in output]
        # Not `y`, an answer to a question.
        secrets = [secret for secret in scenario.get("typed", []) if len(secret) > 1 and secret in output]
        if process.returncode or missing or secrets:
            return f"exit code {process.returncode}, lacks {missing}, shows {secrets}:\n{output}"
        return None


@contextlib.contextmanager
def world():
    """Starts the fakes. Yields the environment of the commands."""
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="world-")))
        aws = stack.enter_context(servers.ministack(folder))
        github = stack.enter_context(servers.printed(folder, "github", BUILT / "examples" / "fake-github"))
        slack = stack.enter_context(servers.printed(folder, "slack", BUILT / "examples" / "fake-slack"))
        stately = stack.enter_context(servers.printed(folder, "stately", BUILT / "stately-server", "--port", "0"))
        # Version 1 of the AWS CLI ignores AWS_ENDPOINT_URL for SQS.
        installed = pathlib.Path(sys.executable).parent
        cli = os.environ.get("AWS_CLI", installed / "aws")
        (folder / "aws").write_text(f'#!/bin/sh\nexec "{cli}" --endpoint-url "$AWS_ENDPOINT_URL" "$@"\n')
        (folder / "aws").chmod(0o755)
        path = [str(folder), str(BUILT), str(installed), os.environ["PATH"]]
        home = pathlib.Path.home()
        environment = {
            "PATH": ":".join(path), "LANG": "C.UTF-8", "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(home / ".rustup")),
            "CARGO_HOME": os.environ.get("CARGO_HOME", str(home / ".cargo")),
            "AWS_ENDPOINT_URL": aws, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": template.REGION, "AWS_PAGER": "", "SAM_CLI_TELEMETRY": "0",
            "GITHUB": github, "SLACK": slack, "STATELY": stately,
        }
        deploy(folder / "release", environment)
        yield environment


def deploy(folder, environment):
    """Creates the stack from the archive of a release, whose functions are never run."""
    for name in release.FUNCTIONS:
        (folder / "built" / name).mkdir(parents=True)
        shutil.copy("/bin/true", folder / "built" / name / "bootstrap")
    script = """
        "$RELEASE" --output . functions --architecture arm64 --built built
        tar -xzf *.tar.gz && cd runner-monitor-*-arm64
        aws s3 mb s3://stack
        aws cloudformation package --template-file template.yaml --s3-bucket stack --output-template-file packaged.yaml
        aws cloudformation deploy --template-file packaged.yaml --s3-bucket stack --stack-name github-runner-monitor \\
          --capabilities CAPABILITY_IAM --parameter-overrides Store=dynamodb
        # The mappings would take the messages that the commands send.
        for mapping in $(aws lambda list-event-source-mappings --query 'EventSourceMappings[].UUID' --output text); do
          aws lambda update-event-source-mapping --uuid "$mapping" --no-enabled
        done"""
    done = subprocess.run(["bash", "-euc", script], cwd=folder, env={**environment, "RELEASE": str(pages.ROOT / "scripts" / "release.py")},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"the stack was not created:\n{done.stdout}")


def main(names):
    blocks, known = everything()
    listed, ran = check_complete(blocks, known)
    failed = 0
    with world() as environment:
        for scenario in DATA["scenario"]:
            if names and scenario["name"] not in names:
                continue
            fault = run(scenario, blocks, listed, environment)
            failed += fault is not None
            print(f"{'FAILED' if fault else 'ok    '}  {scenario['page']}: {scenario['name']}{f': {fault}' if fault else ''}", flush=True)
    print(f"{len(known)} commands in the docs, {len(ran - set(listed))} of them run, {len(listed)} listed with a reason")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
