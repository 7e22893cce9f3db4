"""Engines that die. Clients see a pause."""
import json
import os
import signal
import threading
import time

from holdfast_server import CHAT_MODEL, patience, wait_for

# Counting leaves no two tokens nearly equal, so rounding (guessed tokens, a cached beginning) decides nothing.
COUNT = "Write the numbers from 1 to 60, separated by commas: 1, 2, 3, 4, 5,"
STORY = {"model": CHAT_MODEL, "temperature": 0, "max_tokens": 90, "ignore_eos": True, "stream": True,
         "messages": [{"role": "user", "content": COUNT}]}


def stream_text(server, body, on_event=lambda count: None):
    """The text, the finish reason and how many events came."""
    connection = server.connect(timeout=120 * patience())
    connection.sendall(server.request_bytes("/v1/chat/completions", body))
    raw, text, finish, count = b"", "", None, 0
    while True:
        piece = connection.recv(65536)
        assert piece, raw[-300:]
        raw += piece
        while b"\n\n" in raw:
            block, _, raw = raw.partition(b"\n\n")
            for line in block.replace(b"\r", b"").split(b"\n"):
                if not line.startswith(b"data: "):
                    continue
                if line == b"data: [DONE]":
                    connection.close()
                    return text, finish, count
                event = json.loads(line[6:])
                assert "error" not in event, event
                for choice in event["choices"]:
                    text += choice["delta"].get("content") or ""
                    finish = choice["finish_reason"] or finish
                count += 1
                on_event(count)


def test_killed_engine_goes_on_with_the_same_text(make_server):
    server = make_server()
    # Not the first answer: a prompt taken from the cache and one computed whole may round differently.
    stream_text(server, {**STORY, "max_tokens": 1})
    undisturbed, _, _ = stream_text(server, STORY)
    killed = []

    def kill_at(count):
        if count == 25:
            killed.append(server.engine_pid())
            os.kill(killed[0], signal.SIGKILL)

    text, finish, _ = stream_text(server, STORY, kill_at)
    assert killed and killed[0] != server.engine_pid()
    assert finish == "length"
    assert text == undisturbed
    assert server.metric("holdfast_engine_restarts_total") == 1


def test_all_of_several_streams_go_on(make_server):
    server = make_server()
    bodies = [{**STORY, "max_tokens": 60, "seed": seed, "temperature": 0.8} for seed in range(4)]
    results = [None] * len(bodies)

    def run(at):
        results[at] = stream_text(server, bodies[at])

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(bodies))]
    for thread in threads:
        thread.start()
    wait_for(lambda: server.metric("holdfast_engine_generated_tokens_total") > 30, 30, "tokens come")
    os.kill(server.engine_pid(), signal.SIGKILL)
    for thread in threads:
        thread.join(90 * patience())
    assert all(result and result[1] == "length" and result[0] for result in results), results
    server.wait_idle()


def test_engine_that_hangs_is_replaced(make_server):
    server = make_server(settings={"models": {"hang_seconds": 3}})
    stopped = server.engine_pid()
    os.kill(stopped, signal.SIGSTOP)
    started = time.monotonic()
    text, finish, _ = stream_text(server, {**STORY, "max_tokens": 10})
    assert finish == "length" and text
    assert server.engine_pid() != stopped
    assert time.monotonic() - started < 60 * patience()


def test_server_killed_takes_its_engines_along(make_server):
    server = make_server()
    engine = server.engine_pid()
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    wait_for(lambda: not os.path.exists(f"/proc/{engine}"), 10, "the engine ended with its server")
    server.start()
    assert server.chat("Hello").status == 200
