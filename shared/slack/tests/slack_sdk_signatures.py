#!/usr/bin/env python3
"""Compares our signatures with those of Slack's own Python SDK, in both directions.

    python3 shared/slack/tests/slack_sdk_signatures.py cargo run --quiet -p monitor-slack --example signatures

Needs slack_sdk 3.47 (PyPI). Exits with 1 if the two disagree.
"""

import json
import random
import subprocess
import sys
from urllib.parse import urlencode

from slack_sdk.signature import Clock, SignatureVerifier

NOW_SECS = 1_531_420_618
CASES = 2_000


class FixedClock(Clock):
    def now(self):
        return NOW_SECS


def body(chance):
    """A slash command with any text that a person may type."""
    text = "".join(chance.choices("abc 09/*`&<>=+%~–“”é漢🦀\n\t\0", k=chance.randrange(60)))
    return urlencode({"token": "x", "command": chance.choice(["/runner-status", "/x"]), "text": text, "user_id": "U1"})


def case(chance):
    """A valid request, or one altered in one place."""
    secret = "".join(chance.choices("0123456789abcdef", k=32))
    timestamp = NOW_SECS + chance.choice([0, 0, 0, 299, -299, 300, -300, 301, -301, 86_400, -86_400])
    signed = body(chance)
    signature = SignatureVerifier(secret, FixedClock()).generate_signature(timestamp=str(timestamp), body=signed)
    sent = {"secret": secret, "nowSecs": NOW_SECS, "timestamp": str(timestamp), "signature": signature, "body": signed}
    match chance.randrange(8):
        case 0:
            sent["body"] += " "
        case 1:
            sent["body"] = signed[:-1]
        case 2:
            sent["secret"] = secret[::-1]
        case 3:
            sent["timestamp"] = str(timestamp + 1)
        case 4:
            at = chance.randrange(3, len(signature))
            digit = "0" if signature[at] != "0" else "1"
            sent["signature"] = signature[:at] + digit + signature[at + 1 :]
        case 5:
            sent["signature"] = chance.choice(["", "v0=", signature[:-1], signature.upper(), "v1" + signature[2:]])
    return sent


def main(command):
    chance = random.Random(7)
    cases = [case(chance) for _ in range(CASES)]
    lines = "".join(json.dumps(sent) + "\n" for sent in cases)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, encoding="utf-8", check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(cases):
        sys.exit(f"{len(answers)} answers to {len(cases)} requests")
    failed = taken = 0
    for sent, answer in zip(cases, answers):
        sdk = SignatureVerifier(sent["secret"], FixedClock())
        expected = sdk.is_valid(sent["body"], sent["timestamp"], sent["signature"])
        taken += expected
        if answer["accepted"] != expected:
            failed += 1
            print(f"accepted: {answer['accepted']}, the SDK says {expected}: {sent}", file=sys.stderr)
        # In the other direction: the SDK accepts our signature while the timestamp is fresh.
        fresh = abs(NOW_SECS - int(sent["timestamp"])) <= 300
        if sdk.is_valid(sent["body"], sent["timestamp"], answer["signature"]) != fresh:
            failed += 1
            print(f"the SDK refuses our signature {answer['signature']}: {sent}", file=sys.stderr)
    print(f"{len(cases)} signatures checked, {taken} of them valid, {failed} disagreements")
    return 1 if failed or not 0 < taken < len(cases) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
