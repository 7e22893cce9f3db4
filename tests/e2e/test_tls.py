"""TLS 1.3 with the private CA; everything else is refused."""
import socket
import ssl
import subprocess

import pytest


def test_tls_1_3_with_the_ca(server):
    with server.connect() as connection:
        assert connection.version() == "TLSv1.3"


def test_tls_1_2_is_refused(server):
    context = server.tls()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.connect(context=context)


def test_certificate_is_not_trusted_without_the_ca(server):
    with pytest.raises(ssl.SSLCertVerificationError):
        server.connect(context=ssl.create_default_context())


def test_openssl_client_agrees(server):
    shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", str(server.ca),
                            "-verify_return_error", "-brief"], input="", capture_output=True, text=True, timeout=20)
    assert "Verification: OK" in shown.stderr + shown.stdout
    assert "TLSv1.3" in shown.stderr + shown.stdout


def test_plain_http_gets_no_answer_in_clear(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            got = connection.recv(1000)
        except ConnectionError:
            got = b""
    assert b"200 OK" not in got


def test_private_files_are_private(server):
    for folder in ("tls", "keys"):
        for path in (server.folder / folder).rglob("*"):
            if path.is_file() and path.name not in ("ca.pem", "server.pem", "cert.pem"):
                assert path.stat().st_mode & 0o077 == 0, path
