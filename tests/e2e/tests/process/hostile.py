"""Holds hostile connections open: hostile.py HOST PORT KIND COUNT. Prints a line once all are open, and runs for ever.

KIND is idle (sends nothing), head (sends half a head) or body (sends 1 MiB except the last byte, with a plausible signature).
Each kind runs in its own process, so that no process exceeds the usual limit of descriptors.
"""

import asyncio
import sys
import time

HOST, PORT, KIND, COUNT = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
BODY = 1024 * 1024
CHUNK = bytes(64 * 1024)


async def hold(opened):
    while True:
        try:
            reader, writer = await asyncio.open_connection(HOST, PORT)
        except OSError:
            await asyncio.sleep(1)
            continue
        try:
            if KIND == "head":
                writer.write(b"POST /slack HTTP/1.1\r\nHost: example.com\r\nX-Slack-Sig")
            if KIND == "body":
                head = f"POST /slack HTTP/1.1\r\nHost: example.com\r\nContent-Length: {BODY}\r\n"
                head += f"X-Slack-Request-Timestamp: {int(time.time())}\r\nX-Slack-Signature: v0={'0a' * 32}\r\n\r\n"
                writer.write(head.encode())
                left = BODY - 1
                while left:
                    writer.write(CHUNK[:left])
                    left -= min(left, len(CHUNK))
                    await writer.drain()
            opened.set()
            while await reader.read(4096):
                pass
        except OSError:
            pass
        opened.set()
        writer.transport.abort()
        await asyncio.sleep(5)


async def main():
    all_opened = [asyncio.Event() for _ in range(COUNT)]
    tasks = [asyncio.create_task(hold(opened)) for opened in all_opened]
    await asyncio.gather(*(opened.wait() for opened in all_opened))
    print("ready", flush=True)
    await asyncio.gather(*tasks)


asyncio.run(main())
