"""What both tests have around the release: a folder, the archives, and a Slack that keeps what it receives."""

import contextlib
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "commands"), str(ROOT / "tests" / "e2e" / "stack")]
import pages  # noqa: E402
import servers  # noqa: E402

FAKE_GITHUB = ROOT / "target" / "debug" / "examples" / "fake-github"
OFFLINE = "build-4 offline"


def packed(folder, kind, *arguments):
    """The file that scripts/release.py writes into `folder`."""
    before = set(folder.glob("*"))
    command = [ROOT / "scripts" / "release.py", "--output", folder, kind, *arguments]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    (file,) = set(folder.glob("*")) - before
    return file


def block(page, begins):
    """The commands of a code block in a page, found by its first line."""
    (found,) = [block for block in pages.blocks_and_spans(page)[0] if block.startswith(begins)]
    return pages.commands(found)


def until(what, question, deadline):
    """Asks until the answer is true; `what` says what is missing at the deadline."""
    while not question():
        if time.monotonic() > deadline:
            raise SystemExit(f"not in time: {what()}")
        time.sleep(0.1)


def fake_github(folder):
    return servers.printed(folder, "fake-github", FAKE_GITHUB)


@contextlib.contextmanager
def slack():
    """A webhook on 127.0.0.1. Yields its address and the messages that it received."""
    messages = []

    class Webhook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            messages.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/services/T0/B0/secret", messages
        finally:
            server.shutdown()
