#!/usr/bin/env python3
"""The monthly cost of the monitor on AWS, from list prices and the request counts of the stack test.

    infra/cost.py            the table in docs/DEPLOY-AWS.md
    infra/cost.py --check    fails unless that page has this table, and the README its sums
    infra/cost.py --json     the figures, for `make bench`

Prices: us-east-1, 2026-11, arm64, without the free tier. `make stack` prints the request counts.
"AWS in all" is without the store: DynamoDB is a column of its own.
"""

import json
import math
import pathlib
import sys

DOLLARS = {
    "lambda_request": 0.20e-6,
    "lambda_gb_s": 13.3334e-6,
    "sqs_standard": 0.40e-6,
    "sqs_fifo": 0.50e-6,
    "log_gb": 0.50 + 0.03,
    "metric": 0.30,
    "alarm": 0.10,
    "dynamodb_write_unit": 0.625e-6,
    "dynamodb_read_unit": 0.125e-6,
    "dynamodb_gb": 0.25,
}

TARGETS = (10, 1_000, 4_000)
SERVICES = ("Lambda", "SQS", "CloudWatch")
DAYS = 30
TICKS = DAYS * 24 * 12
MEMORY_GB = 0.25
# Billed alarms and metrics, and the queues that Lambda polls, compared with the template by test_template.py. An alarm is
# billed for each metric that it reads. AWS's own metrics cost nothing.
ALARMS = 10
METRICS = 2
STANDARD_QUEUES = 1
FIFO_QUEUES = 1
# The most that AWS may cost in all, by targets: asserted by test_template.py.
AT_MOST = {10: 2.50, 1_000: 8.00}

# Requests per check and per tick, counted by `make stack`.
STORE_READS_PER_CHECK = 2
STORE_READS_PER_TICK = 1
STORE_WRITES_PER_TICK = 1
# A check without changes is stored once in ten minutes: at every second tick.
STORE_WRITES_PER_CHECK = 1 / 2
JOBS_PER_SEND = 10

# DynamoDB's units for these requests: a read unit is 4 KB of a consistent read and at least one for each item that is
# read by its key, a write unit is 1 KB of a single put. tests/dynamodb/tests/service.rs asserts those of the fleet, which
# is one of 20 runners, and those of the heartbeat. The other read of a check is of three items: the credential, its
# cursor and a GitHub App's access token. A tick reads the watchlist, the monitor's cursor and twelve heartbeats.
READ_UNITS_PER_CHECK = 4 + 3
READ_UNITS_PER_TICK = 14
WRITE_UNITS_PER_HEARTBEAT = 1
# The size of a target's records with their history is an assumption.
STORED_GB_PER_TARGET = 1e-3
FREE_STORED_GB = 25

# Assumptions: GitHub answers in 300 ms and the store in 20 ms, and a second of a paced tick fills half a batch.
JOBS_PER_INVOCATION = 5
POLLER_SECS = 0.5
SCHEDULER_SECS = 1.0
LOG_BYTES_PER_INVOCATION = 700
# Lambda keeps five connections to each queue. Each polls every 20 s while the queue is empty.
IDLE_RECEIVES = 5 * DAYS * 24 * 180


def month(targets):
    """The cost by service in dollars, and the requests to the store. DynamoDB's is the cost of these if it is the store."""
    checks = TICKS * targets
    batches = max(math.ceil(targets / JOBS_PER_INVOCATION) * TICKS, TICKS)
    invocations = batches + TICKS
    gb_s = MEMORY_GB * (batches * POLLER_SECS + TICKS * SCHEDULER_SECS)
    # Each batch is received and deleted.
    standard = math.ceil(targets / JOBS_PER_SEND) * TICKS + 2 * batches + STANDARD_QUEUES * IDLE_RECEIVES
    writes = checks * STORE_WRITES_PER_CHECK + TICKS * STORE_WRITES_PER_TICK
    read_units = checks * READ_UNITS_PER_CHECK + TICKS * READ_UNITS_PER_TICK
    return {
        "Lambda": invocations * DOLLARS["lambda_request"] + gb_s * DOLLARS["lambda_gb_s"],
        "SQS": standard * DOLLARS["sqs_standard"] + FIFO_QUEUES * IDLE_RECEIVES * DOLLARS["sqs_fifo"],
        "CloudWatch": invocations * LOG_BYTES_PER_INVOCATION / 1e9 * DOLLARS["log_gb"]
        + ALARMS * DOLLARS["alarm"]
        + METRICS * DOLLARS["metric"],
        "reads": checks * STORE_READS_PER_CHECK + TICKS * STORE_READS_PER_TICK,
        "writes": writes,
        "DynamoDB": read_units * DOLLARS["dynamodb_read_unit"]
        + writes * WRITE_UNITS_PER_HEARTBEAT * DOLLARS["dynamodb_write_unit"]
        + max(targets * STORED_GB_PER_TARGET - FREE_STORED_GB, 0) * DOLLARS["dynamodb_gb"],
    }


def in_all(targets):
    """The cost without the store."""
    costs = month(targets)
    return sum(costs[name] for name in SERVICES)


def table():
    """The table as Markdown."""
    lines = [
        "| targets | Lambda | SQS | CloudWatch | AWS in all | DynamoDB | StatelyDB reads | StatelyDB writes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for targets in TARGETS:
        costs = month(targets)
        services = [costs[name] for name in SERVICES]
        money = [f"${dollars:.2f}" for dollars in [*services, sum(services), costs["DynamoDB"]]]
        millions = [f"{costs[name] / 1e6:.2f} M" for name in ("reads", "writes")]
        lines.append("| " + " | ".join([f"{targets:,}", *money, *millions]) + " |")
    return "\n".join(lines)


def in_short():
    """The lowest and the highest cost, in the words of the README."""
    least, *_, most = ((targets, in_all(targets)) for targets in TARGETS)
    return f"${least[1]:.2f} a month for {least[0]:,} targets and ${most[1]:.0f} for {most[0]:,}"


def dynamodb_in_short():
    """The lowest and the highest cost of DynamoDB, in the words of the pages."""
    least, *_, most = ((targets, month(targets)["DynamoDB"]) for targets in TARGETS)
    return f"${least[1]:.2f} a month for {least[0]:,} targets, ${most[1]:.0f} for {most[0]:,}"


def check():
    """Fails if a page has other figures."""
    root = pathlib.Path(__file__).parent.parent
    least = TARGETS[0]
    in_words = [("docs/DEPLOY-AWS.md", f"[${in_all(least):.2f} a month](#what-it-costs) for {least}"),
                ("README.md", in_short()), ("README.md", dynamodb_in_short()), ("docs/DEPLOY-AWS.md", dynamodb_in_short())]
    for page, words in [("docs/DEPLOY-AWS.md", table()), *in_words]:
        if words not in (root / page).read_text(encoding="utf-8"):
            sys.exit(f"{page} must have the costs of infra/cost.py:\n{words}")


def main():
    """Prints the table, or compares the pages with it."""
    if "--help" in sys.argv[1:] or "-h" in sys.argv[1:]:
        print(__doc__.strip())
    elif sys.argv[1:] == ["--check"]:
        check()
    elif sys.argv[1:] == ["--json"]:
        months = [{"targets": targets, **month(targets)} for targets in TARGETS]
        print(json.dumps([{**costs, "AWS": sum(costs[name] for name in SERVICES)} for costs in months]))
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        print(table())


if __name__ == "__main__":
    main()
