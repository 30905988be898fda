"""Installs the program of a release in an empty root as docs/INSTALL.md says, and lets it alert about an offline runner.

    python program.py PROGRAM      PROGRAM is the built program, for example target/release/runner-monitor

The root has the archive and the shared libraries of the program, nothing else. The program is shut into
it (chroot), in a network of its own without any way out (unshare). Needs root, sudo without a password, or user namespaces.
"""

import fcntl
import pathlib
import platform
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import world
from world import servers

# From the moment at which the archive is unpacked.
WITHIN_SECS = 60
UNIT = "etc/systemd/system/runner-monitor.service"
SETTINGS = "etc/runner-monitor/runner-monitor.env"
STORE = "var/lib/runner-monitor"
# Not every PATH of a user has it.
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
SHUT_IN = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
WAYS = [SHUT_IN, [*SHUT_IN, "--user", "--map-root-user"], ["sudo", "--non-interactive", *SHUT_IN]]


class Root:
    """The empty machine."""

    def __init__(self, folder):
        self.folder = folder / "root"
        # Debian has these folders.
        for name in ("usr/local/bin", "etc/systemd/system", "root", "tmp"):
            (self.folder / name).mkdir(parents=True)

    def adds_libraries(self, program):
        """Copies each library that ldd lists with a path, with the loader; a static program has none."""
        listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        libraries = sorted(set(re.findall(r"/\S+\.so\S*", listed)))
        for library in libraries:
            (self.folder / library[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, self.folder / library[1:])
        return len(libraries)

    def types(self, commands):
        """Runs commands of the page on the root from outside, for it has no shell. Only the program is run inside."""
        script = ["set -euo pipefail", 'sudo() { "$@"; }', f"root={self.folder}"]
        for command in commands:
            inside = command.startswith("./runner-monitor ")
            if inside:
                # Time runs faster in this demo, which takes most of a minute otherwise.
                command = f'env -i {CHROOT} "$root" "${{PWD#"$root"}}/"{command[2:]} --speed 300'
            script.append(command if inside else re.sub(r" /(?=etc|usr)", ' "$root"/', command))
        done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=self.folder / "root", capture_output=True, text=True)
        assert done.returncode == 0, f"exit code {done.returncode}: {commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def files(self):
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


def starts_service(root):
    """The command and the environment that systemd reads from the unit and its file of settings."""
    unit = (root.folder / UNIT).read_text()
    (command,) = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    (settings,) = re.findall(r"^EnvironmentFile=/(.+)$", unit, re.MULTILINE)
    (state,) = re.findall(r"^StateDirectory=(.+)$", unit, re.MULTILINE)
    lines = re.findall(r"^Environment=(.+)$", unit, re.MULTILINE)
    lines += [line for line in (root.folder / settings).read_text().splitlines() if line and not line.startswith("#")]
    (root.folder / "var/lib" / state).mkdir(parents=True)
    return [CHROOT, str(root.folder), *command.split()], dict(line.split("=", 1) for line in lines)


def fills_in(settings, values):
    """Writes values into the lines that the file has for them, and the others below."""
    text = settings.read_text()
    for name, value in values.items():
        line = f"{name}={value}"
        text, found = re.subn(rf"^#?{name}=$", line.replace("\\", r"\\"), text, flags=re.MULTILINE)
        text += "" if found else f"{line}\n"
    settings.write_text(text)


def check(program, downloaded, folder):
    root = Root(folder)
    libraries = root.adds_libraries(program)
    for file in downloaded.iterdir():
        shutil.copy(file, root.folder / "root")
    with world.fake_github(folder) as github, world.slack() as (webhook, messages):
        began = time.monotonic()
        commands = world.block("docs/INSTALL.md", "sha256sum --check")
        demo = root.types([command.replace("x86_64", platform.machine()) for command in commands])
        assert ".tar.gz: OK" in demo and "offline" in demo, demo
        said(f"checked, unpacked and seen at work, beside {libraries} libraries", began)
        (unpacked,) = (root.folder / "root").glob("*/")
        root.types([f"cd {unpacked}", *world.block("docs/INSTALL.md", "sudo install -m 755 runner-monitor /usr/local/bin/")])
        fills_in(root.folder / SETTINGS, {
            "GITHUB_TOKEN": "test-token", "REPOS": "acme/web", "SLACK_WEBHOOK": webhook, "GITHUB_API_URL": github,
            # By default three checks have to find the runner offline, a minute apart.
            "POLICY": '{"failureThreshold":2,"recheckInterval":"10s"}'})
        before = root.files()
        command, environment = starts_service(root)
        log = folder / "service.log"
        with servers.server(command, environment, log) as service:
            world.until(lambda: f"no message has {world.OFFLINE!r}: {messages}\n{log.read_text()}",
                        lambda: any(world.OFFLINE in str(message) for message in messages) or ended(service, log),
                        began + WITHIN_SECS)
            said("a fleet is watched, and Slack has an alert about the offline runner", began)
            inside = [CHROOT, root.folder, "/usr/local/bin/runner-monitor", "status", "--store", f"/{STORE}/store.db"]
            status = subprocess.run(inside, env={}, capture_output=True, text=True)
            assert status.returncode == 1 and "build-4" in status.stdout, status
            service.send_signal(signal.SIGTERM)
            assert service.wait(15) == 0, log.read_text()
        made = root.files() - before
        assert made and all(name.startswith(f"{STORE}/") for name in made), made
        said("status shows it; the service ends with code 0 and has written nothing but its store", began)


def ended(service, log):
    assert service.poll() is None, f"the service ended with exit code {service.returncode}:\n{log.read_text()}"


def said(what, began):
    print(f"ok      {what} ({time.monotonic() - began:.1f} s)", flush=True)


def bring_loopback_up():
    """A new network has a loopback interface, which is down."""
    set_flags, up = 0x8914, 1
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh", b"lo", up))
    interfaces = [name for _, name in socket.if_nameindex()]
    with socket.socket() as outside:
        assert outside.connect_ex(("192.0.2.1", 443)) != 0, interfaces


def runs(command):
    try:
        return subprocess.run([*command, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def main(program):
    way = next(filter(runs, WAYS), None)
    if way is None:
        print("SKIPPED the program in an empty root: it needs root, sudo without a password, or user namespaces (unshare)")
        return 0
    with tempfile.TemporaryDirectory(prefix="release-") as downloaded:
        target = f"{platform.machine()}-unknown-linux-musl"
        world.packed(pathlib.Path(downloaded), "program", "--target", target, "--binary", program)
        world.packed(pathlib.Path(downloaded), "checksums")
        return subprocess.run([*way, sys.executable, __file__, program, downloaded]).returncode


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(main(sys.argv[1]))
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    # This process is shut in.
    bring_loopback_up()
    with tempfile.TemporaryDirectory(prefix="release-") as temporary:
        check(*(pathlib.Path(argument).resolve() for argument in [*sys.argv[1:], temporary]))
