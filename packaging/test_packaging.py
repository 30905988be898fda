"""What must hold for the files that a user installs, for the archives of a release and for the workflows that make them."""

import argparse
import configparser
import hashlib
import importlib.util
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
UNIT = "packaging/systemd/runner-monitor.service"
# systemd's scale ends at 10 for a service without any restriction.
MOST_EXPOSURE = 1.5


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def unit(path):
    """The entries of a unit: a list of values for each key of each section."""
    found = {}
    for line in text(path).splitlines():
        if section := re.fullmatch(r"\[(\w+)\]", line):
            entries = found.setdefault(section[1], {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            entries.setdefault(key, []).append(value)
    return found


def instructions():
    """The Dockerfile: pairs of instruction and argument."""
    lines = text("packaging/Dockerfile").splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line and not line.startswith("#")]


def argument(name):
    (found,) = [value for instruction, value in instructions() if instruction == name]
    return found


def subcommands():
    table = text("docs/RUNNING.md").partition("## Commands\n")[2].partition("**Targets.**")[0]
    return set(re.findall(r"^\| `(\w+)", table, re.MULTILINE))


class Tagged(yaml.SafeLoader):
    """Reads CloudFormation's tags, such as `!Ref`, as pairs of tag and value."""


Tagged.add_multi_constructor("!", lambda loader, tag, node: (tag, getattr(loader, f"construct_{node.id}")(node)))


def release():
    spec = importlib.util.spec_from_file_location("release", ROOT / "scripts" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class SystemdTest(unittest.TestCase):
    def setUp(self):
        self.service = unit(UNIT)["Service"]

    def one(self, key):
        (value,) = self.service[key]
        return value

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_the_service_has_hardly_any_right(self):
        threshold = f"--threshold={MOST_EXPOSURE * 10:.0f}"
        analyzed = subprocess.run(["systemd-analyze", "security", "--offline=true", threshold, ROOT / UNIT],
                                  capture_output=True, text=True)
        self.assertEqual(analyzed.returncode, 0, analyzed.stdout[-500:] + analyzed.stderr)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_systemd_reads_the_unit_and_the_drop_ins_without_a_complaint(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            # The program is not installed here.
            (folder / "runner-monitor.service").write_text(text(UNIT).replace("/usr/local/bin/runner-monitor", "/bin/true"))
            (folder / "runner-monitor.service.d").mkdir()
            for drop_in in (ROOT / "packaging/systemd").glob("*.conf"):
                shutil.copy(drop_in, folder / "runner-monitor.service.d")
            verified = subprocess.run(["systemd-analyze", "verify", folder / "runner-monitor.service"], capture_output=True, text=True)
        self.assertEqual((verified.returncode, verified.stdout + verified.stderr), (0, ""))

    def test_it_is_not_restarted_for_what_a_restart_does_not_fix(self):
        codes = text("docs/RUNNING.md").partition("Exit codes")[2].partition("run and demo")[0]
        described = dict(re.findall(r"^  (\d)  ((?:.|\n     )+)$", codes, re.MULTILINE))
        (wrong_setting,) = [code for code, meaning in described.items() if "a setting or" in meaning]
        self.assertEqual(self.one("RestartPreventExitStatus"), wrong_setting)
        self.assertEqual(self.one("Restart"), "always")
        # The start limit of 5 starts in 10 s would end the attempts for good.
        self.assertGreater(int(self.one("RestartSec")), 2)

    def test_the_store_is_in_the_state_directory(self):
        self.assertIn(f"RUNNER_MONITOR_STORE=/var/lib/{self.one('StateDirectory')}/store.db", self.service["Environment"])

    def test_the_pages_show_lines_of_the_unit_and_its_files(self):
        excerpt = text("docs/RUNNING.md").partition("```ini\n")[2].partition("```")[0]
        lines = text(UNIT).splitlines()
        for line in excerpt.splitlines():
            self.assertIn(line, lines)
        settings = self.one("EnvironmentFile")
        for page in ("docs/INSTALL.md", "docs/RUNNING.md"):
            self.assertIn(f"sudo install -D -m 600 packaging/runner-monitor.env {settings}", text(page))

    def test_secrets_are_handed_over_as_credentials(self):
        page = text("docs/INSTALL.md")
        for drop_in, settings, installed in (
            ("github-app.conf", ["GITHUB_APP_PRIVATE_KEY"], "sudo install -m 600 app.pem /etc/runner-monitor/app.pem"),
            ("secrets.conf", ["GITHUB_TOKEN", "SLACK_WEBHOOK"], "sudo install -m 600 github-token slack-webhook /etc/runner-monitor/"),
            ("config.conf", ["RUNNER_MONITOR_CONFIG"], "sudo install -D -m 600 runner-monitor.toml /etc/runner-monitor/runner-monitor.toml"),
        ):
            service = unit(f"packaging/systemd/{drop_in}")["Service"]
            names, paths = zip(*(value.split(":") for value in service["LoadCredential"]))
            # A secret is `@` and the path of its file; the configuration file is the path alone.
            sign = "" if drop_in == "config.conf" else "@"
            self.assertEqual(service["Environment"], [f"{setting}={sign}%d/{name}" for setting, name in zip(settings, names)])
            self.assertEqual(paths, tuple(f"/etc/runner-monitor/{name}" for name in names))
            self.assertIn(installed, page)
            self.assertTrue(set(names) <= set(installed.split()), drop_in)
            self.assertIn(f"/etc/systemd/system/runner-monitor.service.d/{drop_in}", page)
            self.assertIn(f"/etc/systemd/system/runner-monitor.service.d/{drop_in}", text(f"packaging/systemd/{drop_in}"))


class EnvironmentTest(unittest.TestCase):
    def test_the_sample_has_known_settings_and_no_value(self):
        page = text("docs/CONFIGURATION.md")
        lines = [line.removeprefix("#") for line in text("packaging/runner-monitor.env").splitlines() if re.match(r"#?[A-Z_]+=", line)]
        self.assertGreater(len(lines), 4)
        for line in lines:
            name, _, value = line.partition("=")
            self.assertIn(f"`{name}`", page)
            self.assertEqual(value, "", name)


class ImageTest(unittest.TestCase):
    def test_it_has_only_what_is_copied_and_a_user_without_rights(self):
        self.assertEqual(argument("FROM"), "scratch")
        self.assertRegex(argument("USER"), r"^[1-9]\d{3,}:[1-9]\d{3,}$")
        self.assertIn(f"--chown={argument('USER')} store/ {argument('VOLUME')}/", [value for name, value in instructions() if name == "COPY"])
        self.assertEqual(argument("ENV"), f"RUNNER_MONITOR_STORE={argument('VOLUME')}/store.db")

    def test_its_commands_exist_and_need_no_shell(self):
        commands = [argument("CMD"), argument("HEALTHCHECK").partition("CMD ")[2]]
        run, health = (yaml.safe_load(command) for command in commands)
        (program,) = yaml.safe_load(argument("ENTRYPOINT"))
        self.assertEqual(health, [program, "health"])
        self.assertEqual([program, *run], [program, *unit(UNIT)["Service"]["ExecStart"][0].split()[1:]])
        self.assertLessEqual({run[0], health[1]}, subcommands())

    def test_the_build_context_has_what_is_copied(self):
        with tempfile.TemporaryDirectory() as folder:
            output = packed(pathlib.Path(folder))
            context = output / "image"
            for name, value in instructions():
                if name == "COPY":
                    source = re.sub(r"^--\S+ ", "", value).split(" ")[0].replace("${TARGETARCH}", "arm64")
                    self.assertTrue((context / source).exists(), source)

    def test_compose_and_kubernetes_run_it_without_rights(self):
        (service,) = yaml.safe_load(text("packaging/compose.yaml"))["services"].values()
        self.assertIs(service["read_only"], True)
        self.assertEqual((service["cap_drop"], service["security_opt"]), (["ALL"], ["no-new-privileges:true"]))
        self.assertEqual(service["restart"], "unless-stopped")
        self.assertTrue((ROOT / "packaging" / service["env_file"]).exists())
        self.assertEqual([volume.split(":")[1] for volume in service["volumes"]], [argument("VOLUME")])

        claim, deployment = yaml.safe_load_all(text("packaging/kubernetes.yaml"))
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        self.assertEqual((deployment["spec"]["replicas"], deployment["spec"]["strategy"]), (1, {"type": "Recreate"}))
        user, group = (int(number) for number in argument("USER").split(":"))
        security = pod["securityContext"]
        self.assertEqual((security["runAsUser"], security["runAsGroup"], security["fsGroup"]), (user, group, group))
        self.assertEqual(container["securityContext"], {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                        "capabilities": {"drop": ["ALL"]}})
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        self.assertEqual((set(mounts), mounts["store"]), (set(volumes), argument("VOLUME")))
        self.assertEqual(volumes["store"]["persistentVolumeClaim"]["claimName"], claim["metadata"]["name"])
        self.assertEqual(container["image"], service["image"])
        page = text("docs/INSTALL.md")
        (settings,) = [source["configMapRef"]["name"] for source in container["envFrom"]]
        self.assertIn(f"kubectl create configmap {settings} --from-env-file=packaging/runner-monitor.env\n", page)
        # The group may read them, and the program is in it.
        self.assertEqual(volumes["secrets"]["secret"]["defaultMode"], 0o440)
        files = [variable["value"].removeprefix(f"@{mounts['secrets']}/") for variable in container["env"]]
        made = " ".join(f"--from-file={file}" for file in files)
        self.assertIn(f"kubectl create secret generic {volumes['secrets']['secret']['secretName']} {made}\n", page)
        self.assertIn(f"kubectl exec deployment/{deployment['metadata']['name']} ", page)

    def test_every_probe_is_that_of_the_image(self):
        options, _, command = argument("HEALTHCHECK").partition(" CMD ")
        command = yaml.safe_load(command)
        (service,) = yaml.safe_load(text("packaging/compose.yaml"))["services"].values()
        probe = service["healthcheck"]
        self.assertEqual(probe.pop("test"), ["CMD", *command])
        given = dict(option.removeprefix("--").replace("-", "_").split("=") for option in options.split())
        self.assertEqual({name: str(value) for name, value in probe.items()}, given)

        _, deployment = yaml.safe_load_all(text("packaging/kubernetes.yaml"))
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        ready, alive = container["readinessProbe"], container["livenessProbe"]
        for probe in (ready, alive):
            self.assertEqual((probe["exec"]["command"], f"{probe['timeoutSeconds']}s"), (command, given["timeout"]))
        # Kubernetes resets the pause before a restart after 10 minutes without one.
        self.assertGreater(alive["failureThreshold"] * alive["periodSeconds"], 600)

    def test_the_stop_is_waited_for(self):
        # docs/RUNNING.md: the program ends within 8 s.
        (service,) = yaml.safe_load(text("packaging/compose.yaml"))["services"].values()
        _, deployment = yaml.safe_load_all(text("packaging/kubernetes.yaml"))
        waits = [unit(UNIT)["Service"]["TimeoutStopSec"][0], service["stop_grace_period"].rstrip("s"),
                 deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]]
        within = int(re.search(r"ends within (\d+) s", text("docs/RUNNING.md"))[1])
        self.assertTrue(all(int(wait) > within for wait in waits), waits)


def packed(folder):
    """Packs made-up programs for each architecture, as the release workflow packs real ones."""
    made, output = folder / "made", folder / "output"
    program = made / "runner-monitor"
    script = release()
    for name in script.FUNCTIONS:
        (made / name).mkdir(parents=True)
        (made / name / "bootstrap").write_bytes(b"\x7fELF " + name.encode())
    program.write_text('#!/bin/sh\nif [ "$1" = man ]; then echo page > "$2/runner-monitor.1"; else echo "$*"; fi\n', encoding="utf-8")
    program.chmod(0o755)
    parts = [argparse.Namespace(output=output, target=f"{processor}-unknown-linux-musl", binary=program, image="ghcr.io/Acme/monitor:1")
             for processor in ("x86_64", "aarch64")]
    for part in parts:
        script.pack_program(part)
    for architecture in ("x86_64", "arm64"):
        script.pack_functions(argparse.Namespace(output=output, architecture=architecture, built=made))
    script.image_context(argparse.Namespace(output=output, certificates=program))
    script.checksums(argparse.Namespace(output=output))
    return output


class ReleaseTest(unittest.TestCase):
    def test_the_same_programs_give_the_same_archives_with_their_checksums(self):
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            outputs = [packed(pathlib.Path(folder)) for folder in (first, second)]
            sums = [(output / "SHA256SUMS").read_text() for output in outputs]
            self.assertEqual(*sums)
            self.assertEqual(len(sums[0].splitlines()), 4)
            for line in sums[0].splitlines():
                digest, name = line.split("  ")
                self.assertEqual(hashlib.sha256((outputs[0] / name).read_bytes()).hexdigest(), digest)

    def test_the_archive_has_the_program_and_what_installs_it(self):
        with tempfile.TemporaryDirectory() as folder:
            output = packed(pathlib.Path(folder))
            (path,) = output.glob("runner-monitor-*-x86_64-unknown-linux-musl.tar.gz")
            with tarfile.open(path) as archive:
                names = {entry.name.partition("/")[2]: entry.mode for entry in archive}
                compose = archive.extractfile(f"{path.name.removesuffix('.tar.gz')}/packaging/compose.yaml").read().decode()
        self.assertEqual(names["runner-monitor"], 0o755)
        self.assertLessEqual({"LICENSE", "README.md", "docs/INSTALL.md", "packaging/README.md", "packaging/runner-monitor.env", UNIT,
                              "packaging/systemd/github-app.conf", "packaging/systemd/secrets.conf", "packaging/systemd/config.conf",
                              "packaging/kubernetes.yaml", "monitoring/rules.yaml", "monitoring/dashboard.json", "man/runner-monitor.1",
                              "completions/runner-monitor.bash", "completions/_runner-monitor", "completions/runner-monitor.fish"}, set(names))
        # Registries accept lower case only.
        self.assertIn("image: ghcr.io/acme/monitor:1\n", compose)

    def test_links_in_packed_pages_lead_to_packed_files(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (path,) = packed(folder).glob("runner-monitor-*-x86_64-unknown-linux-musl.tar.gz")
            unpacked = release().unpack(path, folder)
            kept = set()
            for page in unpacked.rglob("*.md"):
                for target in re.findall(r"\]\(([^()\s:#]+)(?:#[^()\s]*)?\)", page.read_text(encoding="utf-8")):
                    self.assertTrue((page.parent / target).exists(), f"{page.relative_to(unpacked)}: {target}")
                    kept.add((page.parent / target).resolve().relative_to(unpacked.resolve()).as_posix())
        self.assertLessEqual({"docs/INSTALL.md", "docs/images/fleet.png", "docs/decisions", "monitoring/README.md", "SECURITY.md",
                              "infra/slack-app-manifest.yaml", "packaging/kubernetes.yaml"}, kept)

    def test_the_released_template_differs_only_in_code_and_architecture(self):
        ours, released = (yaml.load(source, Tagged) for source in (text("infra/template.yaml"), release().released_template("arm64")))
        self.assertIn("Architecture", ours["Parameters"])
        del ours["Parameters"]["Architecture"]
        ours["Globals"]["Function"]["Architectures"] = ["arm64"]
        functions = [each for each in ours["Resources"].values() if each["Type"] == "AWS::Serverless::Function"]
        for function in functions:
            function["Properties"]["CodeUri"] = function.pop("Metadata")["BuildProperties"]["Binary"] + ".zip"
        self.assertEqual(released, ours)

    def test_a_tag_needs_the_version_and_its_section(self):
        script = release()
        with self.assertRaisesRegex(SystemExit, "but Cargo.toml has version"):
            script.notes(argparse.Namespace(tag="v999.0.0"))
        sections = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)
        self.assertTrue(sections[0] == "Unreleased" or sections[0].startswith(f"{script.version()} ("), sections)


class WorkflowsTest(unittest.TestCase):
    def setUp(self):
        # YAML 1.1 reads the key `on` as true.
        self.workflows = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in WORKFLOWS}
        self.jobs = {f"{name}: {id_}": job for name, workflow in self.workflows.items() for id_, job in workflow["jobs"].items()}

    def steps(self):
        return [(name, step) for name, job in self.jobs.items() for step in job["steps"]]

    def test_the_workflows_are_there(self):
        self.assertEqual(sorted(self.workflows), ["ci.yml", "nightly.yml", "release.yml"])

    def test_every_action_is_pinned_to_one_commit_with_its_version(self):
        known = {}
        for path in WORKFLOWS:
            for used in re.findall(r"uses: *(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
                pinned = re.fullmatch(r"([\w-]+/[\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", used)
                self.assertTrue(pinned, f"{path.name}: {used}")
                self.assertEqual(known.setdefault(pinned[1], pinned.groups()), pinned.groups())
        self.assertEqual(sum("uses" in step for _, step in self.steps()),
                         sum(path.read_text(encoding="utf-8").count("uses:") for path in WORKFLOWS))

    def test_rights_are_given_to_single_jobs_and_only_the_release_writes(self):
        for name, workflow in self.workflows.items():
            self.assertEqual(workflow["permissions"], {}, name)
            self.assertNotIn("pull_request_target", workflow[True])
        writing = {name for name, job in self.jobs.items() if "write" in job["permissions"].values()}
        self.assertEqual(writing, {"release.yml: image", "release.yml: publish"})
        self.assertEqual(self.jobs["release.yml: publish"]["if"], "github.event_name == 'push'")
        self.assertEqual(list(self.workflows["release.yml"][True]["push"]), ["tags"])

    def test_a_checkout_leaves_no_credential(self):
        checkouts = [(name, step) for name, step in self.steps() if step.get("uses", "").startswith("actions/checkout@")]
        self.assertEqual(len(checkouts), len(self.jobs))
        for name, step in checkouts:
            self.assertIs(step["with"]["persist-credentials"], False, name)

    def test_no_expression_becomes_part_of_a_script(self):
        for name, step in self.steps():
            self.assertNotIn("${{", step.get("run", ""), name)

    def test_every_job_ends(self):
        for name, job in self.jobs.items():
            self.assertLessEqual(job["timeout-minutes"], 360, name)

    def test_every_target_and_script_exists(self):
        targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
        scripts = [step["run"] for _, step in self.steps() if "run" in step]
        made = [target for script in scripts for target in re.findall(r"\bmake ([a-z-]+)", script)]
        made += [each.split()[0] for each in self.jobs["nightly.yml: night"]["strategy"]["matrix"]["make"]]
        self.assertLessEqual({"check", "functions", "sbom", "soak", "fuzz", "advisories"}, set(made))
        self.assertLessEqual(set(made), targets)
        for script in scripts:
            for path in re.findall(r"(?<![\w/.])((?:\.ci|scripts|tests)/[\w/.]+)", script):
                self.assertTrue((ROOT / path).exists(), path)

    def test_the_release_builds_each_target_on_a_machine_of_its_own_kind(self):
        rows = self.jobs["release.yml: program"]["strategy"]["matrix"]["include"]
        runners = {"x86_64-unknown-linux-musl": "ubuntu-24.04", "aarch64-unknown-linux-musl": "ubuntu-24.04-arm",
                   "x86_64-apple-darwin": "macos-15-intel", "aarch64-apple-darwin": "macos-15"}
        self.assertEqual({row["target"]: row["runner"] for row in rows}, runners)
        rows = self.jobs["release.yml: functions"]["strategy"]["matrix"]["include"]
        self.assertEqual({row["architecture"]: row["runner"] for row in rows}, {"x86_64": "ubuntu-24.04", "arm64": "ubuntu-24.04-arm"})


class FilesTest(unittest.TestCase):
    def test_the_forms_for_issues_are_complete(self):
        forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
        self.assertEqual([form.name for form in forms], ["bug.yml", "feature.yml"])
        for form in forms:
            described = yaml.safe_load(form.read_text(encoding="utf-8"))
            self.assertLessEqual({"name", "description", "body"}, set(described), form.name)
            ids = [field["id"] for field in described["body"] if field["type"] != "markdown"]
            self.assertEqual(len(ids), len(set(ids)), form.name)

    def test_the_editor_settings_are_those_of_the_formatter(self):
        settings = configparser.ConfigParser()
        settings.read_string("[top]\n" + text(".editorconfig"))
        width = re.search(r"max_width = (\d+)", text("rustfmt.toml"))[1]
        self.assertEqual(settings["*.rs"]["max_line_length"], width)


if __name__ == "__main__":
    unittest.main(buffer=True)
