"""Runs `holdfast bench` against a server and reads its figures."""
import json
import statistics
import subprocess

from .machine import die_with_parent


class LoadFailed(Exception):
    pass


class Load:
    """A running load; `result` waits for it."""

    def __init__(self, programs, server, clients, requests, prompt, output, seed, shared=0, extra=None,
                 model="", timeout_s=300):
        self.server, self.timeout_s, self.requests = server, timeout_s, requests
        words = [f"{programs}/holdfast", *server.bench_arguments(), "--model", model or server.model,
                 "-c", str(clients), "-n", str(requests), "--prompt-tokens", str(prompt),
                 "--output-tokens", str(output), "--seed", str(seed),
                 "--shared-tokens", str(shared), "--json", "--traces"]
        if extra:
            words += ["--extra", json.dumps(extra)[1:-1]]
        self.child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      preexec_fn=die_with_parent)

    def running(self):
        return self.child.poll() is None

    def result(self, failures_allowed=False):
        try:
            out, err = self.child.communicate(timeout=self.timeout_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.communicate()
            raise LoadFailed(f"{self.server.title}: the load did not end in {self.timeout_s} s") from None
        if not out.startswith("{"):
            if failures_allowed:
                return {"completed": 0, "failed": self.requests, "first_error": err.strip(), "requests": []}
            raise LoadFailed(f"{self.server.title}: {err.strip() or out.strip()}{self.server.last_words()}")
        report = json.loads(out)
        if report["failed"] and not failures_allowed:
            raise LoadFailed(f"{self.server.title}: {report['failed']} requests failed: {report['first_error']}")
        return report


def event_times(report, request):
    """When the request's pieces of text came, on the machine's monotonic clock."""
    at = report["started_s"] + request["first_s"]
    times = [at]
    for gap in request["gaps_ms"]:
        at += gap / 1000
        times.append(at)
    return times


def gaps_during(report, begin, end):
    """Milliseconds between a stream's pieces, for the waits that touch [begin, end]."""
    gaps = []
    for request in report["requests"]:
        if request["first_s"] < 0:
            continue
        times = event_times(report, request)
        gaps += [(late - early) * 1000 for early, late in zip(times, times[1:]) if late > begin and early < end]
    return gaps


def streams_alive(report, begin, end):
    """Streams whose first piece came before `begin` and whose last after `end`."""
    alive = 0
    for request in report["requests"]:
        if request["first_s"] >= 0:
            times = event_times(report, request)
            alive += times[0] <= begin and times[-1] >= end
    return alive


def quantile(values, share):
    """A value that occurred; the nearest rank."""
    ordered = sorted(values)
    if not ordered:
        raise LoadFailed("no values were measured")
    rank = max(1, -(-int(share * 1000) * len(ordered) // 1000))
    return ordered[min(rank, len(ordered)) - 1]


def median(values):
    return statistics.median(values)
