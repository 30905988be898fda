"""Creates the stack in moto from the translated template, and reads back what was created."""

import importlib.util
import json
import pathlib
import re
import sys
import time

import boto3

import template

# The Runtime Interface Emulator that `sam local` puts into its containers.
SAM = pathlib.Path(importlib.util.find_spec("samcli").origin).parent
EMULATOR = SAM / "local" / "rapid" / f"aws-lambda-rie-{template.ARCHITECTURE}"

# Resources that moto ignores or fails on. `test_template.py` checks them statically.
NOT_CREATED = {"AWS::Scheduler::Schedule", "AWS::CloudWatch::Alarm", "AWS::Lambda::EventInvokeConfig",
                 "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage", "AWS::SQS::QueuePolicy"}

NAMESPACE = "GitHubRunnerMonitor"


def create(store, aws_url, sqs_url, binaries):
    """Creates the stack; returns the plan from which the driver simulates Lambda, EventBridge and SQS
    (`tests/e2e/src/bin/deployed-stack/plan.rs`)."""
    session = boto3.Session("any", "any", region_name=template.REGION)
    client = {name: session.client(name, endpoint_url=aws_url) for name in ("cloudformation", "lambda", "sqs")}
    given = {"Architecture": template.ARCHITECTURE, "Store": store, "ReceiveJobs": "true"}
    ids = create_stack(client["cloudformation"], given)
    queues = {id_: read_queue(client["sqs"], url) for id_, (kind, url) in ids.items() if kind == "AWS::SQS::Queue"}
    functions = {id_: read_function(client["lambda"], name) for id_, (kind, name) in ids.items()
                 if kind == "AWS::Lambda::Function"}
    return {
        "aws_url": aws_url,
        "sqs_url": sqs_url or aws_url,
        "true_fifo": sqs_url is not None,
        "region": template.REGION,
        "stack": template.STACK,
        "tick": tick(),
        "figures": figures(),
        "logged": logged(),
        "functions": functions,
        "queues": queues,
        "mappings": read_mappings(client["lambda"], ids, queues),
        "table": table(ids, given),
        "emulator": str(EMULATOR),
        "binaries": str(binaries),
        "aws_cli": str(pathlib.Path(sys.executable).with_name("aws")),
    }


def table(ids, given):
    """The table's name in the stack, and its definition, which `CreateTable` takes as it is but for two settings."""
    tables = [name for kind, name in ids.values() if kind == "AWS::DynamoDB::Table"]
    if not tables:
        return None
    (name,) = tables
    (definition,) = [each["Properties"] for each in template.resolved(given)["Resources"].values()
                     if each["Type"] == "AWS::DynamoDB::Table"]
    # CloudFormation sets these with requests of their own.
    own = {"PointInTimeRecoverySpecification", "TimeToLiveSpecification"}
    return {"name": name, "definition": {key: value for key, value in definition.items() if key not in own}}


def create_stack(cloudformation, given):
    """Creates the stack; returns type and physical id by logical id."""
    # Parameters and conditions are resolved first: moto keeps an `AWS::NoValue` in a policy's list of statements.
    body = json.dumps(creatable(template.resolved(given)))
    cloudformation.create_stack(StackName=template.STACK, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    deadline = time.monotonic() + 60
    while True:
        stack = cloudformation.describe_stacks(StackName=template.STACK)["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            break
        if not stack["StackStatus"].endswith("IN_PROGRESS") or time.monotonic() > deadline:
            raise SystemExit(f"the stack was not created: {stack['StackStatus']} {stack.get('StackStatusReason')}")
        time.sleep(0.2)
    resources = cloudformation.describe_stack_resources(StackName=template.STACK)["StackResources"]
    empty = [output["OutputKey"] for output in stack["Outputs"] if not output["OutputValue"]]
    assert not empty, f"outputs without a value: {empty}"
    created = {each["LogicalResourceId"]: (each["ResourceType"], each["PhysicalResourceId"])
               for each in resources if "LogicalResourceId" in each}
    missing = set(json.loads(body)["Resources"]) - set(created)
    assert not missing, f"not created: {missing}"
    return created


def creatable(resolved):
    """The template without the resources that moto cannot create, and without everything that refers to them."""
    left_out = [id_ for id_, each in resolved["Resources"].items() if each["Type"] in NOT_CREATED]
    for part in ("Resources", "Outputs"):
        for id_, each in list(resolved[part].items()):
            text = json.dumps(each)
            if id_ in left_out or any(f'"{name}"' in text or "${" + name in text for name in left_out):
                del resolved[part][id_]
    return resolved


def read_queue(sqs, url):
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {"url": url, "attributes": attributes}


def read_function(lambda_, name):
    found = lambda_.get_function_configuration(FunctionName=name)
    return {"timeout_secs": found["Timeout"], "memory_mb": found["MemorySize"],
            "environment": found["Environment"]["Variables"]}


def read_mappings(lambda_, ids, queues):
    """The created mappings. They are disabled: moto must not receive messages for functions that it cannot run."""
    of_arn = {queue["attributes"]["QueueArn"]: id_ for id_, queue in queues.items()}
    names = {name: id_ for id_, (kind, name) in ids.items() if kind == "AWS::Lambda::Function"}
    declared = {id_: each["Properties"] for id_, each in template.resolved()["Resources"].items()
                if each["Type"] == "AWS::Lambda::EventSourceMapping"}
    mappings = []
    for found in lambda_.list_event_source_mappings()["EventSourceMappings"]:
        lambda_.update_event_source_mapping(UUID=found["UUID"], Enabled=False)
        function = names[found["FunctionArn"].split(":function:")[1].split(":")[0]]
        (properties,) = [each for each in declared.values() if each["FunctionName"] == {"Ref": function}]
        assert found["BatchSize"] == properties["BatchSize"], found
        mappings.append({
            "function": function,
            "queue": of_arn[found["EventSourceArn"]],
            "batch_size": found["BatchSize"],
            # moto does not keep the following properties.
            "window_secs": properties.get("MaximumBatchingWindowInSeconds", 0),
            "maximum_concurrency": properties.get("ScalingConfig", {}).get("MaximumConcurrency"),
            "reports_failures": "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
        })
    assert len(mappings) == len(declared), f"{len(mappings)} of {len(declared)} mappings were created"
    return mappings


def tick():
    """The event that EventBridge Scheduler sends: the schedule's input, or its own envelope."""
    (schedule,) = [each["Properties"] for each in template.resolved()["Resources"].values()
                   if each["Type"] == "AWS::Scheduler::Schedule"]
    given = schedule["Target"].get("Input")
    if given is not None:
        return json.loads(given)
    return {
        "version": "0", "id": "d32c5b47-3a9c-4b3e-9f1a-0d6c3b1f6a01", "detail-type": "Scheduled Event",
        "source": "aws.scheduler", "account": template.ACCOUNT, "time": "2026-11-24T05:00:00Z",
        "region": template.REGION,
        "resources": [f"arn:aws:scheduler:{template.REGION}:{template.ACCOUNT}:schedule/default/{schedule['Name']}"],
        "detail": "{}",
    }


def figures():
    """The metrics of the monitor's own namespace that an alarm or the dashboard reads."""
    resources = template.resolved()["Resources"].values()
    alarms = [each["Properties"] for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]
    found = {alarm["MetricName"] for alarm in alarms if alarm["Namespace"] == NAMESPACE}
    for widget in widgets():
        namespace = None
        for metric in widget["properties"].get("metrics", []):
            # "." repeats a field of the previous line, "..." all of them.
            namespace = namespace if metric[0] in (".", "...") else metric[0]
            if namespace == NAMESPACE and metric[0] != "...":
                found.add(metric[1])
    return sorted(found)


def logged():
    """The fields of log lines that the dashboard's queries read."""
    queries = [widget["properties"].get("query", "") for widget in widgets()]
    return sorted({field for query in queries for field in re.findall(r"\b(?:sum|min|max|pct)\((\w+)", query)})


def widgets():
    """The widgets of the dashboard."""
    (body,) = [each["Properties"]["DashboardBody"] for each in template.resolved()["Resources"].values()
               if each["Type"] == "AWS::CloudWatch::Dashboard"]
    return json.loads(body["Fn::Sub"] if isinstance(body, dict) else body)["widgets"]
