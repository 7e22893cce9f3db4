"""Clients that leave, that are slow, and what stays behind: nothing."""
import json
import socket
import time

from holdfast_server import CHAT_MODEL, patience, wait_for

LONG = {"model": CHAT_MODEL, "stream": True, "max_tokens": 2000, "temperature": 0, "ignore_eos": True,
        "messages": [{"role": "user", "content": "Count for ever."}]}


def read_events(connection, count):
    """Waits until `count` data lines have come."""
    seen = b""
    while seen.count(b"data:") < count:
        piece = connection.recv(65536)
        assert piece, seen
        seen += piece
    return seen


def test_closing_a_stream_frees_the_engine(server):
    server.wait_idle()
    connections = []
    for _ in range(3):
        connection = server.connect()
        connection.sendall(server.request_bytes("/v1/chat/completions", LONG))
        connections.append(connection)
    for connection in connections:
        read_events(connection, 3)
    wait_for(lambda: server.running() == 3, 10, "three requests run")
    for connection in connections:
        connection.close()
    wait_for(lambda: server.running() == 0, 10, "the engine stopped computing for clients that left")
    assert server.metric("holdfast_engine_kv_usage_ratio") < 0.9


def test_client_that_only_half_closes_still_gets_its_answer(server):
    connection = server.connect()
    body = {**LONG, "stream": False, "max_tokens": 3, "ignore_eos": False}
    connection.sendall(server.request_bytes("/v1/chat/completions", body))
    answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200")
    connection.close()


def test_reader_that_stops_reading_does_not_stop_others(server):
    slow = server.connect()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(server.request_bytes("/v1/chat/completions", LONG))
    read_events(slow, 1)
    started = time.monotonic()
    assert server.chat("Hello", max_tokens=8).status == 200
    assert time.monotonic() - started < 20 * patience()
    slow.close()
    server.wait_idle()


def abrupt_disconnects(server, count):
    """Streams that are cut at a different point each: before, in and after the first events."""
    for at in range(count):
        connection = server.connect()
        kind = at % 4
        request = server.request_bytes("/v1/chat/completions", {**LONG, "max_tokens": 40})
        connection.sendall(request[:len(request) // 2] if kind == 0 else request)
        if kind >= 2:
            read_events(connection, kind - 1)
        # A reset instead of an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()


def test_three_hundred_abrupt_disconnects_leave_nothing(server):
    abrupt_disconnects(server, 60)
    server.wait_idle()
    memory, files = server.resident_kb(), server.open_files()
    abrupt_disconnects(server, 300)
    server.wait_idle()
    wait_for(lambda: server.open_files() <= files + 2, 15, f"open files are back at {files}")
    assert server.resident_kb() - memory < 8 << 10, (memory, server.resident_kb())
    assert server.chat("Hello").status == 200


def test_events_are_well_formed(server):
    connection = server.connect()
    connection.sendall(server.request_bytes("/v1/chat/completions", {**LONG, "max_tokens": 5}))
    raw = b""
    while b"data: [DONE]" not in raw:
        piece = connection.recv(65536)
        assert piece, raw
        raw += piece
    connection.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"text/event-stream" in head.lower()
    events = [line[6:] for line in body.decode().replace("\r\n", "\n").split("\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    for event in events[:-1]:
        assert json.loads(event)["object"] == "chat.completion.chunk"
