"""Ending in order."""
import json
import signal
import threading
import time

from holdfast_server import CHAT_MODEL, patience
from test_crash import stream_text


def test_sigterm_lets_an_open_stream_end(make_server):
    server = make_server()
    body = {"model": CHAT_MODEL, "stream": True, "max_tokens": 150, "temperature": 0, "ignore_eos": True,
            "messages": [{"role": "user", "content": "Tell me about the sea."}]}
    result = []
    begun = threading.Event()

    def on_event(count):
        if count == 5:
            begun.set()

    thread = threading.Thread(target=lambda: result.append(stream_text(server, body, on_event)))
    thread.start()
    assert begun.wait(30 * patience())
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    try:
        refused = server.get("/readyz")
        assert refused.status == 503
    except OSError:
        pass  # It no longer accepts connections: as good.
    thread.join(60 * patience())
    assert result and result[0][1] == "length"
    assert server.process.wait(30) == 0


def test_second_signal_ends_at_once(make_server):
    server = make_server()
    with server.connect() as connection:
        connection.sendall(server.request_bytes("/v1/chat/completions", {
            "model": CHAT_MODEL, "stream": True, "max_tokens": 3000, "ignore_eos": True,
            "messages": [{"role": "user", "content": "Count."}]}))
        connection.recv(100)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        server.process.wait(10)
        assert time.monotonic() - started < 5


def test_sighup_keeps_serving(server):
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert server.chat("Hello").status == 200


def test_settings_with_a_wrong_name_are_refused(server):
    import subprocess
    from holdfast_server import BIN
    folder = server.folder / "wrong"
    folder.mkdir()
    (folder / "holdfast.toml").write_text("[server]\nprot = 1\n")
    done = subprocess.run([str(BIN / "holdfastd"), "--data-dir", str(folder)], capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and "prot" in done.stderr


def test_one_data_folder_one_server(server):
    import subprocess
    from holdfast_server import BIN
    done = subprocess.run([str(BIN / "holdfastd"), "--data-dir", str(server.folder)], capture_output=True, text=True,
                          timeout=20)
    assert done.returncode != 0
    assert json.loads(server.get("/livez").body)["status"] == "live"
