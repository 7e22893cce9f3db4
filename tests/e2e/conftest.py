import os

import openai
import pytest

from holdfast_server import CHAT_MODEL, Server, store_with


def pytest_addoption(parser):
    parser.addoption("--url", default="", help="address of a running server, without /v1: only the api tests")
    parser.addoption("--model", default=CHAT_MODEL, help="model name for --url")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--url"):
        outside = [item for item in items if not item.get_closest_marker("api")]
        config.hook.pytest_deselected(items=outside)
        items[:] = [item for item in items if item.get_closest_marker("api")]


@pytest.fixture(scope="session")
def store():
    return store_with(models=[CHAT_MODEL])


@pytest.fixture(scope="session")
def server(store):
    """One server for all tests that leave it as they found it."""
    started = Server(store)
    yield started
    assert started.process.poll() is None, f"the server ended by itself:\n{started.log()}"
    assert started.stop() == 0, started.log()


@pytest.fixture
def make_server(store):
    """Servers of a test's own; stopped afterwards."""
    made = []

    def make(**options):
        made.append(Server(options.pop("store", store), **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="session")
def model(pytestconfig):
    return pytestconfig.getoption("--model")


def client_of(server):
    return openai.OpenAI(base_url=server.address + "/v1", api_key=server.key, max_retries=0, timeout=120,
                         http_client=openai.DefaultHttpxClient(verify=server.tls(), trust_env=False))


@pytest.fixture(scope="session")
def client(request, pytestconfig):
    url = pytestconfig.getoption("--url")
    if url:
        return openai.OpenAI(base_url=url.rstrip("/") + "/v1", api_key=os.environ.get("HOLDFAST_API_KEY", "none"),
                             max_retries=0, timeout=120)
    return client_of(request.getfixturevalue("server"))
