"""OpenAI's Node client: tests/e2e/node/client.mjs."""
import os
import pathlib
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "build/e2e-node"


@pytest.mark.api
def test_node_client(client, model, request, pytestconfig):
    url = pytestconfig.getoption("--url")
    environment = {**os.environ, "BASE_URL": str(client.base_url), "API_KEY": client.api_key, "MODEL": model,
                   "NO_PROXY": "127.0.0.1"}
    if not url:
        environment["NODE_EXTRA_CA_CERTS"] = str(request.getfixturevalue("server").ca)
    done = subprocess.run(["node", "client.mjs"], cwd=FOLDER, env=environment, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok ") == 8
