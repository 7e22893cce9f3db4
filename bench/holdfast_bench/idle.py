"""What connections and streams that wait cost the server in memory."""
import json
import resource
import socket
import ssl
import time
from urllib.parse import urlparse

from .load import LoadFailed
from .machine import resident_kb, wait_until


def _allow_files(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def _settled_kb(pid):
    """Resident memory once it stops changing."""
    last = resident_kb(pid)
    for _ in range(20):
        time.sleep(0.25)
        now = resident_kb(pid)
        if abs(now - last) < 64:
            return now
        last = now
    return last


def _open(server, context):
    port = urlparse(server.url).port
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30),
                               server_hostname="localhost")


def _context(server):
    context = ssl.create_default_context(cafile=server.ca)
    context.check_hostname = False
    return context


def _request(server, path, body=None):
    text = json.dumps(body) if body else ""
    head = (f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {server.key}\r\n")
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
    return (head + "\r\n" + text).encode()


def connections(server, count):
    """Resident memory at rest, and per connection that has had one request and waits for the next."""
    _allow_files(count + 100)
    before = _settled_kb(server.process.pid)
    context = _context(server)
    held = []
    try:
        for _ in range(count):
            one = _open(server, context)
            held.append(one)
            one.sendall(_request(server, "/livez"))
            if not one.recv(65536).startswith(b"HTTP/1.1 200"):
                raise LoadFailed("/livez did not answer 200")
        after = _settled_kb(server.process.pid)
    finally:
        for one in held:
            one.close()
    return {"rss_mb": before / 1024, "idle_connection_kb": (after - before) / count}


def waiting_streams(server, count):
    """Memory per event stream that is open and waits for the engine, which computes one at a time."""
    _allow_files(count + 100)
    context = _context(server)
    chat = {"model": server.model, "stream": True, "temperature": 0,
            "messages": [{"role": "user", "content": "Count from one to a thousand."}]}
    before = _settled_kb(server.process.pid)
    held = []
    try:
        for at in range(count):
            one = _open(server, context)
            held.append(one)
            # The first keeps the engine busy; the others wait behind it.
            one.sendall(_request(server, "/v1/chat/completions",
                                 {**chat, "max_tokens": 4000 if at == 0 else 1, "ignore_eos": at == 0}))
        if not wait_until(lambda: _waiting(server) >= count * 0.9, 60):
            raise LoadFailed(f"only {_waiting(server):.0f} of {count} streams wait in the engine")
        after = _settled_kb(server.process.pid)
    finally:
        for one in held:
            one.close()
    return {"waiting_stream_kb": (after - before) / count, "waiting_streams": count}


def _waiting(server):
    status, text = server.get("/metrics")
    if status != 200:
        raise LoadFailed(f"/metrics answers {status}: {text[:200]}")
    for line in text.splitlines():
        if line.startswith("holdfast_engine_requests_waiting"):
            return float(line.rsplit(" ", 1)[1])
    return 0.0
