#!/usr/bin/python3
"""Plays scenarios: does the relay do what the texts in tests/scenario say?

    tests/run.py [--filter REGEX] [--marked WORD] [--build DIR] [--jobs N]
                 [--tap DIR] [--list] [FILE.scn …]

One private world serves all of them (see tests/world). Standard output is
TAP, a line for each scenario; DIR/scenario.BUILD.NAME.tap has a line for each
step, and DIR/../scenario/BUILD/NAME/ what is left of one that failed. Needs
root for the namespaces: where none can be made it says why and ends with 77.
"""

import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import threading
import time

TESTS = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)
sys.dont_write_bytecode = True	# as root: nothing into the tree

from world import reports, scenario, space, tap		# noqa: E402
from world.world import World			# noqa: E402

PEERS = os.path.join(TOP, "build/peers")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", help="scenarios; all if none")
    parser.add_argument("--filter", default="", help="names that match REGEX")
    parser.add_argument("--marked", help="only those with this mark")
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"))
    parser.add_argument("--tap", default=os.path.join(TOP, "build/tap"))
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--patience", type=float, default=None,
                        help="seconds that an expectation may take")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    given.build = os.path.abspath(given.build)
    given.tap = os.path.abspath(given.tap)
    return given


def chosen(given):
    """The scenarios to play, parsed."""
    files = given.files or glob.glob(os.path.join(TESTS, "scenario/*.scn"))
    found = []
    for path in sorted(files):
        one = scenario.Scenario(os.path.relpath(path))
        if re.search(given.filter, one.name) \
                and given.marked in (None, *one.marks):
            found.append(one)
    owners = {}
    for one in found:
        for domain in one.domains():
            if domain in owners:
                raise scenario.Syntax(f"{one.path}: {owners[domain]} has the "
                                      f"domain {domain} already")
            owners[domain] = one.path
    return found


def outside(given, scenarios):
    """Checks what can be checked, then goes inside."""
    def skip(why):
        print(f"1..0 # SKIP scenarios: {why}")
        print(f"scenarios cannot run here: {why}", file=sys.stderr)
        sys.exit(space.SKIP)

    reason = space.why_not()
    if reason:
        skip(reason)
    unpacked = subprocess.run([os.path.join(TESTS, "peers.sh"), PEERS])
    if unpacked.returncode == space.SKIP:
        skip("the servers could not be unpacked")
    if unpacked.returncode != 0:
        sys.exit(1)
    for part in ("bin/culverd", "tests/preload/clock.so"):
        if not os.path.exists(f"{given.build}/{part}"):
            print(f"there is no {given.build}/{part}: make all build-preload "
                  "first (SAN=1 for build/san)", file=sys.stderr)
            sys.exit(1)
    sys.exit(space.run(sys.argv, os.path.join(TOP, "build/world")))


def patience(given):
    """Sanitizers make everything slower."""
    if given.patience:
        return given.patience
    with open(given.build + "/bin/culverd", "rb") as program:
        return 40 if b"__asan_init" in program.read() else 20


class Run:
    """All scenarios in one world."""

    def __init__(self, given, scenarios):
        self.given, self.scenarios = given, scenarios
        self.label = os.path.basename(given.build)
        self.patience = patience(given)
        os.makedirs(given.tap, exist_ok=True)
        self.world = World(given.build)
        self.out = tap.Tap(sys.stdout, len(scenarios) + 2)
        self.shared = None
        self.lock = threading.Lock()

    def __call__(self):
        for one in self.scenarios:
            scenario.declare(one, self.world)
        wanted = {text.text.partition(" ")[0] for one in self.scenarios
                  for text in one.declarations}
        self.world.start([name for name in self.world.strangers
                          if name.lower() in wanted])
        # The long ones first, so that the end is not one of them alone.
        order = sorted(self.scenarios, key=lambda one: not one.alone)
        with concurrent.futures.ThreadPoolExecutor(self.given.jobs) as pool:
            list(pool.map(self.play, order))
        self.judge_shared()
        self.judge_reports()
        return 1 if self.out.failed else 0

    def relay(self):
        """The relay of all scenarios that need none of their own."""
        with self.lock:
            if self.shared is None:
                relay = self.world.culver("shared")
                relay.start()
                self.shared = relay
            return self.shared

    def play(self, one):
        began = time.monotonic()
        name = " ".join([*one.covers, f"{one.name}: {one.title}"])
        path = os.path.join(self.given.tap,
                            f"scenario.{self.label}.{one.name}.tap")
        remains = os.path.join(os.path.dirname(self.given.tap), "scenario",
                               self.label, one.name)
        try:
            relay = None if one.alone else self.relay()
            player = scenario.Player(one, self.world, relay, self.patience)
            with open(path, "w") as stream:
                why = player.play(remains, stream)
        except Exception as error:
            why = f"{one.path}: {error}"
        if why:
            self.out.not_ok(name, f"{why}\nsee {os.path.relpath(remains, TOP)}")
        else:
            self.out.ok(f"{name} ({time.monotonic() - began:.1f} s)")

    def judge_reports(self):
        """Every TLS report that anyone got is one by the letter."""
        name = "RPT-4.4-1 RPT-5.3-1 RPT-3-13 every report that arrived"
        try:
            faults = [f"{one.where}: {one.domain}: {fault}" for one in
                      reports.arrived(self.world) for fault in one.faults]
        except Exception as error:
            faults = [f"a report cannot be read: {error!r}"]
        if faults:
            self.out.not_ok(name, "\n".join(faults[:20]))
        else:
            self.out.ok(name)

    def judge_shared(self):
        """The shared relay ends in order, and no sanitizer spoke."""
        name = "the relay that scenarios share"
        try:
            status = self.shared.stop() if self.shared else 0
            complaints = self.shared.complaints() if self.shared else []
        except Exception as error:
            status, complaints = -1, [str(error)]
        if status != 0 or complaints:
            self.out.not_ok(name, f"it ended with {status}\n"
                            + "\n".join(complaints))
        else:
            self.out.ok(name)


def main():
    given = arguments()
    try:
        scenarios = chosen(given)
        if given.list:
            for one in scenarios:
                print(f"{one.name:32} {one.title}")
            return 0
        if not scenarios:
            print("no scenario is called that", file=sys.stderr)
            return 1
        if not space.inside():
            outside(given, scenarios)
        space.reap()
        space.furnish(os.path.join(PEERS, "root"), given.build)
        return Run(given, scenarios)()
    except scenario.Syntax as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    # Daemon threads of the world's servers would only get in the way.
    status = main()
    sys.stdout.flush()
    os._exit(status)
