"""The command line as a person uses it, and the commands of the README."""
import json
import os
import pathlib
import re
import subprocess

import pytest

from holdfast_server import BIN, CHAT_MODEL, ROOT, holdfast, patience, wait_for

HERE = pathlib.Path(__file__).resolve().parent


def test_chat_in_a_terminal(server, tmp_path):
    saved = tmp_path / "talk.json"
    done = subprocess.run(["expect", str(HERE / "chat.exp"), str(BIN / "holdfast"), str(server.folder), str(saved)],
                          capture_output=True, text=True, timeout=180 * patience())
    assert done.returncode == 0 and "FAILED" not in done.stdout, done.stdout
    talk = json.loads(saved.read_text())
    assert [turn["role"] for turn in talk] == ["system", "user", "assistant"]
    assert "Tokyo" in talk[2]["content"]
    server.wait_idle()


def test_chat_with_one_question(server):
    done = holdfast("chat", "--temperature", "0", "--max-tokens", "48", "What is the capital of Japan?",
                    data_dir=server.folder)
    assert "Tokyo" in done.stdout


def test_chat_reads_a_pipe(server):
    done = subprocess.run([str(BIN / "holdfast"), "--data-dir", str(server.folder), "chat", "--temperature", "0",
                           "--max-tokens", "48"], input="What is the capital of Japan?\n", capture_output=True,
                          text=True, timeout=60 * patience())
    assert done.returncode == 0 and "Tokyo" in done.stdout


def test_status_tells_the_address_and_the_model(server):
    shown = holdfast("status", data_dir=server.folder).stdout
    assert server.address in shown and CHAT_MODEL in shown


def test_models_and_catalogue(server):
    assert CHAT_MODEL in holdfast("models", data_dir=server.folder).stdout
    assert CHAT_MODEL in holdfast("catalogue", data_dir=server.folder).stdout


def test_ca_is_the_servers(server):
    assert holdfast("ca", "show", data_dir=server.folder).stdout.strip() == server.ca.read_text().strip()


def test_keys_are_made_listed_and_revoked(server):
    key = holdfast("key", "create", "--name", "cli-test", data_dir=server.folder).stdout.strip().splitlines()[-1]
    wait_for(lambda: server.get("/v1/models", key=key).status == 200, 3, "the new key is known")
    listed = holdfast("key", "list", data_dir=server.folder).stdout
    assert "cli-test" in listed and key not in listed
    ident = next(line.split()[0] for line in listed.splitlines() if "cli-test" in line)
    holdfast("key", "revoke", ident, data_dir=server.folder)
    wait_for(lambda: server.get("/v1/models", key=key).status == 401, 3, "the revoked key is refused")


def test_bench_measures(server):
    shown = json.loads(holdfast("bench", "-c", "2", "-n", "4", "--prompt-tokens", "16", "--output-tokens", "4",
                                "--json", "--traces", data_dir=server.folder).stdout)
    assert shown["completed"] == 4 and shown["failed"] == 0
    assert shown["output_tokens"] == 16
    assert len(shown["requests"]) == 4 and all(request["first_s"] > 0 for request in shown["requests"])


def test_nothing_listens_is_said(tmp_path):
    done = holdfast("status", data_dir=tmp_path, check=False)
    assert done.returncode == 1 and "holdfast serve" in done.stderr


def readme_blocks():
    """Shell blocks of the README that call the API."""
    readme = ROOT / "README.md"
    text = readme.read_text() if readme.exists() else ""
    return [block for block in re.findall(r"```sh\n(.*?)```", text, re.S) if "curl" in block and "pull" not in block]


def test_the_readme_calls_the_api():
    assert len(readme_blocks()) >= 3


@pytest.mark.parametrize("block", readme_blocks(), ids=lambda block: re.sub(r"\W+", "-", block.strip())[-40:])
def test_readme_command(server, tmp_path, block):
    command = block.replace("https://127.0.0.1:8443", server.address)
    # A new key is known within a second; a person is slower than that.
    command = command.replace("curl ", "curl --silent --fail-with-body --retry 3 --retry-all-errors --retry-delay 1 ")
    script = f"set -e\nholdfast ca show > holdfast-ca.pem\nexport HOLDFAST_API_KEY=$(holdfast key create --name readme)\nsleep 1\n"
    environment = {**os.environ, "HOLDFAST_DATA": str(server.folder), "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script + command], cwd=tmp_path, env=environment, capture_output=True,
                          text=True, timeout=120 * patience())
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"object"' in done.stdout or "data:" in done.stdout or "holdfast_" in done.stdout
