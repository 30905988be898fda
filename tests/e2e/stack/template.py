"""Translates the SAM template to the CloudFormation template that AWS would make of it, off-line.

    python template.py [NAME=VALUE …]    prints it as JSON; NAME is a template parameter
"""

import json
import logging
import os
import pathlib
import platform
import sys

from samtranslator.yaml_helper import yaml_parse
from samtranslator.translator.transform import transform

PATH = pathlib.Path(__file__).parents[3] / "infra" / "template.yaml"
REGION, ACCOUNT, STACK = "us-east-1", "123456789012", "monitor-test"
# The functions run on this machine.
ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
NOTHING = object()

# The translation needs a region, although it sends no request.
os.environ["AWS_DEFAULT_REGION"] = REGION
# It warns at exit that its metrics were not collected.
logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)


class ManagedPolicies:
    """SAM asks IAM for the ARNs of AWS managed policies; here they follow from the names that the template uses."""

    def load(self):
        names = ["AWSLambdaBasicExecutionRole", "AWSLambdaSQSQueueExecutionRole"]
        return {name: f"arn:aws:iam::aws:policy/service-role/{name}" for name in names}


def source():
    """The template as written, with intrinsics in their long form: `Ref`, `Fn::GetAtt` and so on."""
    return yaml_parse(PATH.read_text())


def parameters(given=None):
    """The value of each template parameter: the given one, or the default."""
    defaults = {name: described.get("Default") for name, described in source()["Parameters"].items()}
    unknown = set(given or {}) - set(defaults)
    if unknown:
        raise SystemExit(f"the template has no parameter {', '.join(sorted(unknown))}; it has {', '.join(defaults)}")
    return {**defaults, **(given or {})}


def translated(given=None):
    """Plain CloudFormation, still with intrinsics, as SAM would send it."""
    template = source()
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # `sam package` would set this.
            resource["Properties"]["CodeUri"] = "s3://artifacts/function.zip"
    return transform(template, parameters(given), ManagedPolicies())


def resolved(given=None):
    """The same, with every intrinsic resolved that depends only on parameters. A `Ref` or `Fn::GetAtt` of a resource
    stays `{"Ref": …}` or `{"Fn::GetAtt": […]}`; resources whose condition is false are left out."""
    template = translated(given)
    values = {**parameters(given), "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws",
              "AWS::StackName": STACK, "AWS::URLSuffix": "amazonaws.com", "AWS::NoValue": NOTHING}
    work = Resolver(template, values)
    for part in ("Resources", "Outputs"):
        kept = {}
        for name, described in template.get(part, {}).items():
            if work.condition(described.get("Condition")):
                # Its condition holds. moto would evaluate it again, with the defaults.
                kept[name] = work.value({key: value for key, value in described.items() if key != "Condition"})
        template[part] = kept
    return template


class Resolver:
    def __init__(self, template, values):
        self.conditions, self.mappings = template.get("Conditions", {}), template.get("Mappings", {})
        self.values = values

    def condition(self, name):
        return name is None or self.holds(self.conditions[name])

    def holds(self, rule):
        ((name, operands),) = rule.items()
        if name == "Condition":
            return self.condition(operands)
        if name == "Fn::Equals":
            left, right = (self.value(operand) for operand in operands)
            return str(left) == str(right)
        if name == "Fn::Not":
            return not self.holds(operands[0])
        if name == "Fn::And":
            return all(map(self.holds, operands))
        if name == "Fn::Or":
            return any(map(self.holds, operands))
        raise ValueError(f"unknown condition function: {name}")

    def value(self, node):
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, operand),) = node.items()
            if name == "Ref":
                return self.values.get(operand, node)
            if name == "Fn::If":
                return self.value(operand[1] if self.condition(operand[0]) else operand[2])
            if name == "Fn::FindInMap":
                first, second, third = (str(self.value(part)) for part in operand)
                return self.mappings[first][second][third]
            if name == "Fn::GetAtt" and isinstance(operand, str):
                return {name: operand.split(".", 1)}
            if name == "Fn::Sub":
                return self.substituted(operand)
        entries = ((name, self.value(value)) for name, value in node.items())
        return {name: value for name, value in entries if value is not NOTHING}

    def substituted(self, operand):
        text, own = operand if isinstance(operand, list) else (operand, {})
        known = {**self.values, **{name: self.value(value) for name, value in own.items()}}
        for name, value in known.items():
            if isinstance(value, dict) and "Ref" in value:
                value = "${" + value["Ref"] + "}"
            elif isinstance(value, dict) and "Fn::GetAtt" in value:
                value = "${" + ".".join(value["Fn::GetAtt"]) + "}"
            if isinstance(value, (str, int)):
                text = text.replace("${" + name + "}", str(value))
        return {"Fn::Sub": text} if "${" in text else text


if __name__ == "__main__":
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    print(json.dumps(resolved(given), indent=2))
