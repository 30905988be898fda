"""`sam local invoke` of each function for real, in a container, with events whose answer needs nobody outside.

    python local_invoke.py TEMPLATE      a template that `sam build` wrote

Uses a Docker engine that runs already, or else starts one of its own (root, Debian's docker.io), which ends with it.
Where neither can be had it says so and passes.
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


# ---- what is invoked, and what is expected


def settings_error(answer, names):
    """One error that names each setting and the variable or command that sets it."""
    assert answer.get("errorType") == "Settings", answer
    missing = [name for name in names if name not in answer["errorMessage"]]
    assert not missing, f"{missing} not in: {answer['errorMessage']}"


def no_failures(answer):
    assert answer == {"batchItemFailures": []}, answer


STORE = ["STATELYDB_STORE_ID", "STATELYDB_SCHEMA_ID", "STATELYDB_ACCESS_KEY"]
CASES = [
    ("SchedulerFunction", "scheduler-empty.json", lambda answer: settings_error(answer, ["GITHUB_TOKEN", "REPOS", *STORE])),
    ("PollerFunction", "poller-by-hand.json", lambda answer: settings_error(answer, ["GITHUB_TOKEN", *STORE])),
    ("NotifierFunction", "notifier-wake-up.json", lambda answer: settings_error(answer, ["SLACK_WEBHOOK", *STORE])),
]


def invoke(template, function, event, check, environment):
    command = [SAM, "local", "invoke", function, "--template", template, "--event", EVENTS / event,
               "--env-vars", environment, "--skip-pull-image", "--region", "us-east-1"]
    output = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=180,
                            env={**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_ACCESS_KEY_ID": "any",
                                 "AWS_SECRET_ACCESS_KEY": "any"})
    lines = [line for line in output.stdout.splitlines() if line.startswith("{")]
    assert lines, f"no answer: {output.stdout}\n{output.stderr}"
    check(json.loads(lines[-1]))


# ---- the engine


@contextlib.contextmanager
def engine(folder):
    """A Docker engine; its address is in DOCKER_HOST."""
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True).returncode == 0:
        yield
        return
    if os.geteuid() != 0:
        raise NoEngine("no Docker engine runs, and only root can start one")
    install()
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


def install():
    missing = sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise NoEngine(f"{', '.join(missing)} not installed, and there is no apt-get")
    subprocess.run(["apt-get", "update", "-qq"], capture_output=True)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if done.returncode != 0:
        raise NoEngine(f"apt-get install {' '.join(missing)}: {done.stderr.strip()[-300:]}")


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
    """The image that SAM builds upon: the original if the engine has it, else a stand-in for as long as it is needed."""
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
    environment = folder / "env.json"
    # Nothing is asked of SSM: containers reach nobody here.
    environment.write_text(json.dumps({"Parameters": {"PARAMETER_PREFIX": ""}}))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        # The first one alone: SAM builds its image.
        invoke(template, *CASES[0][:2], lambda answer: None, environment)
        running = [(case, pool.submit(invoke, template, *case, environment)) for case in CASES]
        for (function, event, _), future in running:
            error = future.exception()
            failed += error is not None
            print(f"{'FAILED' if error else 'ok    '}  sam local invoke {function} -e events/{event}", flush=True)
            if error:
                traceback.print_exception(error)
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
