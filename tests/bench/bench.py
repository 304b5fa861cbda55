#!/usr/bin/python3
"""How fast does culver work, beside Postfix, in one run?

    make bench            or: tests/bench/bench.py [--rounds N] [--build DIR]
                              [--only PART,...]

Both relays run in one private world with their spools on the same disk, take
the same messages from the same client (client.c) in turn, and hand them to the
same null server (sink.c). The parts:

  accept    mail is taken and kept (`workers 0`; Postfix puts it on hold), 10
            KiB and 1 MiB; the null server beside them flushes nothing
  calls     flushes and system calls a message, in rounds of their own, under
            strace
  deliver   what was kept is let go, until the sink has the last of it: to one
            domain in clear, to one over STARTTLS, to 500 on one host in clear
  relay     mail goes in and out at the same time, until the sink has it
  arrival   from 250 to the sink's own, message by message: idle, and at a
            load that is the same for both
  start     from the start of the relay to its 220
  memory    at rest, and of each session that does nothing
  policies  100,000 of them kept: look-up, disk, memory (policies.py)
  scale     culver alone, while 1,000 and while 1,000,000 messages wait: CPU a
            message, the first page of a listing, memory and log of the queue,
            stop, start, start after kill -9
  fair      culver alone: from 250 to arrival while 50,000 messages wait for a
            domain that is dead and 50,000 for one that is slow, beside one
            for which nothing waits

plain, tls and many are the three of deliver. scale and fair take minutes and
are played when they are asked for. Every row is a ratio of rates in
one round, culver's to Postfix's: median, least and greatest over the rounds;
machines are noisy, ratios less so. CPU is that of all processes of the relay,
by cgroup (v1 or v2) where one can be made, else by /proc.
"""

import argparse
import math
import mmap
import os
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests"))

import policies					# noqa: E402
from world import dns, postfix, space		# noqa: E402
from world.world import World			# noqa: E402

PEERS = os.path.join(TOP, "build/peers")
FLUSHES = "fsync,fdatasync,sync_file_range,syncfs,msync"
SINK, TLS_SINK = "198.51.100.250", "198.51.100.249"
TLS_NAME = "tls.bench.example"
PATIENCE = 300
START_PATIENCE = 20

# In one Postfix: what goes to hold….example is held, the rest goes out. TLS
# to servers as its manual recommends; no look-up of clients' names before the
# 220, for which this world has no zones; all else by default.
POSTFIX = """\
mynetworks = 127.0.0.0/8, 203.0.113.0/24
smtpd_recipient_restrictions =
	check_recipient_access regexp:{{/@hold/ HOLD}}, permit_mynetworks
smtpd_tls_security_level = none
smtp_tls_security_level = may
smtp_host_lookup = dns
smtpd_peername_lookup = no
default_process_limit = 100
"""
POSTFIX_CLIENT = """\
smtp      unix  -  -  n  -  -    smtp
relay     unix  -  -  n  -  -    smtp
"""
CULVER = ("max-connections-per-client 2000", "tls-report on")

SIZE = 10240
# (sessions, messages, octets)
ACCEPT = ((1, 300, SIZE), (8, 1500, SIZE), (64, 3000, SIZE),
          (8, 200, 1 << 20))
RELAY = (64, 2000)
# (row, sink, domains, their name and zone, messages)
DELIVER = {"plain": ("1 domain", 0, 1, "hold", "example", 2000),
           "tls": ("1, STARTTLS", 1, 1, "holdtls", "example", 2000),
           "many": ("500 domains", 0, 500, "hold", "many.example", 2000)}
# (row, sessions, messages, messages a second)
ARRIVAL = (("idle", 1, 50, 5), ("200/s", 8, 1000, 200))
# Each of Postfix's is a process.
IDLE_SESSIONS = {"culver": 1000, "Postfix": 100}
# What waits in scale, for domains that are dead, and what passes by.
WAITING, WAITING_SIZE, DEAD_DOMAINS = (1000, 1000000), 600, 1000
PASSING = 3000
CROWD = 50000
SLOW, SLOW_S, DEAD = "198.51.100.248", 1.0, "198.51.100.247"
PARTS = ("accept", "calls", *DELIVER, "relay", "arrival", "start", "memory",
         "policies")
LONG_PARTS = ("scale", "fair")


class Cpu:
    """Seconds of CPU that a tree of processes has used."""

    def __init__(self, name):
        self.path = self.file = None
        for base, file in (("/sys/fs/cgroup/cpuacct", "cpuacct.usage"),
                           ("/sys/fs/cgroup", "cpu.stat")):
            if not os.path.exists(f"{base}/{file}"):
                continue
            path = f"{base}/culver-bench.{time.time_ns()}.{name}"
            try:
                os.mkdir(path)
            except OSError:
                continue
            if os.path.exists(f"{path}/{file}"):
                self.path, self.file = path, file
                return
            os.rmdir(path)

    def join(self):
        """For a process that is about to become the relay."""
        if self.path is not None:
            with open(self.path + "/cgroup.procs", "w") as procs:
                procs.write("0")

    def used(self, pid):
        if self.path is None:
            return sum(map(self._of_process, tree(pid)))
        with open(f"{self.path}/{self.file}") as usage:
            text = usage.read()
        if self.file == "cpuacct.usage":
            return int(text) / 1e9
        return int(re.search(r"usage_usec (\d+)", text)[1]) / 1e6

    @staticmethod
    def _of_process(pid):
        """With its children that have ended."""
        try:
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            return 0
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def remove(self):
        if self.path is not None:
            try:
                os.rmdir(self.path)
            except OSError:
                pass


def tree(pid):
    """This process and all below it."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


class Sink:
    """sink.c, and what it counts."""

    OCTETS = 4096 + 65536 * 8

    def __init__(self, folder, address, certificate=()):
        self.address, path = address, f"{folder}/sink.{address}"
        with open(path, "wb") as out:
            out.write(bytes(self.OCTETS))
        self.process = subprocess.Popen([folder + "/sink", address, "25", path,
                                         *certificate])
        with open(path, "rb") as file:
            self.page = mmap.mmap(file.fileno(), self.OCTETS,
                                  prot=mmap.PROT_READ)

    def counts(self):
        """Messages, connections, octets, the last one's time, handshakes."""
        messages, connections, octets, last, hands = struct.unpack_from(
            "=5Q", self.page)
        return messages, connections, octets, last / 1e9, hands

    def times(self, n):
        """When the messages 0 to n - 1 were taken, in ns."""
        return struct.unpack_from(f"={n}Q", self.page, 4096)

    def wait(self, messages):
        """Until it has so many; when it had the last of them."""
        deadline = time.monotonic() + PATIENCE
        while self.counts()[0] < messages:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the sink has {self.counts()[0]} of "
                                   f"{messages} messages")
            time.sleep(0.002)
        return self.counts()[3]


def feed(folder, address, port, sessions, messages, *, size=SIZE, domains=1,
         name="d", zone="example", options=()):
    """Messages a second that a server takes."""
    done = subprocess.run(
        [folder + "/client", *options, address, str(port), str(sessions),
         str(messages), str(size), str(domains), name, zone],
        capture_output=True, text=True)
    found = re.search(r"messages=(\d+) .* rate=(\d+)/s refused=(\d+)",
                      done.stdout)
    if not found or found[3] != "0":
        raise RuntimeError(f"{address}: the client says: {done.stdout}"
                           f"{done.stderr}")
    return int(found[2])


class Relay:
    """What both have in common: a name, an address, CPU, a client."""

    def __init__(self, name, folder, sink):
        self.name, self.folder, self.sink = name, folder, sink
        self.cpu = Cpu(name)

    def feed(self, sessions, messages, **how):
        return feed(self.folder, self.address, self.port, sessions, messages,
                    **how)

    def measured(self, work, messages):
        """(rate, CPU seconds per 1,000 messages) of work(messages)."""
        before = self.cpu.used(self.pid)
        rate = work(messages)
        return rate, (self.cpu.used(self.pid) - before) * 1000 / messages

    def relay(self, sessions):
        def work(messages):
            already, began = self.sink.counts()[0], time.monotonic()
            self.feed(sessions, messages)
            return messages / (self.sink.wait(already + messages) - began)
        return work

    def deliver(self, sink):
        def work(messages):
            already = sink.counts()[0]
            began = time.monotonic()
            self.let_go()
            return messages / (sink.wait(already + messages) - began)
        return work

    def to_220(self):
        """Seconds from its start to its greeting; infinite: it gave none."""
        self.begin()
        # It was executed just now: what Python needs for that is not its time.
        began = time.monotonic()
        while time.monotonic() < began + START_PATIENCE:
            if greets(self.address, self.port):
                return time.monotonic() - began
            time.sleep(0.001)
        return math.inf


def greets(address, port):
    try:
        with socket.create_connection((address, port), 5) as sock:
            return sock.recv(512).startswith(b"220")
    except OSError:
        return False


class Culver(Relay):
    def __init__(self, world, folder, sink, name="bench"):
        super().__init__("culver", folder, sink)
        self.address = "127.0.0.1"
        self.one = world.culver(name, ["workers 0", *CULVER])
        self.one.environment.pop("LD_PRELOAD", None)
        self.port = self.one.port
        self.begin(ready=True)

    def begin(self, ready=False):
        # culverd joins before it is one; its programs are its children.
        popen = subprocess.Popen
        subprocess.Popen = lambda *words, **options: popen(
            *words, preexec_fn=self.cpu.join, **options)
        try:
            self.one.start(ready)
        finally:
            subprocess.Popen = popen
        self.pid = self.one.process.pid

    def end(self):
        self.one.stop()

    def _workers(self, n):
        self.one.configure([f"workers {n}", *CULVER])
        self.one.reload()

    def hold(self, messages, **where):
        self._workers(0)
        time.sleep(0.5)
        self.feed(64, messages, **where)

    def let_go(self):
        self._workers(200)

    def open(self):
        self._workers(200)
        time.sleep(0.5)

    def clear(self):
        self._workers(0)
        time.sleep(0.5)
        self.one.ctl("queue", "remove", "--all", timeout=PATIENCE)


class Postfix(postfix.Postfix, Relay):
    """With its spool on the disk, sending as well."""

    def __init__(self, world, folder, sink):
        postfix.Postfix.__init__(self, world.pki)
        Relay.__init__(self, "Postfix", folder, sink)
        self.address, self.port = postfix.ADDRESS, 25
        self.settings = POSTFIX
        disk = space.WORLD + "/postfix-spool"
        os.makedirs(disk)
        os.chmod(disk, 0o755)
        space.bind(disk, space.PEERS + "/var/spool/postfix")
        postfix.MASTER += POSTFIX_CLIENT
        serve = space.serve
        space.serve = lambda *words: serve(*words, preexec_fn=self.cpu.join)
        try:
            self.start()
        finally:
            space.serve = serve
        self.pid = self.server.pid

    def _configure(self):
        super()._configure()
        with open(space.PEERS + "/etc/postfix/main.cf", "a") as out:
            out.write(self.settings)

    def reload(self, settings):
        self.settings = settings
        self._configure()
        self.server.send_signal(signal.SIGHUP)
        time.sleep(1)

    def begin(self):
        self.server = space.serve(["/usr/lib/postfix/sbin/master", "-d"],
                                  space.WORLD + "/postfix.out",
                                  preexec_fn=self.cpu.join)
        self.pid = self.server.pid

    def end(self):
        """What outlives the master would answer for the next, or keep it from
        its lock."""
        left = tree(self.pid)
        self.server.terminate()
        self.server.wait(20)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def hold(self, messages, **where):
        self.feed(64, messages, **where)
        # Off hold it lies in wait until the queue is flushed.
        space.chroot(["postsuper", "-H", "ALL"])

    def let_go(self):
        space.chroot(["postqueue", "-f"])

    def open(self):
        pass

    def clear(self):
        space.chroot(["postsuper", "-d", "ALL"])


def spread(values, form):
    return (f"{statistics.median(values):{form}} "
            f"({min(values):{form}} to {max(values):{form}})")


class Table:
    """Rows of ratios, printed as they come."""

    def __init__(self, title):
        print(f"\n{title}\n\n{'':16}{'culver':26}{'Postfix':26}"
              f"{'ratio':20}CPU s per 1,000: culver, Postfix, ratio")

    def row(self, name, ours, theirs, more=""):
        """Each a list of (rate, CPU)."""
        rates = [[one[0] for one in side] for side in (ours, theirs)]
        ratios = [a / b for a, b in zip(*rates)]
        cpu = [statistics.median(one[1] for one in side)
               for side in (ours, theirs)]
        print(f"{name:16}" + "".join(
            f"{spread(side, '.0f') + '/s':26}" for side in rates)
            + f"{spread(ratios, '.1f'):20}"
            + f"{cpu[0]:.3f}, {cpu[1]:.3f}, {cpu[1] / cpu[0]:.1f}{more}",
            flush=True)


def accept(sides, rounds):
    table = Table(f"accept: PIPELINING, {rounds} rounds in turn: median "
                  "(least to greatest)")
    for sessions, messages, size in ACCEPT:
        seen, null = ([], []), []
        for _ in range(rounds):
            for side, results in zip(sides, seen):
                n = messages if side.name == "culver" \
                    else max(messages // 4, 100)
                results.append(side.measured(
                    lambda n, side=side: side.feed(
                        sessions, n, size=size, name="hold"), n))
            null.append(feed(sides[0].folder, SINK, 25, sessions, messages,
                             size=size))
            if size > SIZE:
                for side in sides:
                    side.clear()
        row = f"{sessions}, " + ("10 KiB" if size == SIZE else "1 MiB")
        table.row(row, *seen, f"; null server, no flush: "
                  f"{statistics.median(null):.0f}/s")
    for side in sides:
        side.clear()


def deliver(sides, sinks, rounds, kinds):
    table = Table(f"deliver: messages of 10 KiB, {rounds} rounds in turn")
    for kind in kinds:
        row, sink, domains, name, zone, messages = DELIVER[kind]
        sink, seen, counts = sinks[sink], ([], []), ([], [])
        for _ in range(rounds):
            for side, results, count in zip(sides, seen, counts):
                side.hold(messages, domains=domains, name=name, zone=zone)
                warm(domains, name, zone)
                before = sink.counts()
                results.append(side.measured(side.deliver(sink), messages))
                after = sink.counts()
                count.append([(after[at] - before[at]) / messages
                              for at in (1, 4)])
        table.row(row, *seen)
        for at, what in enumerate(("connections", "handshakes")):
            print(f"{'':16}{what} a message: " + ", ".join(
                f"{side.name} " + spread([one[at] for one in count], ".3f")
                for side, count in zip(sides, counts)), flush=True)


def warm(domains, name, zone):
    """The resolver knows what both will ask: not it is measured."""
    for number in range(domains):
        domain = f"{name}{number}.{zone}"
        dns.ask(domain, "MX")
        dns.ask("_mta-sts." + domain, "TXT")


def relay(sides, rounds):
    sessions, messages = RELAY
    table = Table(f"relay: {messages} messages of 10 KiB in and out over "
                  f"{sessions} sessions, {rounds} rounds in turn")
    seen = ([], [])
    for _ in range(rounds):
        for side, results in zip(sides, seen):
            side.open()
            results.append(side.measured(side.relay(sessions), messages))
    table.row(f"{sessions} sessions", *seen)


def calls(sides):
    print("\na message, under strace, by the number of sessions")
    for what, trace in (("flushes", FLUSHES), ("system calls", "all")):
        for sessions, messages, _ in (ACCEPT[0], ACCEPT[2]):
            count = max(messages // 4, 100)
            texts = []
            for side in sides:
                side.clear()
                calls = traced(side, trace, lambda side=side: side.feed(
                    sessions, count, name="hold"))
                texts.append(f"{side.name} {calls / count:.2f}")
            print(f"{what}, accept, {sessions:2}: " + ", ".join(texts),
                  flush=True)
    _, _, domains, name, zone, messages = DELIVER["plain"]
    texts = []
    for side in sides:
        side.clear()
        side.hold(messages, domains=domains, name=name, zone=zone)
        calls = traced(side, "all",
                       lambda side=side: side.deliver(side.sink)(messages))
        texts.append(f"{side.name} {calls / messages:.2f}")
    print("system calls, deliver: " + ", ".join(texts), flush=True)


def traced(side, trace, work):
    """How many calls of these its processes made in work()."""
    with tempfile.NamedTemporaryFile("r") as out:
        command = ["strace", "-f", "-c", "-e", f"trace={trace}", "-o",
                   out.name]
        for one in tree(side.pid):
            command += ["-p", str(one)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(1)
        work()
        tracer.send_signal(signal.SIGINT)
        tracer.wait(60)
        found = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$",
                           out.read(), re.MULTILINE)
        return sum(int(n) for n, name in found if name != "total")


def arrival(sides, rounds):
    print("\nfrom 250 to arrival, ms, all rounds: median, 99 of 100")
    for row, sessions, messages, rate in ARRIVAL:
        texts = []
        for side in sides:
            side.open()
        seen = ([], [])
        for _ in range(rounds):
            for side, results in zip(sides, seen):
                results += delays(side, sessions, messages, rate)
        for side, results in zip(sides, seen):
            results.sort()
            texts.append(f"{side.name} {statistics.median(results):.1f}, "
                         f"{results[len(results) * 99 // 100]:.1f}")
        print(f"{row:8}" + "; ".join(texts), flush=True)


def delays(side, sessions, messages, rate):
    path = side.folder + "/times"
    already = side.sink.counts()[0]
    side.feed(sessions, messages, options=("-r", str(rate), "-t", path))
    side.sink.wait(already + messages)
    with open(path, "rb") as file:
        taken = struct.unpack(f"={messages}Q", file.read())
    # The client may hear of the 250 when the message is there already.
    return [max(there - here, 0) / 1e6 for here, there
            in zip(taken, side.sink.times(messages))]


def start(sides, rounds):
    print(f"\nfrom start to 220, ms, {rounds} rounds in turn: median (least "
          "to greatest)")
    seen = ([], [])
    for _ in range(rounds):
        for side, times in zip(sides, seen):
            time.sleep(1)
            side.end()
            times.append(side.to_220())
    for side, times in zip(sides, seen):
        good = [1000 * one for one in times if one < math.inf]
        print(f"{side.name:10}{spread(good or [0], '.0f')}"
              + f", and {len(times) - len(good)} times none within "
              f"{START_PATIENCE} s" * (len(good) < len(times)), flush=True)


def pss(pid):
    """KiB of this process."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            return next(int(line.split()[1]) for line in rollup
                        if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def idle_session(address, port):
    sock = socket.create_connection((address, port), 60)
    sock.settimeout(60)
    greeting = sock.recv(512)
    sock.sendall(b"EHLO idle.example\r\n")
    if not greeting.startswith(b"220") or sock.recv(2048)[:3] != b"250":
        raise RuntimeError(f"no session to be idle in: {greeting}")
    return sock


def memory(world, sides):
    rest = world.culver("rest", CULVER)
    rest.environment.pop("LD_PRELOAD", None)
    rest.start()
    print("\nmemory at rest (PSS)")
    for pid, name in rest.programs():
        print(f"{name:10} {pss(pid) / 1024:6.1f} MiB")
    rest.stop()
    sides[1].reload(POSTFIX.replace("process_limit = 100",
                                    "process_limit = 300"))
    print("all of it, and each idle session")
    for side in sides:
        side.end()
        side.to_220()
        time.sleep(1)
        before = sum(map(pss, tree(side.pid)))
        idle = [idle_session(side.address, side.port)
                for _ in range(IDLE_SESSIONS[side.name])]
        time.sleep(1)
        more = sum(map(pss, tree(side.pid))) - before
        print(f"{side.name:10} {before / 1024:6.1f} MiB, "
              f"{more / len(idle):.1f} KiB of {len(idle)}", flush=True)
        for sock in idle:
            sock.close()


def settle(side):
    """Until it does nothing more."""
    before = -1
    while side.cpu.used(side.pid) - before > 0.02:
        before = side.cpu.used(side.pid)
        time.sleep(1)


def fill(side, messages):
    """They wait: each domain was tried once, and its host takes nothing."""
    side.hold(messages, size=WAITING_SIZE, domains=DEAD_DOMAINS,
              zone="dead.example")
    side.open()
    settle(side)


def passing(side, rounds):
    """CPU s per 1,000 of accept and of deliver: medians."""
    found = [[], []]
    for _ in range(rounds):
        side._workers(0)
        time.sleep(0.5)
        where = {"domains": 1, "name": "hold"}
        found[0].append(side.measured(
            lambda n: side.feed(64, n, **where), PASSING)[1])
        found[1].append(side.measured(side.deliver(side.sink), PASSING)[1])
        settle(side)
    return [statistics.median(one) for one in found]


def first_page(side):
    """Seconds until a listing has shown 100 lines."""
    began = time.monotonic()
    with subprocess.Popen([f"{side.one.build}/bin/culverctl", "-c",
                           side.one.conf, "queue", "list"],
                          env=side.one.environment,
                          stdout=subprocess.PIPE) as listing:
        for _ in range(100):
            if not listing.stdout.readline():
                break
        took = time.monotonic() - began
        listing.kill()
    return took


def kept(side):
    """MiB of the queue program's memory, and of its log."""
    folder = side.one.folder + "/spool/queue"
    log = sum(os.path.getsize(f"{folder}/{name}")
              for name in os.listdir(folder) if name.startswith("log."))
    return (sum(pss(pid) for pid, name in side.one.programs()
                if name == "queue") / 1024, log / (1 << 20))


def to_250(side):
    """Seconds until it takes a message again."""
    began = time.monotonic()
    while time.monotonic() < began + START_PATIENCE:
        try:
            side.feed(1, 1, name="hold")
            return time.monotonic() - began
        except RuntimeError:
            time.sleep(0.01)
    return math.inf


def stop_and_start(side):
    """Seconds of a stop, to 220, to 220 and then 250 after kill -9."""
    began = time.monotonic()
    side.end()
    stopped = time.monotonic() - began
    again = side.to_220()
    side.one.wait_ready()
    # So that recovery has something to do.
    side.feed(64, PASSING, domains=DEAD_DOMAINS, zone="dead.example")
    side.one.kill_everything()
    greeted = side.to_220()
    return stopped, again, greeted, greeted + to_250(side)


def scale(world, sink, rounds):
    print("\nscale: culver with so many waiting")
    names = ("accept, CPU s per 1,000", "deliver, CPU s per 1,000",
             "first page, s", "PSS of queue, MiB", "log, MiB", "stop, s",
             "start to 220, s", "kill -9 to 220, s", "kill -9 to 250, s")
    bounds = (1.5, 1.5, None, 64, 64, None, 0.5, 2, None)
    columns = []
    for waiting in WAITING:
        side = Culver(world, space.WORLD, sink, f"scale{waiting}")
        fill(side, waiting)
        columns.append([*passing(side, rounds), first_page(side),
                        *kept(side), *stop_and_start(side)])
        side.one.kill_everything()
        side.cpu.remove()
    for at, (name, bound) in enumerate(zip(names, bounds)):
        few, many = columns[0][at], columns[1][at]
        figure = many / few if at < 2 else many
        over = "" if bound is None or figure <= bound else \
            f"  above its bound, {bound}"
        print(f"{name:26}{few:10.3f}{many:10.3f}"
              f"{many / few if few else 0:8.2f} times{over}", flush=True)


def converse_slowly(connection):
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"220 slow.example\r\n")
        body = False
        for line in lines:
            if body and line != b".\r\n":
                continue
            time.sleep(SLOW_S)
            body = line.upper().startswith(b"DATA") and not body
            connection.sendall(b"354 go on\r\n" if body else b"250 ok\r\n")


def serve_slowly(server):
    while True:
        connection, _ = server.accept()
        threading.Thread(target=converse_slowly, args=(connection,),
                         daemon=True).start()


def fair(world, sink, rounds):
    server = socket.create_server((SLOW, 25), backlog=256)
    threading.Thread(target=serve_slowly, args=(server,),
                     daemon=True).start()
    alone, crowded = (Culver(world, space.WORLD, sink, name)
                      for name in ("alone", "crowded"))
    for zone in ("dead.example", "slow.example"):
        crowded.hold(CROWD, size=WAITING_SIZE, zone=zone)
    for side in (alone, crowded):
        side.open()
    time.sleep(5)
    _, sessions, messages, rate = ARRIVAL[1]
    print(f"\nfair: from 250 to arrival, ms, at {rate}/s, {rounds} rounds in "
          f"turn, {CROWD} waiting for one dead and for one slow domain")
    shares = []
    for _ in range(rounds):
        ends = []
        for side in (alone, crowded):
            found = sorted(delays(side, sessions, messages, rate))
            ends.append((statistics.median(found),
                         found[len(found) * 99 // 100]))
        shares.append([with_ / without for without, with_ in zip(*ends)])
        print("alone {:.2f}, 99 of 100 {:.2f}; beside them {:.2f}, {:.2f}"
              .format(*ends[0], *ends[1]), flush=True)
    print("ratio: median " + spread([one[0] for one in shares], ".2f")
          + ", 99 of 100 " + spread([one[1] for one in shares], ".2f"))
    for side in (alone, crowded):
        side.one.kill_everything()
        side.cpu.remove()


def publish(world):
    """The domains of all parts, and the hosts that take their mail."""
    # What a resolver learnt stays known for as long as a run takes.
    dns.TTL = 3600
    dns.UNBOUND_CONF = dns.UNBOUND_CONF.replace(
        "cache-max-negative-ttl: 5", "cache-max-negative-ttl: 3600").replace(
        "log-queries: yes", "log-queries: no")
    text = dns.Zone.text
    dns.Zone.text = lambda zone: text(zone).replace("604800 5", "604800 3600")
    world.dns.add_zone("bench.example", "unsigned")
    world.dns.add("sink.bench.example", f"A {SINK}")
    world.dns.add(TLS_NAME, f"A {TLS_SINK}")
    for domain, host in (("d0.example", "sink.bench.example"),
                         ("hold0.example", "sink.bench.example"),
                         ("holdtls0.example", TLS_NAME)):
        world.dns.add_zone(domain, "unsigned")
        world.dns.add(domain, f"MX 10 {host}.")
    _, _, domains, name, zone, _ = DELIVER["many"]
    world.dns.add_zone(zone, "unsigned")
    for number in range(domains):
        world.dns.add(f"{name}{number}.{zone}", "MX 10 sink.bench.example.")
    for name, address in (("dead", DEAD), ("slow", SLOW)):
        world.dns.add(f"{name}.bench.example", f"A {address}")
        world.dns.add_zone(f"{name}.example", "unsigned")
        world.dns.add(f"*.{name}.example", f"MX 10 {name}.bench.example.")


def measure(world, sides, sinks, given):
    kinds = [kind for kind in DELIVER if kind in given.only]
    if "accept" in given.only:
        accept(sides, given.rounds)
    if "calls" in given.only:
        calls(sides)
    if kinds:
        deliver(sides, sinks, given.rounds, kinds)
    if "relay" in given.only:
        relay(sides, given.rounds)
    if "arrival" in given.only:
        arrival(sides, given.rounds)
    if "start" in given.only:
        start(sides, given.rounds)
    if "memory" in given.only:
        memory(world, sides)
    if "scale" in given.only:
        scale(world, sinks[0], given.rounds)
    if "fair" in given.only:
        fair(world, sinks[0], given.rounds)
    if "policies" in given.only:
        policies.measure(world, given.build, pss)


def inside(given):
    for name, libraries in (("client", ()), ("sink", ("-lssl", "-lcrypto"))):
        subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-o",
                        f"{space.WORLD}/{name}", f"{HERE}/{name}.c",
                        *libraries], check=True)
    world = World(given.build)
    publish(world)
    world.start(strangers=())
    sinks = (Sink(space.WORLD, SINK),
             Sink(space.WORLD, TLS_SINK, world.pki.chain("good", TLS_NAME)))
    sides = [kind(world, space.WORLD, sinks[0]) for kind in (Culver, Postfix)]
    how = "cgroup" if sides[0].cpu.path else "/proc"
    print(f"CPU by {how}; {os.cpu_count()} cores")
    measure(world, sides, sinks, given)
    sides[0].one.kill_everything()
    sides[1].end()
    for side in sides:
        side.cpu.remove()
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("--only", default=",".join(PARTS), metavar="PARTS",
                        help=f"some of {', '.join(PARTS + LONG_PARTS)}, "
                        "deliver")
    given = parser.parse_args()
    given.only = given.only.replace("deliver", ",".join(DELIVER)).split(",")
    unknown = set(given.only) - set(PARTS + LONG_PARTS)
    if unknown:
        parser.error("no part is called " + ", ".join(unknown))
    given.build = os.path.abspath(given.build)
    if not space.inside():
        why = space.why_not()
        if why or not shutil.which("strace"):
            print(why or "strace is missing", file=sys.stderr)
            return space.SKIP
        if subprocess.run([TOP + "/tests/peers.sh", PEERS]).returncode:
            return 1
        return space.run(sys.argv, os.path.join(TOP, "build/world"))
    space.reap()
    space.furnish(PEERS + "/root", given.build)
    return inside(given)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
