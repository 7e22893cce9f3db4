"""`bench/run serving`: each part runs both servers in turn on the same loads and gives ratios of medians.

Every ratio is better when larger, except itl_p99 (a delay of ours against theirs).
"""
import json
import os
import random
import time

from . import direct, idle, models
from .load import Load, LoadFailed, gaps_during, median, quantile, streams_alive
from .machine import BusyNeighbour, CannotRun, cpu_model, load_average, revision
from .servers import Holdfast, LlamaServer

SUMMARY = ("ratio_c1", "ratio_c8", "ratio_c32", "ratio_prefix32", "ttft_ratio_c1", "itl_p99_ratio_c32",
           "overhead_p50_ms", "rss_mb")
TARGETS = {"ratio_c1": ">= 1.0", "ratio_c8": ">= 1.0", "ratio_c32": ">= 1.0", "ratio_prefix32": ">= 3.0",
           "ttft_p99_ratio_prefix32": ">= 5.0", "ttft_ratio_c1": ">= 1.0", "itl_p99_ratio_c4": "<= 0.5",
           "itl_p99_ratio_c32": "<= 0.5", "adapters_first_token_ms": "<= 1000", "overflow_completed": "all",
           "ratio_prefill_q8": ">= 1.3", "busy_speed_share": ">= 0.40"}
CELLS = 16384


class Bench:
    """Options, figures gathered so far, and where they are said."""

    def __init__(self, options):
        self.programs, self.threads, self.quick = options.bin, options.threads, options.quick
        self.repeats_asked = options.repeats
        self.figures, self.failures, self.notes = {}, {}, []
        self.seed = random.SystemRandom().randrange(1 << 30)

    def repeats(self, quick, full):
        return self.repeats_asked or (quick if self.quick else full)

    def fresh_seed(self):
        self.seed += 1
        return self.seed

    def say(self, text):
        print(text, flush=True)

    def add(self, **figures):
        self.figures.update(figures)

    def holdfast(self, model=models.Q4_1, cells=CELLS, **more):
        return Holdfast(self.programs, model, self.threads, cells, **more)

    def llama_server(self, slots, per_slot, model=models.Q4_1, **more):
        return LlamaServer(model, self.threads, slots * per_slot, slots, **more)

    def load(self, server, **load):
        return Load(self.programs, server, **load)

    def warm(self, *servers):
        """First requests pay for page faults and buffers; none of them is counted."""
        for server in servers:
            self.load(server, clients=1, requests=2, prompt=64, output=4, seed=self.fresh_seed()).result()
        if len(servers) == 2:
            ours, theirs = servers[0].kernels(), servers[1].kernels()
            note = f"kernels: holdfast {' '.join(ours)}; llama-server {' '.join(theirs)}"
            if note not in self.notes:
                self.notes.append(note)
                self.say("  " + note)

    def alternate(self, servers, repeats, **load):
        """Ours, theirs, ours, theirs: the same prompts for both, fresh ones each time."""
        reports = [[], []]
        for _ in range(repeats):
            seed = self.fresh_seed()
            for at, server in enumerate(servers):
                reports[at].append(self.load(server, seed=seed, **load).result())
                report = reports[at][-1]
                self.say(f"  {server.title:<13} {report['total_tokens_per_s']:8.1f} tok/s  first token p50 "
                         f"{report['ttft_ms']['p50']:7.1f} p99 {report['ttft_ms']['p99']:7.1f} ms  gap p99 "
                         f"{report['gap_ms']['p99']:7.1f} ms")
        return reports


def of_all(reports, *keys):
    values = []
    for report in reports:
        for key in keys:
            report = report[key]
        values.append(report)
    return median(values)


def ratio(reports, *keys):
    return of_all(reports[0], *keys) / of_all(reports[1], *keys)


def part_c1(bench):
    """One client, 128 tokens in, 32 out: tokens/s, and time to the first token (theirs / ours)."""
    with bench.holdfast() as ours, bench.llama_server(1, 512) as theirs:
        bench.warm(ours, theirs)
        reports = bench.alternate((ours, theirs), bench.repeats(2, 7), clients=1, requests=6, prompt=128, output=32)
    bench.add(ratio_c1=ratio(reports, "total_tokens_per_s"), ttft_ratio_c1=1 / ratio(reports, "ttft_ms", "p50"),
              tokens_per_s_c1=of_all(reports[0], "total_tokens_per_s"), ttft_ms_c1=of_all(reports[0], "ttft_ms", "p50"))


def _many(bench, clients, requests, quick_repeats, full_repeats):
    with bench.holdfast() as ours, bench.llama_server(clients, 512) as theirs:
        bench.warm(ours, theirs)
        reports = bench.alternate((ours, theirs), bench.repeats(quick_repeats, full_repeats), clients=clients,
                                  requests=requests, prompt=128, output=32)
    bench.add(**{f"ratio_c{clients}": ratio(reports, "total_tokens_per_s"),
                 f"tokens_per_s_c{clients}": of_all(reports[0], "total_tokens_per_s"),
                 f"ttft_ratio_c{clients}": 1 / ratio(reports, "ttft_ms", "p50")})


def part_c8(bench):
    """8 clients, distinct prompts, 128 in, 32 out."""
    _many(bench, 8, 16 if bench.quick else 24, 1, 5)


def part_c32(bench):
    """32 clients, distinct prompts, 128 in, 32 out."""
    _many(bench, 32, 32 if bench.quick else 64, 1, 5)


def _gaps_while_prompt_arrives(bench, server, streams, output, wait_s):
    """Gaps of `streams` decoding streams from a 1,500-token prompt's arrival to its first token."""
    for _ in range(4):
        background = bench.load(server, clients=streams, requests=streams, prompt=24, output=output,
                                seed=bench.fresh_seed())
        time.sleep(wait_s)
        prompt = bench.load(server, clients=1, requests=1, prompt=1500, output=2, seed=bench.fresh_seed()).result()
        report = background.result()
        begin = prompt["started_s"] + prompt["requests"][0]["start_s"]
        end = prompt["started_s"] + prompt["requests"][0]["first_s"]
        # Streams that end or start while the prompt is computed would blur the figure.
        if streams_alive(report, begin, end) == streams:
            return gaps_during(report, begin, end), (end - begin) * 1000
        slowest = max(r["first_s"] for r in report["requests"])
        if report["started_s"] + slowest > begin:
            wait_s = slowest + 1.0
        else:
            output = int(output * 1.6)
    raise LoadFailed(f"{server.title}: no run had all {streams} streams decoding while the prompt was computed")


def _itl(bench, streams, output, wait_s, repeats):
    ours_p99, theirs_p99, worst, prompt_ms = [], [], [[], []], [[], []]
    with bench.holdfast() as ours, bench.llama_server(streams + 1, 2048) as theirs:
        bench.warm(ours, theirs)
        for _ in range(repeats):
            for at, (server, p99) in enumerate(((ours, ours_p99), (theirs, theirs_p99))):
                gaps, took_ms = _gaps_while_prompt_arrives(bench, server, streams, output, wait_s)
                p99.append(quantile(gaps, 0.99))
                worst[at].append(max(gaps))
                prompt_ms[at].append(took_ms)
                bench.say(f"  {server.title:<13} gap p99 {p99[-1]:8.1f} worst {worst[at][-1]:8.1f} ms, prompt's first "
                          f"token after {took_ms:8.1f} ms")
    name = f"c{streams}"
    bench.add(**{f"itl_p99_ratio_{name}": median(ours_p99) / median(theirs_p99), f"itl_p99_ms_{name}": median(ours_p99),
                 f"itl_worst_ratio_{name}": median(worst[0]) / median(worst[1]),
                 f"prompt_ms_ratio_{name}": median(prompt_ms[1]) / median(prompt_ms[0])})


def part_itl(bench):
    """Gaps of 4 and of 32 decoding streams while a 1,500-token prompt arrives."""
    if not bench.quick:
        _itl(bench, 4, 400, 1.5, bench.repeats(1, 3))
    _itl(bench, 32, 160, 3.0, bench.repeats(1, 3))


def part_prefix32(bench):
    """32 clients whose prompts begin alike, with 512 (quick) or 512, 1,000 and 1,500 tokens, never seen before."""
    ratios, first_ratios = [], []
    sizes = (512,) if bench.quick else (512, 1000, 1500)
    with bench.holdfast() as ours, bench.llama_server(32, 2048) as theirs:
        bench.warm(ours, theirs)
        for shared in sizes:
            reports = bench.alternate((ours, theirs), bench.repeats(1, 2 if shared == 512 else 1), clients=32,
                                      requests=32 if bench.quick else 64, prompt=16, output=16, shared=shared)
            ratios.append(ratio(reports, "total_tokens_per_s"))
            first_ratios.append(1 / ratio(reports, "ttft_ms", "p99"))
            bench.add(**{f"ratio_prefix32_{shared}": ratios[-1], f"ttft_p99_ratio_prefix32_{shared}": first_ratios[-1]})
    bench.add(ratio_prefix32=median(ratios), ttft_p99_ratio_prefix32=median(first_ratios))


def part_adapters(bench):
    """Two LoRA adapters asked for at the same time: when does each give its first token?"""
    files = models.adapters(bench.programs)
    first = [[], []]
    with bench.holdfast() as ours, bench.llama_server(4, 512, adapters=files) as theirs:
        for server in (ours, theirs):
            for number in range(2):
                bench.load(server, clients=1, requests=1, prompt=16, output=2, seed=bench.fresh_seed(),
                           **server.adapter_load(number)).result()
        for _ in range(bench.repeats(2, 5)):
            for at, server in enumerate((ours, theirs)):
                loads = [bench.load(server, clients=2, requests=2, prompt=64, output=64, seed=bench.fresh_seed(),
                                    **server.adapter_load(number)) for number in range(2)]
                slowest = max(load.result()["ttft_ms"]["max"] for load in loads)
                first[at].append(slowest)
                bench.say(f"  {server.title:<13} last of the first tokens after {slowest:8.1f} ms")
    bench.add(adapters_first_token_ms=median(first[0]), adapters_first_token_ratio=median(first[1]) / median(first[0]))


def part_overflow(bench):
    """Requests whose prompts and answers need more than twice the KV cells there are: how many complete?"""
    clients, prompt, output, cells = 8, 400, 200, 2048
    completed = []
    with bench.holdfast(cells=cells) as ours, \
            bench.llama_server(clients, cells // clients, unified=True) as theirs:
        for server in (ours, theirs):
            report = bench.load(server, clients=clients, requests=clients, prompt=prompt, output=output,
                                seed=bench.fresh_seed()).result(failures_allowed=True)
            full = sum(1 for r in report["requests"] if not r["error"] and r["output_tokens"] == output)
            completed.append(full)
            bench.say(f"  {server.title:<13} {full} of {clients} complete {report['first_error'][:100]}")
    bench.add(overflow_completed=completed[0], overflow_asked=clients, overflow_completed_peer=completed[1])
    if completed[0] != clients:
        raise LoadFailed(f"holdfast completed {completed[0]} of {clients} requests")


def part_prefill(bench):
    """Prompt tokens/s with Q8_0: 1,024-token prompts, one token out."""
    models.ensure(bench.programs, models.Q8_0)
    with bench.holdfast(model=models.Q8_0) as ours, bench.llama_server(1, 2048, model=models.Q8_0) as theirs:
        bench.warm(ours, theirs)
        reports = bench.alternate((ours, theirs), bench.repeats(2, 5), clients=1, requests=2, prompt=1024, output=1)
    bench.add(ratio_prefill_q8=ratio(reports, "total_tokens_per_s"),
              prefill_tokens_per_s_q8=of_all(reports[0], "total_tokens_per_s"))


def part_overhead(bench):
    """One-token answers over HTTPS against the same ones asked of an engine directly, in turn."""
    rounds, requests = bench.repeats(6, 15), 60
    with bench.holdfast() as ours, direct.Engine(bench.programs, models.path_of(models.Q4_1), bench.threads,
                                                 CELLS) as engine:
        bench.warm(ours)
        engine.ask(bench.fresh_seed(), 4)
        whole, first = [], []
        for _ in range(rounds):
            seed = bench.fresh_seed()
            alone = engine.ask(seed, requests)
            report = bench.load(ours, clients=1, requests=requests, prompt=1, output=1, seed=seed).result()
            whole.append(report["request_ms"]["p50"] - alone["done_ms_p50"])
            first.append(report["ttft_ms"]["p50"] - alone["first_ms_p50"])
            bench.say(f"  engine {alone['done_ms_p50']:.2f} ms, over HTTPS {report['request_ms']['p50']:.2f} ms; first "
                      f"text {alone['first_ms_p50']:.2f} and {report['ttft_ms']['p50']:.2f} ms")
    bench.add(overhead_p50_ms=median(whole), first_event_delay_ms=median(first))


def part_rss(bench):
    """Resident memory of the server without an engine, and what idle connections and streams cost."""
    with bench.holdfast(preload=False) as ours:
        bench.add(**idle.connections(ours, 1000))
    with bench.holdfast(running=1) as ours:
        bench.add(**idle.waiting_streams(ours, 200 if bench.quick else 1000))
    bench.say(f"  server {bench.figures['rss_mb']:.1f} MB, {bench.figures['idle_connection_kb']:.1f} kB a connection, "
              f"{bench.figures['waiting_stream_kb']:.1f} kB a stream")


def part_busy(bench):
    """Our speed with another process computing all the time, as a share of our speed without it."""
    quiet, busy = [], []
    with bench.holdfast() as ours:
        bench.warm(ours)
        for _ in range(bench.repeats(1, 3)):
            load = {"clients": 1, "requests": 4, "prompt": 128, "output": 64}
            quiet.append(bench.load(ours, seed=bench.fresh_seed(), **load).result()["total_tokens_per_s"])
            with BusyNeighbour():
                time.sleep(1)
                busy.append(bench.load(ours, seed=bench.fresh_seed(), **load).result()["total_tokens_per_s"])
            bench.say(f"  quiet {quiet[-1]:.1f} tok/s, with a busy neighbour {busy[-1]:.1f} tok/s")
    bench.add(busy_speed_share=median(busy) / median(quiet))


PARTS = {"c1": part_c1, "c8": part_c8, "c32": part_c32, "itl": part_itl, "prefix32": part_prefix32,
         "adapters": part_adapters, "overflow": part_overflow, "prefill": part_prefill, "overhead": part_overhead,
         "rss": part_rss, "busy": part_busy}


def _environment(bench):
    shown = {name: os.environ.get(name, "unset") for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS",
                                                              "OPENBLAS_NUM_THREADS", "GGML_BACKEND_PATH")}
    bench.say(f"{time.strftime('%Y-%m-%d %H:%M')}  {cpu_model()}, {os.cpu_count()} cores, load {load_average():.2f}, "
              f"git {revision()}")
    bench.say(f"both servers: {bench.threads} threads; " + ", ".join(f"{k} {v}" for k, v in shown.items()))
    bench.add(environment={"cpu": cpu_model(), "cores": os.cpu_count(), "git": revision(), "threads": bench.threads,
                           "load_at_start": load_average(), "variables": shown,
                           "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")})


def _shown(value):
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _table(bench):
    bench.say(f"\n{'figure':<30}{'value':>12}   target")
    for name, value in bench.figures.items():
        if name != "environment":
            bench.say(f"{name:<30}{_shown(value):>12}   {TARGETS.get(name, '')}")
    for name, problem in bench.failures.items():
        bench.say(f"FAILED {name}: {problem}")


def run(options):
    unknown = [name for name in options.part if name not in PARTS]
    if unknown:
        raise CannotRun(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    for name in ("holdfast", "holdfastd", "holdfast-engine"):
        if not os.access(f"{options.bin}/{name}", os.X_OK):
            raise CannotRun(f"{options.bin}/{name} is missing; run ./quickstart.sh --build-only")
    bench = Bench(options)
    _environment(bench)
    models.ensure(options.bin, models.Q4_1)
    started = time.monotonic()
    for name, part in PARTS.items():
        if options.part and name not in options.part:
            continue
        bench.say(f"\n[{time.monotonic() - started:4.0f} s] {name}: {part.__doc__} (load {load_average():.2f})")
        try:
            part(bench)
        except (LoadFailed, CannotRun, OSError, ValueError, KeyError, ZeroDivisionError) as problem:
            bench.failures[name] = f"{type(problem).__name__}: {problem}"
            bench.say(f"  FAILED: {bench.failures[name]}")
    _table(bench)
    bench.say(f"{time.monotonic() - started:.0f} s in all")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({**bench.figures, "failures": bench.failures, "notes": bench.notes}, file, indent=1)
    bench.say("serving " + " ".join(f"{name}={_shown(bench.figures[name]) if name in bench.figures else 'none'}"
                                    for name in SUMMARY))
    return 1 if bench.failures else 0
