#!/usr/bin/env python3
"""The long form of the stream and crash tests, with a real server.

  tests/e2e/soak.py [--disconnects 10000] [--kills 200]

Ends with status 1 if a sequence, file or memory stays behind, or a killed engine's stream differs.
Programs: build/release/bin, else $HOLDFAST_E2E_BIN.
"""
import argparse
import os
import signal
import sys

from holdfast_server import CHAT_MODEL, Server, store_with, wait_for
from test_crash import STORY, stream_text
from test_streams import abrupt_disconnects


def disconnects(server, count):
    abrupt_disconnects(server, 200)
    server.wait_idle()
    memory, files = server.resident_kb(), server.open_files()
    for done in range(0, count, 500):
        abrupt_disconnects(server, min(500, count - done))
        server.wait_idle(60)
        print(f"{min(done + 500, count)} of {count} disconnects: {server.resident_kb()} kB, "
              f"{server.open_files()} files", flush=True)
    wait_for(lambda: server.open_files() <= files + 2, 30, f"open files are back at {files}")
    grown = server.resident_kb() - memory
    assert grown < 16 << 10, f"resident memory grew by {grown} kB"
    print(f"{count} disconnects: nothing stayed behind, memory grew by {grown} kB")


def kills(server, count):
    body = {**STORY, "max_tokens": 40}
    undisturbed, _, _ = stream_text(server, body)
    for done in range(count):
        at = 2 + done % 35

        def kill(event, at=at):
            if event == at:
                os.kill(server.engine_pid(), signal.SIGKILL)

        # A scope of its own: from a cached beginning the last token is computed alone, and rounds otherwise.
        text, finish, _ = stream_text(server, {**body, "cache_salt": f"kill {done}"}, kill)
        assert finish == "length" and text == undisturbed, f"kill {done} at event {at}:\n{text}\n{undisturbed}"
        if done % 20 == 19:
            print(f"{done + 1} of {count} kills: every stream whole", flush=True)
    print(f"{count} kills: every stream gave the undisturbed text")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disconnects", type=int, default=10000)
    parser.add_argument("--kills", type=int, default=200)
    options = parser.parse_args()
    # Kills come one after the other here; none of them makes the model count as broken.
    server = Server(store_with(models=[CHAT_MODEL]), settings={"models": {"crash_limit": 10_000}})
    try:
        if options.disconnects:
            disconnects(server, options.disconnects)
        if options.kills:
            kills(server, options.kills)
        assert server.stop() == 0, server.log()
        return 0
    except AssertionError as problem:
        print(f"soak: {problem}", file=sys.stderr)
        return 1
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
