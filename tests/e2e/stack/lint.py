"""Checks the template with cfn-lint and checkov. Each finding is fixed, or is an exception with its reason.

The exceptions are in exceptions.toml.

    python lint.py
"""

import json
import pathlib
import subprocess
import sys
import tomllib

import template

CHECKOV = pathlib.Path(__file__).parents[3] / ".tools" / "checkov" / "bin" / "checkov"
EXCEPTIONS = pathlib.Path(__file__).with_name("exceptions.toml")


def by_cfn_lint():
    """The findings: pairs of rule and resource, each with its message."""
    program = pathlib.Path(sys.executable).with_name("cfn-lint")
    output = subprocess.run([program, "--format", "json", template.PATH], capture_output=True, text=True)
    return {(found["Rule"]["Id"], str((found["Location"]["Path"] or [None, "template"])[1])): found["Message"]
            for found in reported("cfn-lint", output)}


def reported(tool, output):
    try:
        return json.loads(output.stdout)
    except ValueError:
        sys.exit(f"{tool}: {output.stdout}\n{output.stderr}")


def by_checkov():
    command = [CHECKOV, "--file", template.PATH, "--framework", "cloudformation", "--output", "json", "--skip-download", "--quiet"]
    found = reported("checkov", subprocess.run([str(part) for part in command], capture_output=True, text=True))
    assert found["summary"]["parsing_errors"] == 0 and found["summary"]["passed"] > 0, found["summary"]
    return {(each["check_id"], each["resource"].split(".")[-1]): each["check_name"]
            for each in found["results"]["failed_checks"]}


def main():
    exceptions = tomllib.loads(EXCEPTIONS.read_text())
    faults = []
    for tool, found in [("cfn-lint", by_cfn_lint()), ("checkov", by_checkov())]:
        excused = {(rule, resource) for each in exceptions[tool]
                   for rule in [each["rule"]] for resource in each["resources"]}
        faults += [f"{tool}: {rule} {resource}: {text}" for (rule, resource), text in sorted(found.items())
                   if (rule, resource) not in excused]
        faults += [f"{tool}: {rule} {resource} is an exception but no longer a finding: remove it from {EXCEPTIONS.name}"
                   for rule, resource in sorted(excused - set(found))]
        faults += [f"{tool}: the exception {each['rule']} has no reason" for each in exceptions[tool] if not each["reason"]]
        print(f"{tool}: {len(found)} findings, {len(excused)} exceptions")
    # `sys.exit` treats an empty string as a failure.
    sys.exit("\n".join(faults) or None)


if __name__ == "__main__":
    main()
