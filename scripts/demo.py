#!/usr/bin/python3
"""Plays examples/shop as a story, and checks every sentence of it. Called by `make demo`.

  scripts/demo.py           plays it, and leaves nothing behind
  scripts/demo.py --keep    plays it up to closing time, and leaves the shop open
  scripts/demo.py --stop    closes a shop that --keep left open

Whatever did not happen ends it with a sentence that says so, and exit code 1.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOSTLER = Path(os.environ.get("HOSTLER_BIN", ROOT / "target/release/hostler"))
SPEC = "examples/shop/hostler.toml"
KEPT = ROOT / "target/demo-kept.json"
HOST_KILLS = 10
PORTS = {"SHOP_WEB_PORT": 17000, "SHOP_API_PORT": 17080, "SHOP_METRICS_PORT": 17090, "SHOP_REDIS_PORT": 17379}

TTY = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


class NotSo(Exception):
    """Something that should have happened did not."""


# --- how it looks ----------------------------------------------------------------------------------------------


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if TTY and text else text


def heading(text):
    print(f"\n{paint('1;36', '━━ ' + text + ' ' + '━' * max(3, 74 - len(text)))}\n", flush=True)
    pause(0.6)


def say(text):
    """A remark for who watches."""
    print(paint("2", f"  # {text}"), flush=True)


def proved(text):
    print(f"  {paint('32', '✓')} {text}", flush=True)


def pause(seconds):
    if TTY:
        time.sleep(seconds)


# --- the shop and its host -------------------------------------------------------------------------------------


class Shop:
    def __init__(self, home, ports):
        self.home = Path(home)
        self.state = self.home / "state"
        self.ports = ports
        self.env = {**os.environ, **{name: str(port) for name, port in ports.items()}}
        self.env["SHOP_DATA"] = str(self.home / "data")
        self.env["HOSTLER_STATE_DIR"] = str(self.state)
        self.host_pid = None
        self.keeper_pid = None

    @classmethod
    def new(cls):
        home = tempfile.mkdtemp(prefix="hostler-demo-")
        (Path(home) / "data").mkdir()
        return cls(home, free_ports())

    def run(self, *words):
        """Runs hostler as a person would, and shows what it says."""
        print(paint("1", "  $ hostler " + " ".join(words)), flush=True)
        done = subprocess.run([HOSTLER, *words], cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise NotSo(f"`hostler {' '.join(words)}` ended with {done.returncode}")
        print(flush=True)

    def quiet(self, *words):
        """What hostler says, as text; used to look, never to show."""
        done = subprocess.run([HOSTLER, *words], cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise NotSo(f"`hostler {' '.join(words)}` ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def json(self, *words):
        return json.loads(self.quiet(*words, "--json"))

    def lines(self, *words):
        return [json.loads(line) for line in self.quiet(*words, "--json").splitlines()]

    def services(self):
        return {service["name"]: service for service in self.json("ps")["services"]}

    def pids(self):
        return {name: service["pid"] for name, service in self.services().items() if service.get("pid")}

    def edges(self):
        """Who depends on whom: a name and the edge that leads from it."""
        nodes = self.json("graph")["services"]
        return [(name, edge) for name, node in nodes.items() for edge in node["dependencies"]]

    def look_up_host(self):
        host = self.json("status")
        self.host_pid, self.keeper_pid = host["pid"], host["keeper"]["pid"]

    def is_open(self):
        """Does everything run that should, and is it well?"""
        services = self.services()
        well = {name for name, service in services.items() if service["status"] == "running" and service["health"] == "healthy"}
        done = {name for name, service in services.items() if service["status"] == "completed"}
        return services and done == {"migrate"} and well == services.keys() - done

    def until_open(self, seconds=60):
        until(self.is_open, seconds, lambda: f"not all of the shop is well after {seconds} s: {self.summary()}")

    def summary(self):
        words = ("name", "status", "health", "cause")
        return "; ".join(" ".join(str(service[word]) for word in words if service.get(word)) for service in self.services().values())

    def fetch(self, port, path, form=None):
        body = None if form is None else urllib.parse.urlencode(form).encode()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}{path}", body, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def figure(self, name):
        """One number of the shop's own metrics."""
        status, text = self.fetch("SHOP_METRICS_PORT", "/metrics")
        found = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
        if status != 200 or not found:
            raise NotSo(f"the shop's figures lack {name}")
        return int(found[1])

    def ticks(self):
        """The worker's numbers in its log, in order, since it last started."""
        texts = [item["text"] for item in self.lines("logs", "worker", "--tail", "100000") if item["type"] == "line"]
        starts = [at for at, text in enumerate(texts) if text.startswith("worker: started")]
        if not starts:
            raise NotSo("the worker's log does not begin with its start")
        return [int(text.split()[1]) for text in texts[starts[-1]:] if text.startswith("tick ")]


def free_ports():
    """The ports of the shop's README where they are free, others where not."""
    ports = {}
    for name, usual in PORTS.items():
        for port in (usual, 0):
            try:
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
                    ports[name] = probe.getsockname()[1]
                break
            except OSError:
                continue
    return ports


def until(condition, seconds, otherwise):
    """Looks until it is so, and how long that took."""
    began = time.monotonic()
    while True:
        found = condition()
        if found:
            return time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise NotSo(otherwise() if callable(otherwise) else otherwise)
        time.sleep(0.05)


def runs(pid):
    """Is it there, and no zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def be_sure(condition, otherwise):
    if not condition:
        raise NotSo(otherwise)


# --- the story -------------------------------------------------------------------------------------------------


def it_opens(shop):
    heading("1 · It opens")
    say("Redis first, then whoever needs it; nobody starts before what it needs is healthy or done.")
    shop.run("up", "--detach", SPEC)
    shop.until_open()
    shop.look_up_host()
    show_starts(shop)


def show_starts(shop):
    """Who started when, and that everything it waits for held by then."""
    events = [event for event in shop.lines("events") if event["type"] == "event" and event.get("service")]
    news = {}  # (service, what) → the first event that says so
    for event in events:
        what = "healthy" if event["kind"] == "health-changed" and "-> healthy" in event["message"] else event["kind"]
        news.setdefault((event["service"], what), event)
    edges = shop.edges()
    first = when(events[0]["at"])
    for (name, what), event in sorted(news.items(), key=lambda item: item[1]["seq"]):
        if what in ("started", "healthy", "completed"):
            needs = sorted(edge["service"] for who, edge in edges if who == name)
            after = f"after {', '.join(needs)}" if what == "started" and needs else ""
            print(f"  {when(event['at']) - first:7.3f} s  {name:8} {what:10} {paint('2', after)}".rstrip())
    for who, edge in edges:
        condition = edge["condition"] or "healthy"  # the default where the dependency has a check, and here each has one
        held, began = news.get((edge["service"], condition)), news.get((who, "starting"))
        be_sure(began, f"no event says that {who} started")
        be_sure(held and held["seq"] < began["seq"], f"{who} started before {edge['service']} was {condition}")
    print()
    proved("nobody started before what it needs was healthy, or done")


def when(timestamp):
    """Seconds since 1970 of an RFC 3339 time, fractions kept."""
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def a_look_around(shop):
    heading("2 · A look around")
    shop.run("ps")
    shop.run("graph")
    be_sure(shop.json("ps")["ready"], "the host does not say that it is ready")
    proved("everything runs and is healthy; the migration ran once and is completed")


def a_customer(shop):
    heading("3 · A customer")
    print(paint("1", f"  $ curl -d item=oats http://127.0.0.1:{shop.ports['SHOP_WEB_PORT']}/order"), flush=True)
    before = shop.figure("shop_orders_packed_total")
    status, text = shop.fetch("SHOP_WEB_PORT", "/order", {"item": "oats"})
    print(f"  {text}", flush=True)
    be_sure(status == 202, f"the order was not taken: {status} {text}")
    took = until(lambda: shop.figure("shop_orders_packed_total") > before, 10, "nobody packed the order within 10 s")
    proved(f"ordered at the front, taken by the API, packed by the worker {took * 1000:.0f} ms later")


def a_crash(shop):
    heading("4 · kill -9 a service")
    before = shop.services()
    pid = before["api"]["pid"]
    say("The API dies without a word. Watch its pid; nobody else should notice.")
    print(paint("1", f"  $ kill -9 {pid}   # api"), flush=True)
    os.kill(pid, signal.SIGKILL)
    took = until(lambda: is_back(shop, pid), 30, lambda: f"the API did not come back: {shop.summary()}")
    shop.until_open()
    after = shop.services()
    shop.run("ps")
    proved(f"api came back by itself after {took:.1f} s, pid {pid} → {after['api']['pid']}")
    be_sure(after["api"]["restart_count"] == before["api"]["restart_count"] + 1, f"its restart count is {after['api']['restart_count']}")
    others = before.keys() - {"api"}
    be_sure(all(after[name].get("pid") == before[name].get("pid") for name in others), "another service has a new pid")
    proved("everybody else kept theirs")


def is_back(shop, old_pid):
    api = shop.services()["api"]
    return api["status"] == "running" and api["health"] == "healthy" and api.get("pid") not in (None, old_pid)


def the_host_dies(shop):
    heading("5 · kill -9 the host")
    say("Not a service this time: hostler itself. The keeper holds the processes and goes on writing their logs.")
    before = shop.services()
    for kill in range(1, HOST_KILLS + 1):
        kill_host(shop, aloud=kill == 1)
        if kill == 1:
            shop.run("up", "--detach", SPEC)
            say(f"And {HOST_KILLS - 1} times more, each time as soon as it is back.")
        else:
            shop.quiet("up", "--detach", SPEC)
        old = shop.host_pid
        shop.look_up_host()
        be_sure(shop.host_pid != old, "the host is the old one")
        same_services(before, shop.services(), f"after kill {kill}")
        if kill > 1:
            print(f"    {kill:2}  host pid {old} → {shop.host_pid}, services untouched", flush=True)
    shop.until_open()
    print()
    shop.run("ps")
    proved(f"{HOST_KILLS} hosts died; every service has the pid it had before")
    same_services(before, shop.services(), "at the end")
    proved("no restart was counted")
    check_ticks(shop)


def kill_host(shop, aloud):
    if aloud:
        print(paint("1", f"  $ kill -9 {shop.host_pid}   # hostler"), flush=True)
    os.kill(shop.host_pid, signal.SIGKILL)
    until(lambda: not runs(shop.host_pid), 10, "the host does not die")
    tick = shop.figure("shop_worker_tick")
    until(lambda: shop.figure("shop_worker_tick") > tick, 10, "without the host the worker stands still")
    if aloud:
        status, _ = shop.fetch("SHOP_WEB_PORT", "/")
        be_sure(status == 200, f"without the host the front page answers {status}")
        proved("nobody is in charge, and the shop is open: the front page answers, the worker ticks")
        print()


def same_services(before, after, moment):
    for name, service in before.items():
        for word in ("pid", "restart_count"):
            was, now = service.get(word), after.get(name, {}).get(word)
            be_sure(was == now, f"{moment} the {word} of {name} is {now}, and was {was}")


def check_ticks(shop):
    ticks = shop.ticks()
    wanted = list(range(1, len(ticks) + 1))
    if ticks != wanted:
        odd = next(at for at, (was, right) in enumerate(zip(ticks, wanted)) if was != right)
        raise NotSo(f"the worker's log goes {ticks[max(0, odd - 2):odd + 2]}: a line is lost or doubled")
    be_sure(len(ticks) > HOST_KILLS, "the worker's log is too short to prove anything")
    proved(f"the worker's log goes from tick 1 to tick {len(ticks)} without a gap and without a repetition")


def why_is_it_closed(shop):
    heading("6 · Why is the shop closed?")
    say("Somebody stops Redis. Whoever needs it goes down before it does.")
    shop.run("stop", "redis")
    until(lambda: shop.services()["redis"]["status"] == "stopped", 30, lambda: f"redis does not stop: {shop.summary()}")
    say("And the front? Ask.")
    shop.run("explain", "web")
    because = shop.json("explain", "web")["because"]
    chain = " ← ".join(because)
    be_sure(len(because) >= 2 and "redis" in chain, f"the explanation of web does not lead to redis: {chain}")
    proved("the chain leads from the front down to the service that somebody stopped")
    shop.run("start", "redis")
    shop.until_open()
    proved("with Redis everything that waited for it came back")


def closing_time(shop):
    heading("7 · Closing time")
    say("In reverse: the front first, Redis last, when nobody needs it any more.")
    pids, edges = shop.pids(), shop.edges()
    last = shop.json("ps")["last_event"]
    # One event more than is asked for: once it is there, the follower follows.
    words = [HOSTLER, "events", "--follow", "--after", str(max(0, last - 1)), "--json"]
    with tempfile.TemporaryFile("w+") as heard:
        watcher = subprocess.Popen(words, cwd=ROOT, env=shop.env, stdin=subprocess.DEVNULL, stdout=heard, stderr=subprocess.DEVNULL)
        try:
            until(lambda: os.fstat(heard.fileno()).st_size > 0, 30, "nobody tells the last event")
            shop.run("down")
            watcher.wait(timeout=60)
        except subprocess.TimeoutExpired:
            raise NotSo("the stream of events goes on after the host ended") from None
        finally:
            if watcher.poll() is None:
                watcher.kill()
                watcher.wait()
        heard.seek(0)
        events = [event for event in map(json.loads, heard) if event.get("seq", 0) > last]
    stopped = [event["service"] for event in events if event.get("kind") == "stopped"]
    be_sure(set(stopped) >= pids.keys(), f"of {sorted(pids)} only {sorted(set(stopped))} are said to have stopped")
    for who, needed in ((who, edge["service"]) for who, edge in edges):
        if {who, needed} <= pids.keys():
            be_sure(stopped.index(who) < stopped.index(needed), f"{needed} stopped before {who}, which depends on it")
    proved("stopped in reverse: " + ", ".join(stopped))
    everybody = {**pids, "host": shop.host_pid, "keeper": shop.keeper_pid}
    until(lambda: not any(map(runs, everybody.values())), 10, lambda: f"still there: {[name for name, pid in everybody.items() if runs(pid)]}")
    left = left_behind(shop)
    be_sure(not left, f"processes of the shop are left: {left}")
    proved("nothing is left running")


def left_behind(shop):
    """Processes that were started with this shop's state directory or ports."""
    marks = [f"={shop.home}".encode(), f"SHOP_REDIS_PORT={shop.ports['SHOP_REDIS_PORT']}\0".encode()]
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        try:
            if any(mark in (entry / "environ").read_bytes() for mark in marks):
                found.append((int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()))
        except OSError:
            continue
    return found


# --- keeping, stopping, failing --------------------------------------------------------------------------------


def keep(shop):
    heading("The shop stays open")
    KEPT.write_text(json.dumps({"home": str(shop.home), "ports": shop.ports}))
    program = os.path.relpath(HOSTLER, os.getcwd())
    print(f"  the front page   http://127.0.0.1:{shop.ports['SHOP_WEB_PORT']}/")
    print(f"  look             export HOSTLER_STATE_DIR={shop.state}")
    for words in ("ps", "status api", "logs worker -f", "events -f", "explain web"):
        print(f"                   {program} {words}")
    print("  stop it          make demo-stop\n")


def stop():
    if not KEPT.exists():
        print("no shop was left open by `make demo-keep`")
        return
    kept = json.loads(KEPT.read_text())
    shop = Shop(kept["home"], kept["ports"])
    if shop.state.exists():
        shop.run("down")
    if left := left_behind(shop):
        sys.exit(f"processes of the shop are left: {left}")
    shutil.rmtree(shop.home, ignore_errors=True)
    KEPT.unlink()


def clean_up(shop):
    """After a failure: nothing of the shop goes on, and what there is to read stays."""
    subprocess.run([HOSTLER, "down"], cwd=ROOT, env=shop.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    while left := left_behind(shop):
        for pid, _ in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.1)


def main():
    arguments = sys.argv[1:]
    if arguments not in ([], ["--keep"], ["--stop"]):
        sys.exit(__doc__)
    if not HOSTLER.exists():
        sys.exit(f"{HOSTLER} is missing: make build")
    if arguments == ["--stop"]:
        return stop()
    if KEPT.exists():
        sys.exit("a shop is open already, left by `make demo-keep`; close it with `make demo-stop`")
    shop = Shop.new()
    began = time.monotonic()
    try:
        for chapter in (it_opens, a_look_around, a_customer, a_crash, the_host_dies, why_is_it_closed):
            chapter(shop)
        if arguments == ["--keep"]:
            return keep(shop)
        closing_time(shop)
    except (Exception, KeyboardInterrupt) as problem:
        what = "interrupted" if isinstance(problem, KeyboardInterrupt) else f"{problem}" if isinstance(problem, NotSo) else repr(problem)
        print(f"\n{paint('1;31', 'It did not happen:')} {what}", file=sys.stderr)
        clean_up(shop)
        print(f"What there is to read is in {shop.home} (state/host.log, state/services, state/keeper/logs).", file=sys.stderr)
        sys.exit(1)
    shutil.rmtree(shop.home)
    print(f"\n{paint('1;32', 'All of it happened.')} It took {time.monotonic() - began:.0f} s.\n")


if __name__ == "__main__":
    main()
