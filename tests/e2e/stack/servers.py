"""AWS emulators on free ports of 127.0.0.1. Each stops at the end of the `with` block that uses it."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).parents[3]
LOCALSTACK = ROOT / ".tools" / "localstack" / "bin" / "python"
MINISTACK = ROOT / ".tools" / "ministack" / "bin" / "ministack"
START_SECS = 90

# Requests to this machine must not use a proxy.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@contextlib.contextmanager
def moto(folder):
    """CloudFormation, Lambda's settings, SSM, and SQS if LocalStack is not installed. Yields the address."""
    port = free_port()
    program = pathlib.Path(sys.executable).with_name("moto_server")
    # The template's artifacts are never uploaded.
    environment = {**os.environ, "VALIDATE_LAMBDA_S3": "false"}
    with server([program, "-H", "127.0.0.1", "-p", port], environment, folder / "moto.log"):
        yield answered(f"http://127.0.0.1:{port}", "/moto-api/", folder / "moto.log")


@contextlib.contextmanager
def localstack(folder):
    """SQS with the order and the de-duplication of FIFO queues. Yields the address, or None if it is not installed."""
    if not (LOCALSTACK.parents[1] / "installed").exists():
        yield None
        return
    port = free_port()
    state = folder / "localstack"
    state.mkdir()
    program = [LOCALSTACK, pathlib.Path(__file__).with_name("run_localstack.py"), port, state]
    with server(program, {**os.environ, "TMPDIR": str(state)}, folder / "localstack.log"):
        yield answered(f"http://127.0.0.1:{port}", "/_localstack/health", folder / "localstack.log")


@contextlib.contextmanager
def ministack(folder):
    """CloudFormation that translates a SAM template, and Lambda that runs the zips. Yields the address."""
    port = free_port()
    url, state = f"http://127.0.0.1:{port}", folder / "ministack"
    state.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(state), "TMPDIR": str(state), "NO_PROXY": "127.0.0.1",
                   # Without BIND_HOST it listens on all addresses. MINISTACK_HOST is in the addresses that it gives out.
                   "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1",
                   # The functions inherit it.
                   "AWS_ENDPOINT_URL": url}
    with server([MINISTACK], environment, folder / "ministack.log"):
        yield answered(url, "/_ministack/health", folder / "ministack.log")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def server(command, environment, log):
    with open(log, "w") as output:
        # In its own session, so that its child processes can be stopped with it.
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env=environment, start_new_session=True)
    try:
        yield process
    finally:
        end(process)


@contextlib.contextmanager
def printed(folder, name, *command):
    """A server that prints its address as its first line. Yields the address."""
    log = folder / f"{name}.log"
    with server(command, os.environ, log) as process:
        deadline = time.monotonic() + START_SECS
        while not (lines := log.read_text().splitlines()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} printed no address, exit code {process.poll()}")
            time.sleep(0.1)
        yield lines[0]


def home_of_sam(folder):
    """Makes a home in which SAM does not ask a registry for its newest version: it does so once a week."""
    (folder / ".aws-sam").mkdir()
    (folder / ".aws-sam" / "metadata.json").write_text(f'{{"lastVersionCheck": {time.time()}}}')


def end(process, within_secs=10):
    """Sends SIGTERM, then SIGKILL, to the process and its children."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(within_secs)
            return


def answered(url, path, log):
    """Waits until something answers at the address; returns the address."""
    deadline = time.monotonic() + START_SECS
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(url + path, timeout=2).close()
            return url
        time.sleep(0.1)
    raise SystemExit(f"nothing answers at {url} after {START_SECS} s:\n{log.read_text()[-2000:]}")
