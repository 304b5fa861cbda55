#!/usr/bin/python3
"""Is anything lost when one call fails: a write, a flush, memory?

    tests/fault.py [BUILD]

Loads tests/preload/fault.c into the programs of a relay in a private world
and lets, for each program and each kind of call, the first fail, the second,
the third … while mail passes. Whatever a client was told: what was
acknowledged arrives, octet for octet, and every session that the log counts
is in the reports, once. The plain build. TAP on standard output; 77 where no
namespace can be made.
"""

import errno
import mmap
import os
import struct
import subprocess
import sys
import time

TESTS = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)

from world import client, reports, space	# noqa: E402
from world.world import World			# noqa: E402

PEERS = os.path.join(TOP, "build/peers")
WRITE, SYNC, CREATE, MEMORY = 1, 2, 4, 8
NAMES = {WRITE: "write", SYNC: "flush", CREATE: "new file", MEMORY: "memory"}
# The fields of struct fault, see fault.c.
PROGRAM, CALLS, NTH, SEEN = 0, 32, 40, 56

DOMAINS = 8		# each with a policy
# Program, calls, error, which call, how many from there on.
FAULTS = (
    ("queue", WRITE, errno.EIO, range(1, 7), 1),
    ("queue", WRITE, errno.ENOSPC, range(1, 6, 2), 1000),
    ("queue", SYNC, errno.EIO, range(1, 4), 1),
    ("queue", CREATE, errno.EMFILE, (1,), 1),
    ("queue", MEMORY, errno.ENOMEM, (1, 20, 60), 1),
    ("reports", WRITE, errno.ENOSPC, range(1, 5), 1),
    ("reports", SYNC, errno.EIO, (1, 2), 1),
    ("reports", MEMORY, errno.ENOMEM, (1, 10), 1),
    ("policy", WRITE, errno.ENOSPC, (1, 2, 3), 1),
    ("policy", MEMORY, errno.ENOMEM, (1, 30), 1),
    ("delivery", MEMORY, errno.ENOMEM, (1, 10, 40), 1),
    ("smtpd", MEMORY, errno.ENOMEM, (1, 3), 1),
)


class Fault:
    """The page that tests and programs share."""

    def __init__(self, path):
        with open(path, "wb") as out:
            out.write(bytes(4096))
        os.chmod(path, 0o666)
        self.file = open(path, "r+b")
        self.page = mmap.mmap(self.file.fileno(), 4096)

    def arm(self, program, calls, error, nth, times):
        self.page[PROGRAM:PROGRAM + 32] = f"culver-{program}".encode().ljust(
            32, b"\0")
        self.page[SEEN:SEEN + 16] = bytes(16)
        self.page[CALLS:CALLS + 8] = struct.pack("=II", calls, error)
        self.page[NTH + 8:NTH + 16] = struct.pack("=Q", times)
        self.page[NTH:NTH + 8] = struct.pack("=Q", nth)

    def disarm(self):
        self.page[NTH:NTH + 8] = bytes(8)

    def failed(self):
        return struct.unpack("=Q", self.page[SEEN + 8:SEEN + 16])[0]


class Trial:
    """One program and one kind of call, in a relay of its own."""

    def __init__(self, world, number, given):
        self.world, self.given = world, given
        self.program, self.calls, self.error, self.which, self.times = given
        self.relay = world.culver(f"fault{number}")
        path = self.relay.folder + "/fault"
        self.fault = Fault(path)
        preloads = f"{self.relay.build}/tests/preload"
        self.relay.environment.update(
            CULVER_FAULT=path,
            LD_PRELOAD=f"{preloads}/clock.so:{preloads}/fault.so")
        self.taken, self.failed, self.sent = [], 0, 0

    def __call__(self):
        """What is wrong, or None."""
        self.relay.start()
        self.send(20)
        for nth in self.which:
            self.fault.arm(self.program, self.calls, self.error, nth,
                           self.times)
            self.send(0)
            self.wait(self.fault.failed, 3)
            self.failed += self.fault.failed()
            self.fault.disarm()
            # Neither restarts nor retries are waited for.
            self.relay.pass_time(301)
        self.send(20)
        return self.judge()

    def send(self, patience):
        """One message; it is insisted on for so long."""
        # A body that is announced as large is a file of its own.
        size = 300000 if self.calls == CREATE else 6000
        domain = f"fault{self.sent % DOMAINS}.example"
        self.sent += 1
        mail = client.compose("fault", "alice@home.example",
                              [f"bob@{domain}"], size=size)
        deadline = time.monotonic() + patience
        while True:
            try:
                with self.relay.client() as peer:
                    peer.sock.settimeout(20)
                    peer.demand("EHLO x", 2)
                    peer.send(mail.sender, mail.recipients, mail.data,
                              f"SIZE={size}")
                self.taken.append(mail)
                return
            except (OSError, client.Refused):
                if time.monotonic() > deadline:
                    return
                self.relay.pass_time(61)
                time.sleep(0.2)

    @staticmethod
    def wait(found, patience):
        deadline = time.monotonic() + patience
        while not found() and time.monotonic() < deadline:
            time.sleep(0.02)
        return found()

    def missing(self):
        return [mail for mail in self.taken if not any(
            message.accepted and message.data.endswith(mail.data)
            for _, _, message in self.world.arrivals(mail.mark))]

    def judge(self):
        for _ in range(20):
            if self.wait(lambda: not self.missing(), 3):
                break
            self.relay.pass_time(301)
        if self.missing():
            return (f"{len(self.missing())} of {len(self.taken)} acknowledged "
                    "messages never arrived: "
                    + ", ".join(mail.mark for mail in self.missing()))
        if len(self.taken) < 2:
            return "it never took mail again"
        if self.failed == 0:
            return "no call ever failed"
        if not self.wait(lambda: not reports.disagreements(self.relay), 20):
            return "; ".join(reports.disagreements(self.relay))
        wrong = self.relay.complaints()
        return wrong[0] if wrong else None


def inside(build):
    world = World(build)
    for number in range(DOMAINS):
        domain = f"fault{number}.example"
        world.dns.add_zone(domain, "unsigned")
        world.dns.add(domain, f"MX 10 mx.{domain}.")
        world.dns.add(f"_mta-sts.{domain}", 'TXT "v=STSv1; id=1;"')
        world.add_host(f"mx.{domain}")
        policy = world.add_policy(domain)
        policy.body = ("version: STSv1\nmode: enforce\n"
                       f"mx: mx.{domain}\nmax_age: 604800\n")
    world.start(strangers=())
    print(f"1..{len(FAULTS)}")
    bad = 0
    for number, given in enumerate(FAULTS, 1):
        trial = Trial(world, number, given)
        try:
            why = trial()
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            why = f"{type(error).__name__}: {error}"
        text = (f"{number} - {given[0]}: {NAMES[given[1]]} fails "
                f"({errno.errorcode[given[2]]}), {trial.failed} times: "
                f"{len(trial.taken)} acknowledged, none lost")
        print(f"not ok {text}\n# {why}" if why else f"ok {text}", flush=True)
        if why:
            bad += 1
            print(f"{why}\n{trial.relay.log_text()[-3000:]}", file=sys.stderr)
        trial.relay.kill_everything()
    return 1 if bad else 0


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    if not space.inside():
        why = space.why_not()
        if why:
            print(f"1..0 # SKIP {why}")
            return space.SKIP
        if subprocess.run([TESTS + "/peers.sh", PEERS]).returncode:
            return 1
        return space.run(sys.argv, os.path.join(TOP, "build/world"))
    space.reap()
    space.furnish(PEERS + "/root", build)
    return inside(build)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
