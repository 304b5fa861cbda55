#!/usr/bin/python3
"""How fast does culver take mail, beside Postfix, in one run?

    make bench            or: tests/bench/bench.py [--rounds N] [--build DIR]

Both relays run in one private world with their spools on the same disk, take
the same messages from the same client (client.c) in turn, and deliver none of
them (`workers 0`; Postfix puts them on hold). Figures are medians over the
rounds, with the least and the greatest; machines are noisy, so what counts is
the ratio. Flushes are counted in a round of their own, under strace. At the
end: the memory of each of culver's programs at rest.
"""

import argparse
import os
import re
import shutil
import signal
import statistics
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
POSTFIX = """\
mynetworks = 127.0.0.0/8, 203.0.113.0/24
smtpd_client_restrictions = check_client_access static:HOLD
smtpd_tls_security_level = none
default_process_limit = 100
"""

# (sessions, messages, octets)
LOADS = ((1, 300, 10240), (8, 1500, 10240), (64, 3000, 10240))


def client(address, port, sessions, messages, size):
    """Messages a second."""
    done = subprocess.run(
        [space.WORLD + "/client", address, str(port), str(sessions),
         str(messages), str(size)], capture_output=True, text=True)
    found = re.search(r"messages=(\d+) .* rate=(\d+)/s refused=(\d+)",
                      done.stdout)
    if not found or found[3] != "0":
        raise RuntimeError(f"the client says: {done.stdout}{done.stderr}")
    return int(found[2])


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


def flushes(pid, load):
    """How many flushes these processes make while LOAD runs, a message."""
    with tempfile.NamedTemporaryFile("r") as out:
        command = ["strace", "-f", "-c", "-e", f"trace={FLUSHES}", "-o",
                   out.name]
        for one in tree(pid):
            command += ["-p", str(one)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(1)
        messages = load()
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
        calls = sum(int(line.split()[3]) for line in out.read().splitlines()
                    if line.split() and line.split()[-1]
                    in FLUSHES.split(","))
    return calls / messages


class Postfix(postfix.Postfix):
    """With its spool on the disk, taking from anybody here, delivering
    nothing."""

    def start(self):
        disk = space.WORLD + "/postfix-spool"
        os.makedirs(disk)
        os.chmod(disk, 0o755)
        space.bind(disk, space.PEERS + "/var/spool/postfix")
        super().start()

    def _configure(self):
        super()._configure()
        with open(space.PEERS + "/etc/postfix/main.cf", "a") as out:
            out.write(POSTFIX)


def figures(rates):
    return (f"{statistics.median(rates):7.0f}/s "
            f"({min(rates):.0f} to {max(rates):.0f})")


def accept(relay, peer, rounds):
    print(f"accept, 10 KiB, PIPELINING, {rounds} rounds in turn: median "
          "(least to greatest)\n")
    print(f"{'sessions':>8}  {'culver':28}{'Postfix':28}"
          "ratio (least to greatest)")
    for sessions, messages, size in LOADS:
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(client("127.0.0.1", relay.port, sessions, messages,
                               size))
            theirs.append(client(postfix.ADDRESS, 25, sessions,
                                 max(messages // 4, 100), size))
        ratios = [a / b for a, b in zip(ours, theirs)]
        print(f"{sessions:8}  {figures(ours):28}{figures(theirs):28}"
              f"{statistics.median(ratios):5.1f} ({min(ratios):.1f} to "
              f"{max(ratios):.1f})", flush=True)
    print(f"\n{'sessions':>8}  flushes a message")
    for sessions, messages, size in (LOADS[0], LOADS[-1]):
        count = max(messages // 4, 100)

        def load(address, port):
            client(address, port, sessions, count, size)
            return count

        ours = flushes(relay.process.pid,
                       lambda: load("127.0.0.1", relay.port))
        theirs = flushes(peer.server.pid,
                         lambda: load(postfix.ADDRESS, 25))
        print(f"{sessions:8}  culver {ours:.2f}, Postfix {theirs:.2f}",
              flush=True)


def memory(relay):
    print("\nmemory at rest (PSS)")
    for pid, name in relay.programs():
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            pss = next(int(line.split()[1]) for line in rollup
                       if line.startswith("Pss:"))
        print(f"{name:10} {pss / 1024:6.1f} MiB")


def inside(given):
    subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-o",
                    space.WORLD + "/client", HERE + "/client.c"], check=True)
    world = World(given.build)
    world.start(with_postfix=False)
    peer = Postfix(world.pki)
    peer.start()
    relay = world.culver("bench", ["workers 0", "max-connections-per-client 100"])
    relay.environment.pop("LD_PRELOAD", None)
    relay.start()
    rest = world.culver("rest")
    rest.environment.pop("LD_PRELOAD", None)
    rest.start()
    accept(relay, peer, given.rounds)
    memory(rest)
    relay.stop()
    rest.stop()
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
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
