#!/usr/bin/env python3
"""Measures what each optimization of the cold start saves: builds a function without it, one at a time.

    tests/bench/variants.py                  every variant of the poller (about 3 minutes each on 2 processors)
    tests/bench/variants.py --only base,lto  some of them
    tests/bench/variants.py --function slack another function
    tests/bench/variants.py --list           the names of the variants

Builds a copy of the committed files in target/variants, and measures with target/release/bench (`make bench` builds it):
the stripped binary, exec to the first request for work, peak memory there, and the first invocation. Prints Markdown.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TREE = ROOT / "target" / "variants"

CONFIG = "functions/.cargo/config.toml"
HOST = "shared/aws/src/host.rs"
SDK = "shared/aws/src/sdk.rs"
ROOTS = "shared/http/src/roots.rs"
CRYPTO = "shared/http/src/crypto.rs"

# Name: description, replacements (file, old text, new text), environment variables.
VARIANTS = {
    "base": ("as it is deployed", [], {}),
    "fixed-address": (
        "at a fixed address, with nothing to relocate at the start",
        [(CONFIG, 'panic = "unwind"', 'panic = "unwind"\n\n[target.\'cfg(target_os = "linux")\']\nrustflags = ["-C", "relocation-model=static"]')],
        {},
    ),
    "lto": ("thin LTO instead of fat", [], {"CARGO_PROFILE_RELEASE_LTO": "thin"}),
    "no-lto": ("no LTO, 16 codegen units", [], {
        "CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    }),
    "opt-3": ("optimised for speed: level 3 instead of z", [], {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "3"}),
    "threads": (
        "tokio on several threads instead of one",
        [(HOST, "Builder::new_current_thread()", "Builder::new_multi_thread()")],
        {},
    ),
    "eager": (
        "AWS clients made at the start instead of at first use",
        [(SDK, "Self::with(None, sdk_http(client_with_built_in_roots))",
          "let sdk = Self::with(None, sdk_http(client_with_built_in_roots));\n        sdk.sqs();\n        sdk.ssm();\n        sdk")],
        {},
    ),
    "native-roots": (
        "root certificates of the machine instead of built-in ones",
        [(ROOTS, "RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())",
          "RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().take(0).cloned());\n        "
          "roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)"),
         ("shared/http/Cargo.toml", "rustls.workspace = true", 'rustls.workspace = true\nrustls-native-certs = "0.8"')],
        {},
    ),
    "aws-lc": (
        "aws-lc-rs for cryptography instead of ring",
        [("Cargo.toml", 'features = ["logging", "ring", "std", "tls12"]', 'features = ["aws_lc_rs", "logging", "ring", "std", "tls12"]'),
         (ROOTS, "crate::crypto::provider()", "rustls::crypto::aws_lc_rs::default_provider()"),
         ("shared/http/src/lib.rs", "crypto::provider()", "rustls::crypto::aws_lc_rs::default_provider()")],
        {},
    ),
    "chacha": (
        "ring with ChaCha20-Poly1305 as well",
        [(ROOTS, "crate::crypto::provider()", "rustls::crypto::ring::default_provider()"),
         ("shared/http/src/lib.rs", "crypto::provider()", "rustls::crypto::ring::default_provider()")],
        {},
    ),
    "newest-ssm": (
        "the newest aws-sdk-ssm",
        [("Cargo.toml", 'aws-sdk-ssm = { version = "=1.128.0"', 'aws-sdk-ssm = { version = "1.133"')],
        {},
    ),
    "haswell": (
        "instructions of Haswell, as `cargo lambda` would use them",
        [(CONFIG, "target-cpu=x86-64", "target-cpu=haswell")],
        {},
    ),
    "unicode-hosts": (
        "host names in Unicode",
        [("Cargo.toml", 'idna_adapter = "=1.0.0"', 'idna_adapter = "1.2"')],
        {},
    ),
    "trace": (
        "traces and logs of libraries compiled in",
        [("Cargo.toml", 'log = { version = "0.4", features = ["release_max_level_off"] }', 'log = "0.4"'),
         ("Cargo.toml", 'tracing = { version = "0.1", features = ["release_max_level_debug"] }', 'tracing = "0.1"')],
        {},
    ),
    "abort": ("panics end the process (not an option: an error would be a crash)", [], {"CARGO_PROFILE_RELEASE_PANIC": "abort"}),
}


def prepare(replacements):
    """Makes a copy of the committed files with the replacements. Unchanged files keep their time, so that cargo rebuilds little."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    altered = {}
    for file, old, new in replacements:
        text = altered.get(file) or (ROOT / file).read_text(encoding="utf-8")
        if old not in text:
            sys.exit(f"{file} has no {old!r}: tests/bench/variants.py is out of date")
        altered[file] = text.replace(old, new, 1)
    for name in filter(None, listed.decode().split("\0")):
        source, copy = ROOT / name, TREE / name
        if not source.is_file():
            continue
        content = altered[name].encode() if name in altered else source.read_bytes()
        if not copy.exists() or copy.read_bytes() != content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)


def measure(name, function):
    """Builds and measures a variant. Returns its figures by name, or None if it does not compile."""
    _, replacements, variables = VARIANTS[name]
    prepare(replacements)
    build = subprocess.run(
        # With an explicit target the flags do not apply to procedural macros, which must be relocatable.
        ["cargo", "build", "--release", "--quiet", "--target", "host-tuple", "--bin", function],
        cwd=TREE / "functions" / function,
        env={**os.environ, **variables, "CARGO_TARGET_DIR": str(TREE / "target")},
        check=False,
    )
    if build.returncode:
        return None
    (built,) = (TREE / "target").glob("*-linux-*/release")
    figures = TREE / "figures.json"
    bench = [ROOT / "target/release/bench", "--only", "functions", "--function", function, "--warm", "50"]
    bench += ["--functions", built, "--json", figures]
    subprocess.run(bench, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {figure["what"]: figure["value"] for figure in json.loads(figures.read_text(encoding="utf-8"))["figures"]}


def main():
    """Measures variants and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(VARIANTS), help="names of variants, separated by commas")
    parser.add_argument("--function", default="poller", choices=["scheduler", "poller", "notifier", "slack", "web"])
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{name:<14} {said}" for name, (said, _, _) in VARIANTS.items()))
        return
    names = arguments.only.split(",")
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        sys.exit(f"unknown variant {', '.join(unknown)}; --list prints all names")
    print(f"| {arguments.function} | stripped, MB | exec → first request, ms | peak there, MiB | first invocation, ms |")
    print("|---|--:|--:|--:|--:|")
    failed = []
    for name in names:
        print(f"building {name} …", file=sys.stderr)
        figures = measure(name, arguments.function)
        if figures is None:
            failed.append(name)
            continue
        columns = ["binary, stripped", "exec → first request for work", "peak memory there", "first invocation, settings from SSM"]
        print(f"| {VARIANTS[name][0]} | " + " | ".join(f"{figures[column]:.2f}" for column in columns) + " |", flush=True)
    if failed:
        sys.exit(f"not built: {', '.join(failed)}")


if __name__ == "__main__":
    main()
