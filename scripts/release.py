#!/usr/bin/env python3
"""Packs what a release consists of into target/release-local (or --output): archives, the context of the image, checksums.

    scripts/release.py program --target x86_64-unknown-linux-musl    the program with licence, pages and packaging
    scripts/release.py functions --architecture x86_64               the functions, zipped, with a template that uses them
    scripts/release.py image                                         what packaging/Dockerfile copies, from the archives there
    scripts/release.py sbom                                          what the program and the functions are made of (CycloneDX)
    scripts/release.py checksums                                     SHA256SUMS of all files there
    scripts/release.py try                                           unpacks the archives and runs the program for this machine
    scripts/release.py version                                       the version in Cargo.toml
    scripts/release.py notes v0.1.0                                  the section of CHANGELOG.md; fails for another version

It compiles nothing: `make release-local` and the release workflow do. The same commit and binaries give the same bytes.
"""

import argparse
import gzip
import hashlib
import io
import pathlib
import platform
import posixpath
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
FUNCTIONS = ("scheduler", "poller", "notifier", "slack", "web", "hooks")
PACKED = ("LICENSE", ":(glob)*.md", "docs", "infra/slack-app-manifest.yaml", "monitoring", "packaging/README.md",
          "packaging/systemd", "packaging/*.env", "packaging/*.yaml")
# In compose.yaml and kubernetes.yaml: the image that somebody builds. A release puts the published one in its place.
IMAGE = "runner-monitor:latest"
DOCKER_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


def version():
    return tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def committed_at():
    return int(git("log", "-1", "--format=%ct"))


def pack(output, folder, files):
    """Writes `folder`.tar.gz with files by their name in it: each a path or bytes, and whether it is a program."""
    output.mkdir(parents=True, exist_ok=True)
    path, written = output / f"{folder}.tar.gz", committed_at()
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=written) as zipped, \
            tarfile.open(mode="w", fileobj=zipped) as archive:
        for name, (content, is_program) in sorted(files.items()):
            content = content if isinstance(content, bytes) else content.read_bytes()
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime, entry.mode = len(content), written, 0o755 if is_program else 0o644
            archive.addfile(entry, io.BytesIO(content))
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def pack_program(arguments):
    program = arguments.binary or ROOT / "target" / arguments.target / "release" / "runner-monitor"
    if "linux" in arguments.target and not arguments.binary and is_dynamic(program):
        sys.exit(f"{program} needs the libraries of the machine that runs it: build it with -C target-feature=+crt-static")
    files = {"runner-monitor": (program, True)}
    names = git("ls-files", *PACKED).splitlines()
    for name in names:
        content = (ROOT / name).read_bytes()
        if name.endswith(".yaml") and arguments.image:
            content = content.replace(IMAGE.encode(), arguments.image.lower().encode())
        if name.endswith(".md"):
            content = links_within(content.decode(), name, names).encode()
        files[name] = (content, False)
    files |= {name: (content, False) for name, content in written_by(program).items()}
    pack(arguments.output, f"runner-monitor-{version()}-{arguments.target}", files)


def written_by(program):
    """The completions and manual pages that the program writes, so it has to run on this machine."""
    shells = {"bash": "runner-monitor.bash", "zsh": "_runner-monitor", "fish": "runner-monitor.fish"}
    files = {f"completions/{name}": subprocess.run([program, "completions", shell], capture_output=True, check=True).stdout
             for shell, name in shells.items()}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "man", folder], check=True)
        files |= {f"man/{page.name}": page.read_bytes() for page in pathlib.Path(folder).iterdir()}
    return files


def links_within(text, page, names):
    """The text of a page without its links to files that are only in the repository: the words stay."""
    def within(link):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), link[2].partition("#")[0]))
        return ":" in link[2] or link[2].startswith("#") or path in names or any(name.startswith(f"{path}/") for name in names)

    return re.sub(r"\[([^\]]*)\]\(([^()\s]+)\)", lambda link: link[0] if within(link) else link[1], text)


def is_dynamic(program):
    """Whether a 64-bit ELF program names a loader (a program header of the type PT_INTERP)."""
    head = program.read_bytes()[:4096]
    start, size, count = (int.from_bytes(head[at:at + length], "little") for at, length in [(32, 8), (54, 2), (56, 2)])
    return any(head[at:at + 4] == b"\3\0\0\0" for at in range(start, start + size * count, size))


def pack_functions(arguments):
    files = {"template.yaml": (released_template(arguments.architecture).encode(), False)}
    for name, path in {"LICENSE": "LICENSE", "samconfig.toml": "infra/samconfig.toml",
                       "slack-app-manifest.yaml": "infra/slack-app-manifest.yaml"}.items():
        files[name] = (ROOT / path, False)
    for function in FUNCTIONS:
        files[f"{function}.zip"] = (zipped(arguments.built / function / "bootstrap"), False)
    pack(arguments.output, f"runner-monitor-{version()}-lambda-{arguments.architecture}", files)


def zipped(bootstrap):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        entry = zipfile.ZipInfo("bootstrap", time.gmtime(committed_at())[:6])
        entry.create_system, entry.external_attr, entry.compress_type = 3, 0o100755 << 16, zipfile.ZIP_DEFLATED
        archive.writestr(entry, bootstrap.read_bytes())
    return packed.getvalue()


def released_template(architecture):
    """The template for functions that are built: it names their zips, and has one architecture."""
    text = (ROOT / "infra" / "template.yaml").read_text(encoding="utf-8")
    for pattern, put, times in [
        (r"^  Architecture:\n(?:    .*\n)+", "", 1),
        (r"!Ref Architecture\b", architecture, 1),
        (r"^    Metadata:\n      BuildMethod: .*\n      BuildProperties: .*\n", "", len(FUNCTIONS)),
        (r"CodeUri: \.\./functions/(\w+)/$", r"CodeUri: \1.zip", len(FUNCTIONS)),
    ]:
        text, replaced = re.subn(pattern, put, text, flags=re.MULTILINE)
        if replaced != times:
            sys.exit(f"infra/template.yaml has `{pattern}` {replaced} times, expected {times}")
    return text


def archives(output, kind):
    found = sorted(output.glob(f"runner-monitor-{version()}-{kind}.tar.gz"))
    return found or sys.exit(f"{output} has no archive runner-monitor-{version()}-{kind}.tar.gz")


def unpack(archive, folder):
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def image_context(arguments):
    context = arguments.output / "image"
    shutil.rmtree(context, ignore_errors=True)
    (context / "store").mkdir(parents=True)
    for name in ("LICENSE", "packaging/Dockerfile"):
        shutil.copy(ROOT / name, context)
    shutil.copy(arguments.certificates, context / "ca-certificates.crt")
    with tempfile.TemporaryDirectory() as folder:
        for archive in archives(arguments.output, "*-linux-*"):
            unpacked = unpack(archive, pathlib.Path(folder))
            processor = DOCKER_NAMES[archive.name.removeprefix(f"runner-monitor-{version()}-").split("-")[0]]
            (context / processor).mkdir()
            shutil.copy(unpacked / "runner-monitor", context / processor)
    print(context)


def sbom(arguments):
    """cargo-cyclonedx writes a file beside the manifest of each member of the workspace; six of them are released."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    released = {"runner-monitor": "program", **{f"functions/{name}": name for name in FUNCTIONS}}
    try:
        subprocess.run([ROOT / ".tools/bin/cargo-cyclonedx", "cyclonedx", "--format", "json", "--spec-version", "1.5",
                        "--target", "all", "--override-filename", "bom"], cwd=ROOT, check=True)
        for folder, name in released.items():
            path = arguments.output / f"runner-monitor-{version()}-{name}.cdx.json"
            shutil.copy(ROOT / folder / "bom.json", path)
            print(path)
    finally:
        for manifest in git("ls-files", "*Cargo.toml").splitlines():
            (ROOT / manifest).with_name("bom.json").unlink(missing_ok=True)


def checksums(arguments):
    files = sorted(path for path in arguments.output.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (arguments.output / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    print(f"{arguments.output / 'SHA256SUMS'}: {len(lines)} files")


def try_out(arguments):
    """The demo of the archived program must alert about each outage, and the archived template must match its zips."""
    unpacked = arguments.output / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir(parents=True)
    system = {"Darwin": "apple-darwin", "Linux": "linux"}[platform.system()]
    processor = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    programs = arguments.output.glob(f"runner-monitor-{version()}-{processor}-*{system}*.tar.gz")
    functions = arguments.output.glob(f"runner-monitor-{version()}-lambda-*.tar.gz")
    tried = 0
    for archive in programs:
        program = unpack(archive, unpacked) / "runner-monitor"
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        if said.split() != ["runner-monitor", version()]:
            sys.exit(f"{archive} has another version: {said}")
        # In an empty environment, as on a new machine.
        subprocess.run([program, "demo", "--speed", "300"], env={"HOME": str(unpacked)}, stdout=subprocess.DEVNULL, check=True)
        print(f"{archive.name}: version and demo")
        tried += 1
    for archive in functions:
        folder = unpack(archive, unpacked)
        for zip_name in re.findall(r"CodeUri: (\S+)", (folder / "template.yaml").read_text(encoding="utf-8")):
            with zipfile.ZipFile(folder / zip_name) as opened:
                (entry,) = opened.infolist()
                if (entry.filename, entry.external_attr >> 16) != ("bootstrap", 0o100755):
                    sys.exit(f"{archive}: {zip_name} does not hold a program called bootstrap")
                # For tests/e2e/stack/local_invoke.py, whose base image has the libraries of these programs.
                opened.extract(entry, folder / zip_name.removesuffix(".zip"))
                (folder / zip_name.removesuffix(".zip") / "bootstrap").chmod(0o755)
        print(f"{archive.name}: template and zips")
        tried += 1
    if not tried:
        sys.exit(f"{arguments.output} has no archive of version {version()} for this machine")


def notes(arguments):
    if arguments.tag != f"v{version()}":
        sys.exit(f"the tag is {arguments.tag}, but Cargo.toml has version {version()}")
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(version())}\b.*\n+((?:(?!## ).*\n?)+)", text, re.MULTILINE)
    print(section[1].strip() if section else sys.exit(f"CHANGELOG.md has no section `## {version()}`"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "target" / "release-local")
    commands = parser.add_subparsers(required=True)

    def command(name, run):
        added = commands.add_parser(name)
        added.set_defaults(run=run)
        return added

    program = command("program", pack_program)
    program.add_argument("--target", required=True)
    program.add_argument("--binary", type=pathlib.Path, help="default: the one that cargo built for the target")
    program.add_argument("--image", help="the published image, for compose.yaml and kubernetes.yaml")
    functions = command("functions", pack_functions)
    functions.add_argument("--architecture", required=True, choices=["arm64", "x86_64"])
    functions.add_argument("--built", type=pathlib.Path, default=ROOT / "target" / "lambda")
    image = command("image", image_context)
    image.add_argument("--certificates", type=pathlib.Path, default="/etc/ssl/certs/ca-certificates.crt")
    command("sbom", sbom)
    command("checksums", checksums)
    command("try", try_out)
    command("version", lambda _: print(version()))
    command("notes", notes).add_argument("tag")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
