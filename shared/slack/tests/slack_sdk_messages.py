#!/usr/bin/env python3
"""Checks rendered messages with Slack's own Python SDK.

    cargo run --quiet -p monitor-slack --example render_all | python3 shared/slack/tests/slack_sdk_messages.py

Needs slack_sdk 3.47 (PyPI). Reads one JSON object per line, {"name": ..., "message": {...}}. Exits with 1 if a message
is faulty or there is no input.
"""

import json
import sys

from slack_sdk.models.blocks import Block

MAX_BLOCKS = 50
MAX_FIELD_CHARS = 2_000
MAX_TEXT_CHARS = 4_000
MAX_BLOCK_TEXT_CHARS = 12_000


def faults(message):
    """The faults that the SDK finds in a message, and those against limits that it does not check."""
    text, blocks = message.get("text"), message.get("blocks")
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT_CHARS:
        yield "text is missing, empty or too long"
    if blocks is None:
        return
    if not 1 <= len(blocks) <= MAX_BLOCKS:
        yield f"{len(blocks)} blocks"
    total = 0
    for index, raw in enumerate(blocks):
        try:
            block = Block.parse(raw)
            if block is None or type(block) is Block:
                raise ValueError(f"not a known block: {raw.get('type')}")
            block.validate_json()
            again = block.to_dict()
            if again != raw:
                yield f"block {index}: the SDK reads it as {again}"
        except Exception as fault:  # The SDK raises several kinds.
            yield f"block {index}: {fault}"
        texts = [raw.get("text"), *raw.get("fields", []), *raw.get("elements", [])]
        # A button's text is a nested object.
        said_in = (part["text"] for part in texts if part)
        for said in (text["text"] if isinstance(text, dict) else text for text in said_in):
            total += len(said)
            if not said:
                yield f"block {index}: an empty text"
        for field in raw.get("fields", []):
            if len(field["text"]) > MAX_FIELD_CHARS:
                yield f"block {index}: a field of {len(field['text'])} characters"
    if total > MAX_BLOCK_TEXT_CHARS:
        yield f"{total} characters of block text"


def main():
    checked = failed = 0
    for line in sys.stdin:
        sample = json.loads(line)
        checked += 1
        for fault in faults(sample["message"]):
            failed += 1
            print(f"{sample['name']}: {fault}", file=sys.stderr)
    print(f"{checked} messages checked, {failed} faults")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
