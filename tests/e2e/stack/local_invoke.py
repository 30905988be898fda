"""Runs the real `sam local invoke` for each function, in a container, with events that need no outside service.

    python local_invoke.py TEMPLATE      a template written by `sam build`

Uses a running Docker engine, or else starts one (needs root and Debian's docker.io) and stops it at the end.
If neither is possible, it says so and passes.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

import servers
from template import ARCHITECTURE

HERE = pathlib.Path(__file__).parent
EVENTS = servers.ROOT / "events"
SAM = pathlib.Path(sys.executable).with_name("sam")
IMAGE = "public.ecr.aws/lambda/provided"
PACKAGES = {"dockerd": "docker.io", "docker": "docker.io", "iptables": "iptables", "busybox": "busybox-static"}
AT_ONCE = 2


class NoEngine(Exception):
    """Why there is no container engine."""


# ---- the cases: what is invoked, and what is expected

# Containers reach no service here, not even SSM.
NOTHING_SET = {"PARAMETER_PREFIX": ""}
# The file that docs/DEPLOY-AWS.md lets people copy; here nothing listens at its addresses.
EXAMPLE = json.loads((EVENTS / "env.json").read_text())["Parameters"]
ALL_SET = {
    **EXAMPLE, "GITHUB_API_URL": "http://127.0.0.1:9", "SLACK_WEBHOOK": "http://127.0.0.1:9/services/example",
    "STATELYDB_ENDPOINT": "http://127.0.0.1:9",
}
SECRETS = {name: EXAMPLE[name] for name in ("SLACK_SIGNING_SECRET", "GITHUB_WEBHOOK_SECRET")}
STORE = ["STATELYDB_STORE_ID", "STATELYDB_SCHEMA_ID", "STATELYDB_ACCESS_KEY"]


def names(*settings):
    """Expects one error that names every missing setting."""
    def check(answer, _log, _event):
        assert answer.get("errorType") == "Settings", answer
        missing = [name for name in settings if name not in answer["errorMessage"]]
        assert not missing, f"{missing} not in: {answer['errorMessage']}"
    return check


def gets_as_far_as_the_store(answer, log, _event):
    """Expects that no setting is missing or malformed: only the store does not answer here."""
    assert answer.get("errorType") != "Settings" and "no answer from StatelyDB" in log, f"{answer}\n{log}"


def refuses(kind, words):
    def check(answer, _log, _event):
        assert answer.get("errorType") == kind and words in answer["errorMessage"], answer
    return check


def hands_back(words):
    """Expects an unreadable message to be logged, and to be retried because no dead-letter queue can be reached."""
    def check(answer, log, event):
        ids = [record["messageId"] for record in event["Records"]]
        assert answer == {"batchItemFailures": [{"itemIdentifier": id_} for id_ in ids]}, answer
        assert words in log and "could not be dead-lettered" in log, log
    return check


def responds(status, words):
    """Expects this answer to an HTTP request."""
    def check(answer, _log, _event):
        assert answer.get("statusCode") == status and words in (answer.get("body") or ""), answer
    return check


CASES = [
    ("names every missing setting",
     "SchedulerFunction", "scheduler-empty.json", NOTHING_SET, names("GITHUB_TOKEN", "REPOS", *STORE)),
    ("names every missing setting",
     "PollerFunction", "poller-by-hand.json", NOTHING_SET, names("GITHUB_TOKEN", *STORE)),
    ("names every missing setting",
     "NotifierFunction", "notifier-state-change.json", NOTHING_SET, names("SLACK_WEBHOOK", *STORE)),
    ("accepts the settings in events/env.json",
     "SchedulerFunction", "scheduled-event.json", ALL_SET, gets_as_far_as_the_store),
    ("accepts the settings in events/env.json",
     "PollerFunction", "poller-by-hand.json", ALL_SET, gets_as_far_as_the_store),
    ("accepts the settings in events/env.json",
     "NotifierFunction", "notifier-state-change.json", ALL_SET, gets_as_far_as_the_store),
    ("refuses another function's event",
     "SchedulerFunction", "poller-by-hand.json", NOTHING_SET, refuses("Event", "must be a tick")),
    ("returns a job that it can neither read nor dead-letter",
     "PollerFunction", "poller-malformed.json", ALL_SET, hands_back("the field `repo` is not known")),
    ("returns a state-change message that it can neither read nor dead-letter",
     "NotifierFunction", "notifier-malformed.json", ALL_SET, hands_back("`subject`")),
    ("names every missing setting",
     "SlackFunction", "slack-runner-help.json", NOTHING_SET, names("SLACK_SIGNING_SECRET", *STORE)),
    ("answers a signed request for help",
     "SlackFunction", "slack-runner-help.json", ALL_SET, responds(200, "/runner-status")),
    ("refuses a request with another signature",
     "SlackFunction", "slack-runner-help.json", {**ALL_SET, "SLACK_SIGNING_SECRET": "another"}, responds(401, "")),
    ("names every missing setting",
     "WebFunction", "web-fleet.json", NOTHING_SET, names("SLACK_SIGNING_SECRET", *STORE)),
    ("shows nothing without a session",
     "WebFunction", "web-fleet.json", ALL_SET, responds(401, "No session is open")),
    ("opens no session with a link that it did not make",
     "WebFunction", "web-open.json", ALL_SET, responds(403, "not a link of this monitor")),
    ("names its only setting",
     "HooksFunction", "hooks-ping.json", NOTHING_SET, names("GITHUB_WEBHOOK_SECRET")),
    ("accepts a signed delivery that is about no job",
     "HooksFunction", "hooks-ping.json", ALL_SET, responds(202, "")),
    ("says that it could not send the report of a job to the queue",
     "HooksFunction", "hooks-job-queued.json", ALL_SET, responds(503, "")),
    ("refuses a delivery with another signature",
     "HooksFunction", "hooks-job-queued.json", {**ALL_SET, "GITHUB_WEBHOOK_SECRET": "another"}, responds(401, "")),
]


def invoke(template, folder, number, case):
    _, function, event, settings, check = case
    given, sent = folder / f"env-{number}.json", folder / f"event-{number}.json"
    given.write_text(json.dumps({"Parameters": settings}))
    # Signed with the same script that people use.
    signed = subprocess.run([EVENTS / "sign", EVENTS / event], capture_output=True, text=True, check=True,
                            env={**os.environ, **SECRETS})
    sent.write_text((EVENTS / event).read_text() if function == "WebFunction" else signed.stdout)
    command = [SAM, "local", "invoke", function, "--template", template, "--event", sent,
               "--env-vars", given, "--skip-pull-image", "--region", "us-east-1",
               "--parameter-overrides", f"Architecture={ARCHITECTURE}"]
    output = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=180,
                            env={**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_ACCESS_KEY_ID": "any",
                                 "AWS_SECRET_ACCESS_KEY": "any"})
    answers = [line for line in output.stdout.splitlines() if line.startswith("{")]
    assert answers, f"no answer: {output.stdout}\n{output.stderr}"
    check(json.loads(answers[-1]), output.stdout + output.stderr, json.loads(sent.read_text()))


# ---- the engine


@contextlib.contextmanager
def engine(folder):
    """Provides a Docker engine; DOCKER_HOST has its address."""
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True).returncode == 0:
        yield
        return
    if os.geteuid() != 0:
        raise NoEngine("no Docker engine runs, and only root can start one")
    check_installed()
    socket = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--host", socket, "--data-root", folder / "data", "--exec-root", folder / "exec",
               "--pidfile", folder / "docker.pid"]
    had_bridge = bridge_exists()
    try:
        with servers.server(command, os.environ, folder / "dockerd.log") as process:
            wait_for(process, socket, folder / "dockerd.log")
            os.environ["DOCKER_HOST"] = socket
            yield
    finally:
        os.environ.pop("DOCKER_HOST", None)
        if not had_bridge and shutil.which("ip"):
            subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True)


def check_installed():
    missing = sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})
    if missing:
        raise NoEngine(f"install {', '.join(missing)} (.ci/run does)")


def bridge_exists():
    return pathlib.Path("/sys/class/net/docker0").exists()


def wait_for(process, socket, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if subprocess.run(["docker", "--host", socket, "info"], capture_output=True).returncode == 0:
            return
        time.sleep(0.2)
    raise NoEngine(f"dockerd does not start: {log.read_text().strip()[-500:]}")


@contextlib.contextmanager
def base_image(programs):
    """The base image for SAM: the original if the engine has it, else a substitute that is removed at the end."""
    tag = f"{IMAGE}:al2023-{ARCHITECTURE}"
    if subprocess.run(["docker", "image", "inspect", tag], capture_output=True).returncode == 0:
        yield
        return
    subprocess.run([HERE / "base-image", tag, *programs], check=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True)


def main(template):
    template = pathlib.Path(template).resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="engine-"))
    try:
        with engine(folder), base_image(template.parent.glob("*/bootstrap")):
            return invoke_all(template, folder)
    except NoEngine as reason:
        print(f"SKIPPED `sam local invoke`, no container engine can be started here: {reason}")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def invoke_all(template, folder):
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        # The first case runs alone: it makes SAM build its image from the base image.
        running = []
        for number, case in enumerate(CASES):
            running.append(pool.submit(invoke, template, folder, number, case))
            if number == 0:
                concurrent.futures.wait(running)
        for (title, function, event, _, _), future in zip(CASES, running):
            error = future.exception()
            failed += error is not None
            print(f"{'FAILED' if error else 'ok    '}  sam local invoke {function} -e events/{event} {title}", flush=True)
            if error:
                traceback.print_exception(error)
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
