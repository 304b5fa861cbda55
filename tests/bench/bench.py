#!/usr/bin/python3
"""How fast does culver work, beside Postfix, in one run?

    make bench            or: tests/bench/bench.py [--rounds N] [--build DIR]
                              [--only accept,deliver,relay]

Both relays run in one private world with their spools on the same disk, take
the same messages from the same client (client.c) in turn, and hand them to the
same null server (sink.c):

  accept    mail is taken and kept (`workers 0`; Postfix puts it on hold)
  deliver   what was kept is let go, until the sink has the last of it
  relay     mail goes in and out at the same time, until the sink has it

Every row is a ratio of rates in one round, culver's to Postfix's: median,
least and greatest over the rounds; machines are noisy, ratios less so. CPU is
that of all processes of the relay, by cgroup (v1 or v2) where one can be
made, else by /proc. Flushes are counted in a round of their own, under
strace. At the end: the memory of each of culver's programs at rest.
"""

import argparse
import mmap
import os
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests"))

from world import postfix, space		# noqa: E402
from world.world import World			# noqa: E402

PEERS = os.path.join(TOP, "build/peers")
FLUSHES = "fsync,fdatasync,sync_file_range,syncfs,msync"
SINK = "198.51.100.250"
SIZE = 10240
PATIENCE = 300

# In one Postfix: what goes to hold0.example is held, the rest goes out.
POSTFIX = """\
mynetworks = 127.0.0.0/8, 203.0.113.0/24
smtpd_recipient_restrictions =
	check_recipient_access regexp:{{/@hold/ HOLD}}, permit_mynetworks
smtpd_tls_security_level = none
smtp_tls_security_level = none
smtp_host_lookup = dns
default_process_limit = 100
"""
POSTFIX_CLIENT = """\
smtp      unix  -  -  n  -  -    smtp
relay     unix  -  -  n  -  -    smtp
"""

# (sessions, messages)
ACCEPT = ((1, 300), (8, 1500), (64, 3000))
DELIVER = 2000
RELAY = (64, 2000)


class Cpu:
    """Seconds of CPU that a tree of processes has used."""

    def __init__(self, name):
        self.path = self.file = None
        for base, file in (("/sys/fs/cgroup/cpuacct", "cpuacct.usage"),
                           ("/sys/fs/cgroup", "cpu.stat")):
            if not os.path.exists(f"{base}/{file}"):
                continue
            path = f"{base}/culver-bench.{os.getpid()}.{name}"
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

    def __init__(self, folder):
        path = folder + "/sink.page"
        with open(path, "wb") as out:
            out.write(bytes(4096))
        self.process = subprocess.Popen([folder + "/sink", SINK, "25", path])
        with open(path, "rb") as file:
            self.page = mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ)

    def counts(self):
        """Messages, connections, octets, when the last one was taken."""
        messages, connections, octets, last = struct.unpack_from(
            "=4Q", self.page)
        return messages, connections, octets, last / 1e9

    def wait(self, messages):
        """Until it has so many; when it had the last of them."""
        deadline = time.monotonic() + PATIENCE
        while self.counts()[0] < messages:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the sink has {self.counts()[0]} of "
                                   f"{messages} messages")
            time.sleep(0.002)
        return self.counts()[3]


class Relay:
    """What both have in common: a name, an address, CPU, a client."""

    def __init__(self, name, folder, sink):
        self.name, self.folder, self.sink = name, folder, sink
        self.cpu = Cpu(name)

    def feed(self, sessions, messages, domain):
        """Messages a second that it takes."""
        done = subprocess.run(
            [self.folder + "/client", self.address, str(self.port),
             str(sessions), str(messages), str(SIZE), "1", domain],
            capture_output=True, text=True)
        found = re.search(r"messages=(\d+) .* rate=(\d+)/s refused=(\d+)",
                          done.stdout)
        if not found or found[3] != "0":
            raise RuntimeError(f"{self.name}: the client says: {done.stdout}"
                               f"{done.stderr}")
        return int(found[2])

    def measured(self, work, messages):
        """(rate, CPU seconds per 1,000 messages) of work(messages)."""
        before = self.cpu.used(self.pid)
        rate = work(messages)
        return rate, (self.cpu.used(self.pid) - before) * 1000 / messages

    def relay(self, sessions):
        def work(messages):
            already, began = self.sink.counts()[0], time.monotonic()
            self.feed(sessions, messages, "d")
            return messages / (self.sink.wait(already + messages) - began)
        return work

    def deliver(self, messages):
        already = self.sink.counts()[0]
        began = time.monotonic()
        self.let_go()
        return messages / (self.sink.wait(already + messages) - began)


class Culver(Relay):
    port = address = None

    def __init__(self, world, folder, sink):
        super().__init__("culver", folder, sink)
        self.world, self.address = world, "127.0.0.1"
        self.one = self._start("bench", ["workers 0"])
        self.port = self.one.port
        self.pid = self.one.process.pid

    def _start(self, name, settings):
        one = self.world.culver(name, [
            *settings, "max-connections-per-client 100",
            "tls-report on"])
        one.environment.pop("LD_PRELOAD", None)
        # culverd joins before it is one; its programs are its children.
        popen = subprocess.Popen
        subprocess.Popen = lambda *words, **options: popen(
            *words, preexec_fn=self.cpu.join, **options)
        try:
            one.start()
        finally:
            subprocess.Popen = popen
        return one

    def _workers(self, n):
        self.one.configure([f"workers {n}", "max-connections-per-client 100",
                            "tls-report on"])
        self.one.reload()

    def hold(self, messages):
        self._workers(0)
        time.sleep(0.5)
        self.feed(64, messages, "hold")

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
            out.write(POSTFIX)

    def hold(self, messages):
        self.feed(64, messages, "hold")

    def let_go(self):
        space.chroot(["postsuper", "-H", "ALL"])
        space.chroot(["postqueue", "-f"])

    def open(self):
        pass

    def clear(self):
        space.chroot(["postsuper", "-d", "ALL"])


class Table:
    """Rows of ratios, printed as they come."""

    def __init__(self, title):
        print(f"\n{title}\n\n{'':12}{'culver':26}{'Postfix':26}"
              f"{'ratio':20}CPU s per 1,000: culver, Postfix, ratio")

    @staticmethod
    def spread(values, form):
        return (f"{statistics.median(values):{form}} "
                f"({min(values):{form}} to {max(values):{form}})")

    def row(self, name, ours, theirs):
        """Each a list of (rate, CPU)."""
        rates = [[one[0] for one in side] for side in (ours, theirs)]
        ratios = [a / b for a, b in zip(*rates)]
        cpu = [statistics.median(one[1] for one in side)
               for side in (ours, theirs)]
        print(f"{name:12}" + "".join(
            f"{self.spread(side, '.0f') + '/s':26}" for side in rates)
            + f"{self.spread(ratios, '.1f'):20}"
            + f"{cpu[0]:.3f}, {cpu[1]:.3f}, {cpu[1] / cpu[0]:.1f}",
            flush=True)


def accept(sides, rounds):
    table = Table(f"accept: 10 KiB, PIPELINING, {rounds} rounds in turn: "
                  "median (least to greatest)")
    for sessions, messages in ACCEPT:
        seen = ([], [])
        for _ in range(rounds):
            for side, results in zip(sides, seen):
                n = messages if side.name == "culver" \
                    else max(messages // 4, 100)
                results.append(side.measured(
                    lambda n, side=side: side.feed(sessions, n, "hold"), n))
        table.row(f"{sessions} sessions", *seen)
    for side in sides:
        side.clear()


def deliver(sides, rounds):
    table = Table(f"deliver: {DELIVER} messages of 10 KiB to one domain, in "
                  f"clear, {rounds} rounds in turn")
    seen = ([], [])
    for _ in range(rounds):
        for side, results in zip(sides, seen):
            side.hold(DELIVER)
            connections = side.sink.counts()[1]
            results.append(side.measured(side.deliver, DELIVER))
            side.connections = side.sink.counts()[1] - connections
    table.row("1 domain", *seen)
    print("connections a message: " + ", ".join(
        f"{side.name} {side.connections / DELIVER:.3f}" for side in sides))


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


def flushes(sides):
    print("\nflushes a message (accept, under strace)")
    for sessions, messages in (ACCEPT[0], ACCEPT[-1]):
        count = max(messages // 4, 100)
        texts = []
        for side in sides:
            if side.name == "culver":
                side.clear()
            texts.append(f"{side.name} {traced(side, sessions, count):.2f}")
        print(f"{sessions:4} sessions  " + ", ".join(texts), flush=True)


def traced(side, sessions, count):
    with tempfile.NamedTemporaryFile("r") as out:
        command = ["strace", "-f", "-c", "-e", f"trace={FLUSHES}", "-o",
                   out.name]
        for one in tree(side.pid):
            command += ["-p", str(one)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(1)
        side.feed(sessions, count, "hold")
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
        calls = sum(int(line.split()[3]) for line in out.read().splitlines()
                    if line.split() and line.split()[-1]
                    in FLUSHES.split(","))
    return calls / count


def memory(world):
    rest = world.culver("rest")
    rest.environment.pop("LD_PRELOAD", None)
    rest.start()
    print("\nmemory at rest (PSS)")
    for pid, name in rest.programs():
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            pss = next(int(line.split()[1]) for line in rollup
                       if line.startswith("Pss:"))
        print(f"{name:10} {pss / 1024:6.1f} MiB")
    rest.stop()


def inside(given):
    for name in ("client", "sink"):
        subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-o",
                        f"{space.WORLD}/{name}", f"{HERE}/{name}.c"],
                       check=True)
    world = World(given.build)
    for domain in ("d0.example", "hold0.example"):
        world.dns.add_zone(domain, "unsigned")
        world.dns.add(domain, "MX 10 sink.bench.example.")
    world.dns.add_zone("bench.example", "unsigned")
    world.dns.add("sink.bench.example", f"A {SINK}")
    world.start(with_postfix=False)
    sink = Sink(space.WORLD)
    sides = [kind(world, space.WORLD, sink) for kind in (Culver, Postfix)]
    how = "cgroup" if sides[0].cpu.path else "/proc"
    print(f"CPU by {how}; {os.cpu_count()} cores")
    for name, measure in (("accept", accept), ("deliver", deliver),
                          ("relay", relay)):
        if name in given.only:
            measure(sides, given.rounds)
    if "accept" in given.only:
        flushes(sides)
        memory(world)
    sides[0].one.kill_everything()
    sides[1].server.terminate()
    sides[1].server.wait(20)
    for side in sides:
        side.cpu.remove()
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("--only", default="accept,deliver,relay")
    given = parser.parse_args()
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
