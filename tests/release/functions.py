"""Deploys the functions of a release as docs/INSTALL.md says, on MiniStack, and lets them alert about an offline runner.

    python functions.py BUILT      BUILT has a folder with a `bootstrap` for each function, as `make functions` builds them

There is no compiler on the PATH, and no network but 127.0.0.1 is used.
"""

import base64
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import boto3

import world
from world import ROOT, servers

import template  # noqa: E402

# All that the commands of the pages need, besides the shell's own.
NEEDED = ("aws", "sam", "bash", "cat", "gzip", "tar")
COMPILERS = ("cargo", "cargo-lambda", "rustc", "zig", "cc", "gcc", "clang", "make")
ARCHITECTURES = ("arm64", "x86_64")
OURS = template.ARCHITECTURE
(OTHER,) = set(ARCHITECTURES) - {OURS}
STACK, NEXT = "github-runner-monitor", "runner-monitor-next"
WITHIN_SECS = 60
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


class Newcomer:
    """A person with the archives of the functions, SAM and the AWS CLI."""

    def __init__(self, folder, built, url):
        self.folder, self.unpacked = folder / "downloaded", {}
        for architecture in ARCHITECTURES:
            # The zips of the other one have the same programs: they are not run.
            archive = world.packed(self.folder, "functions", "--architecture", architecture, "--built", built)
            self.unpacked[architecture] = self.folder / archive.name.removesuffix(".tar.gz")
        programs = folder / "bin"
        programs.mkdir()
        for name in NEEDED:
            own = pathlib.Path(sys.executable).with_name(name)
            found = own if own.exists() else shutil.which(name)
            (programs / name).symlink_to(found or sys.exit(f"{name} is missing: `make .venv/stack-installed` installs sam and aws"))
        found = [name for name in COMPILERS if shutil.which(name, path=str(programs))]
        assert not found, f"on the PATH: {found}"
        servers.home_of_sam(folder)
        self.environment = {
            "PATH": str(programs), "HOME": str(folder), "LANG": "C.UTF-8", "NO_PROXY": "127.0.0.1", "SAM_CLI_TELEMETRY": "0",
            "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": template.REGION,
        }

    def types(self, *commands, answer=""):
        """Runs commands in one shell, in the folder with the archive; `answer` is typed."""
        script = "\n".join(["set -euo pipefail", *commands, ""])
        done = subprocess.run(["bash", "-c", script], cwd=self.folder, env=self.environment, input=answer, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, f"exit code {done.returncode}:\n{script}\n{done.stdout}"
        return done.stdout

    def puts_settings(self, values, prefix):
        """Step 4 of docs/DEPLOY-AWS.md: its function `put`, and those of its lines that have a value here."""
        function, *lines = world.block("docs/DEPLOY-AWS.md", "put() {")
        commands = [f"prefix={prefix}", function]
        for line in lines:
            name, kind = line.split()[1:3]
            if name in values:
                commands.append(f"put {name} {kind} <<< '{values.pop(name)}'")
        # The page names these settings, but has no line for them.
        commands += [f"put {name} String <<< '{value}'" for name, value in values.items()]
        self.types(*commands)


def deploys_with_sam(newcomer):
    commands = world.block("docs/INSTALL.md", "tar -xzf runner-monitor-*-lambda-arm64.tar.gz")
    newcomer.types(*[command.replace("arm64", OURS) for command in commands], answer="y\n")


def updates_with_the_aws_cli(newcomer):
    commands = world.block("docs/INSTALL.md", "aws cloudformation package")
    newcomer.types("aws s3 mb s3://releases", f"cd {newcomer.unpacked[OURS]}",
                   *[command.replace("BUCKET", "releases") for command in commands])


def deploys_a_second_stack(newcomer):
    """From the archive of the other architecture."""
    tar, *_ = world.block("docs/INSTALL.md", "tar -xzf runner-monitor-*-lambda-arm64.tar.gz")
    (command,) = world.block("docs/DEPLOY-AWS.md", "sam deploy --stack-name runner-monitor-next")
    newcomer.types(tar.replace("arm64", OTHER), f"cd {newcomer.unpacked[OTHER]}", "sam validate --lint", command, answer="y\n")


class Account:
    """What is in the account, to compare it with the template."""

    def __init__(self, url):
        self.session = boto3.Session("any", "any", region_name=template.REGION)
        self.url = url

    def client(self, service):
        return self.session.client(service, endpoint_url=self.url)

    def stack(self, name):
        (found,) = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        return found

    def parameters(self, name):
        return {each["ParameterKey"]: each["ParameterValue"] for each in self.stack(name)["Parameters"]}

    def resources(self, name):
        """Type, name and status of each resource."""
        found = self.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
        return {each["LogicalResourceId"]: each for each in found}

    def invoke(self, name, event):
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        payload = answer["Payload"].read().decode()
        assert "FunctionError" not in answer, f"{name}: {payload}"
        return json.loads(payload)


def check_stack(account, name, architecture, given, zips):
    """Everything that the template has is there, with these properties. Returns the names by logical id."""
    template.STACK = name
    expected = template.resolved({**given, "Architecture": architecture})
    status = account.stack(name)["StackStatus"]
    assert status == "CREATE_COMPLETE", f"{name}: {status}"
    found = account.resources(name)
    types = {id_: each["ResourceType"] for id_, each in found.items()}
    assert types == {id_: each["Type"] for id_, each in expected["Resources"].items()}, f"{name}: {types}"
    outputs = {each["OutputKey"]: each["OutputValue"] for each in account.stack(name)["Outputs"]}
    assert set(outputs) == set(expected["Outputs"]) and all(outputs.values()), outputs
    names = {id_: each["PhysicalResourceId"] for id_, each in found.items()}
    for id_, each in expected["Resources"].items():
        check = CHECKS.get(each["Type"])
        if check:
            for key, (have, want) in check(account, names[id_], each["Properties"]).items():
                assert have == want, f"{name}: {id_}: {key} is {have}, the template has {want}"
    for id_ in [id_ for id_, kind in types.items() if kind == "AWS::Lambda::Function"]:
        code = (zips / f"{id_.removesuffix('Function').lower()}.zip").read_bytes()
        have = account.client("lambda").get_function_configuration(FunctionName=names[id_])["CodeSha256"]
        assert have == base64.b64encode(hashlib.sha256(code).digest()).decode(), f"{name}: {id_} has another zip"
    return names


def same(have, want, *keys):
    return {key: (have.get(key), want.get(key)) for key in keys}


def function(account, name, want):
    have = account.client("lambda").get_function_configuration(FunctionName=name)
    variables = set(have["Environment"]["Variables"]), set(want["Environment"]["Variables"])
    return {**same(have, want, "Runtime", "Handler", "Architectures", "MemorySize", "Timeout"), "Environment": variables}


def queue(account, url, want):
    have = account.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(have.get("RedrivePolicy", "{}"))
    return {
        "QueueName": (url.rpartition("/")[2], want["QueueName"]),
        "MessageRetentionPeriod": (int(have["MessageRetentionPeriod"]), want["MessageRetentionPeriod"]),
        "VisibilityTimeout": (int(have["VisibilityTimeout"]), want.get("VisibilityTimeout", 30)),
        "maxReceiveCount": (redrive.get("maxReceiveCount"), want.get("RedrivePolicy", {}).get("maxReceiveCount")),
        "FifoQueue": (have.get("FifoQueue"), "true" if want.get("FifoQueue") else None),
    }


def mapping(account, uuid, want):
    have = account.client("lambda").get_event_source_mapping(UUID=uuid)
    return {**same(have, want, "BatchSize", "FunctionResponseTypes", "ScalingConfig"), "State": (have["State"], "Enabled")}


def table(account, name, want):
    client = account.client("dynamodb")
    have = client.describe_table(TableName=name)["Table"]
    return {
        **same(have, want, "KeySchema", "DeletionProtectionEnabled"),
        "BillingMode": (have["BillingModeSummary"]["BillingMode"], want["BillingMode"]),
        "indexes": ([each["IndexName"] for each in have["GlobalSecondaryIndexes"]],
                    [each["IndexName"] for each in want["GlobalSecondaryIndexes"]]),
    }


def alarm(account, name, want):
    (have,) = account.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return same(have, want, "AlarmName", "Namespace", "MetricName", "EvaluationPeriods", "Threshold", "ComparisonOperator",
                "TreatMissingData")


def schedule(account, name, want):
    have = account.client("scheduler").get_schedule(Name=name)
    return same(have, want, "Name", "State", "ScheduleExpression")


def logs(account, name, want):
    (have,) = account.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return {"RetentionInDays": (have["retentionInDays"], int(want["RetentionInDays"]))}


CHECKS = {
    "AWS::Lambda::Function": function, "AWS::SQS::Queue": queue, "AWS::Lambda::EventSourceMapping": mapping,
    "AWS::DynamoDB::Table": table, "AWS::CloudWatch::Alarm": alarm, "AWS::Scheduler::Schedule": schedule, "AWS::Logs::LogGroup": logs,
}


def check_alert(account, names, messages, log):
    """One tick by hand; the rest is the work of the queues and the functions."""
    began = time.monotonic()
    answer = account.invoke(names["SchedulerFunction"], {})
    # `acme/empty` has no runner, but is checked.
    assert answer["targets"] >= 2, answer
    world.until(lambda: f"no message has {world.OFFLINE!r}: {messages}\n{log.read_text()[-5000:]}",
                lambda: any(world.OFFLINE in json.dumps(message) for message in messages), began + WITHIN_SECS)
    said(f"scheduler, poller and notifier: one tick, then an alert in Slack ({time.monotonic() - began:.1f} s)")


def check_slash_command(account, names):
    """The event that the API makes of a request, signed as Slack signs it."""
    signed = subprocess.run([ROOT / "events" / "sign", ROOT / "events" / "slack-runner-status-all.json"], check=True,
                            capture_output=True, text=True, env={**os.environ, "SLACK_SIGNING_SECRET": SECRET}).stdout
    answer = account.invoke(names["SlackFunction"], json.loads(signed))
    assert answer["statusCode"] == 200 and "build-4" in answer["body"], answer
    said("slack: a signed /runner-status shows the offline runner")


def check_update(account, newcomer):
    """A deploy that names other parameters, or none, keeps the ones it does not name."""
    before = account.parameters(STACK)
    updates_with_the_aws_cli(newcomer)
    newcomer.types(f"cd {newcomer.unpacked[OURS]}", "sam deploy --parameter-overrides IntervalMinutes=10", answer="y\n")
    assert account.stack(STACK)["StackStatus"] == "UPDATE_COMPLETE", account.stack(STACK)
    have = account.parameters(STACK)
    assert have == {**before, "IntervalMinutes": "10"}, have
    (tick,) = [each["PhysicalResourceId"] for each in account.resources(STACK).values() if each["ResourceType"] == "AWS::Scheduler::Schedule"]
    expression = account.client("scheduler").get_schedule(Name=tick)["ScheduleExpression"]
    assert expression == "cron(0/10 * * * ? *)", expression
    said("an update with the AWS CLI and one with sam: parameters are kept")


def said(what):
    print(f"ok      {what}", flush=True)


def main(built):
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        folder = pathlib.Path(folder)
        with servers.ministack(folder) as url, world.fake_github(folder) as github, world.slack() as (webhook, messages):
            account, newcomer = Account(url), Newcomer(folder, pathlib.Path(built).resolve(), url)
            newcomer.puts_settings({
                "github-token": "test-token", "slack-webhook": webhook, "slack-signing-secret": SECRET,
                "repositories": '["acme/web", "acme/empty"]', "organizations": '["acme"]', "github-api-url": github,
                # The first check alerts; otherwise it would take three, a minute apart.
                "policy": '{"failureThreshold": 1}'}, f"/{STACK}")
            deploys_with_sam(newcomer)
            names = check_stack(account, STACK, OURS, {"Store": "dynamodb", "AlarmEmail": "ops@example.com"}, newcomer.unpacked[OURS])
            said(f"sam deploy: {len(names)} resources as in the template, functions from the zips")
            # SAM mostly waits, so the second stack is deployed meanwhile.
            with concurrent.futures.ThreadPoolExecutor() as pool:
                second = pool.submit(deploys_a_second_stack, newcomer)
                check_alert(account, names, messages, folder / "ministack.log")
                check_slash_command(account, names)
                check_update(account, newcomer)
                second.result()
            given = {"Store": "statelydb", "AlarmEmail": "ops@example.com", "ParameterPrefix": f"/{NEXT}"}
            check_stack(account, NEXT, OTHER, given, newcomer.unpacked[OTHER])
            said(f"sam deploy of a second stack: StatelyDB, {OTHER}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
