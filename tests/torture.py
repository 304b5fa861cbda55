#!/usr/bin/python3
"""Is what was acknowledged kept, whatever happens to programs and machine?

    tests/torture.py [--rounds N] [--cuts N] [--seed S] [--ledger FILE]
                     [--tap] [--build DIR] [--keep DIR]
    tests/torture.py --again DIR

Rounds: programs are killed while mail comes and goes, at random and at each
call that writes. Cuts: the block writes and flushes of a real file system are
recorded under load, and states that a power cut could have left are made of
the record. After each a relay starts on what is left, without help, and
everything that was acknowledged must arrive, octet for octet. The parts are
in tests/power, which has a README.

Each result is a line of the ledger; run again, it goes on where it stopped. A
state that fails is kept, and --again makes it once more.

Needs root (namespaces), and for the cuts /dev/fuse, loop devices and ext4:
ends with 77 where something is missing, and says what.
"""

import argparse
import os
import secrets
import subprocess
import sys
import time

TESTS = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)
sys.dont_write_bytecode = True	# as root: nothing into the tree

from power import (disk, honest, inside, ledger, rounds,	# noqa: E402
                   series, server)
from world import space				# noqa: E402

CUTS_A_SERIES = 10
KEPT_MAX = 5
IDS = "SMTP-2.1-1, SMTP-6.1-1"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--cuts", type=int, default=300)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--ledger", type=os.path.abspath)
    parser.add_argument("--tap", action="store_true")
    parser.add_argument("--build", type=os.path.abspath,
                        default=TOP + "/build")
    parser.add_argument("--keep", type=os.path.abspath,
                        default=TOP + "/build/torture/failed")
    parser.add_argument("--again", type=os.path.abspath, metavar="DIR")
    return parser.parse_args()


class Tools:
    """What rounds and series share."""

    clients = 4
    letters = 80		# of each client in a series
    round_letters = 10

    def __init__(self):
        self.build, self.recorder = space.BUILD, inside.RECORDER
        self.server = server.Server(None)


class Torture:
    def __init__(self, given):
        self.given, self.tools = given, Tools()
        self.ledger = ledger.Ledger(given.ledger, given.seed,
                                    ledger.fingerprint(space.BUILD))
        self.seed, self.folder = self.ledger.seed, space.WORLD
        self.kept = self.done = 0
        self.faults = []
        self.began = time.monotonic()

    def __call__(self):
        lacking = disk.why_not() if self.given.cuts else None
        self.say(f"seed {self.seed}"
                 + (f", ledger {self.given.ledger}" if self.given.ledger
                    else ""))
        self.rounds()
        if lacking is None and self.given.cuts:
            lacking = self.cuts()
        return self.end(lacking)

    def say(self, text):
        print(("# " if self.given.tap else "") + text, flush=True)

    def note(self, kind, outcome):
        """Into the ledger, and to whoever looks on."""
        self.ledger.add(kind, outcome)
        self.done += 1
        if outcome.faults:
            self.faults.append((kind, outcome))
            self.say(f"{kind} {outcome.name}: {outcome.facts}")
            for fault in outcome.faults:
                self.say(f"    {fault[:1000]}")
        elif self.done % 10 == 0:
            self.say(f"{time.monotonic() - self.began:5.0f} s: "
                     f"{self.ledger.summary()}")

    def rounds(self):
        playing = rounds.Rounds(self.seed, self.folder, self.tools)
        for number in range(self.given.rounds):
            if not self.ledger.has("round", str(number)):
                self.note("round", playing.play(number))
        playing.close()

    # Power cuts.

    def cuts(self):
        """What is missing for them, or None."""
        try:
            wrong = self._prove()
            if wrong:
                self.faults.append(("proof", series.Outcome(
                    "recorder", {}, [wrong])))
                self.say(f"the recorder: {wrong}")
                return None
            for number in range(-(-self.given.cuts // CUTS_A_SERIES)):
                self.series(number)
        except disk.Missing as missing:
            return str(missing)
        return None

    def _prove(self):
        """Nothing is believed of a recorder that was not tried."""
        proof = disk.Disk(self.folder + "/proof", self.tools.recorder)
        try:
            proof.start()
            return disk.self_test(proof, proof.folder) or honest.lies(
                self.seed, self.folder, self.tools)
        finally:
            proof.detach()

    def series(self, number):
        first = number * CUTS_A_SERIES
        count = min(CUTS_A_SERIES, self.given.cuts - first)
        names = [f"{number}.{one}" for one in range(count)]
        if all(self.ledger.has("cut", name) for name in names):
            return
        one = series.Series(number, self.seed, self.folder, self.tools)
        try:
            wrong = one.play()
            if wrong:
                self.faults.append(("load", series.Outcome(
                    str(number), {"kind": one.kind}, wrong)))
                self.say(f"load of series {number}: {wrong}")
            for at, cut in enumerate(one.cuts(CUTS_A_SERIES)[:count]):
                if not self.ledger.has("cut", names[at]):
                    self._cut(one, at, cut)
        finally:
            one.close()

    def _cut(self, one, at, cut):
        outcome = one.judge(at, cut)
        self.note("cut", outcome)
        if outcome.faults and self.kept < KEPT_MAX:
            self.kept += 1
            folder = f"{self.given.keep}/{self.seed}.{outcome.name}"
            one.keep(folder, at, cut)
            self.say(f"kept in {folder}")

    # The end.

    def end(self, lacking):
        self.say(self.ledger.summary())
        if lacking:
            self.say(f"no power cuts here: {lacking}")
            print(f"no power cuts here: {lacking}", file=sys.stderr)
        if self.given.tap:
            self.tap(lacking)
        if self.faults or self.ledger.bad():
            return 1
        # What is skipped stands in the TAP.
        return space.SKIP if lacking and not self.given.tap else 0

    def tap(self, lacking):
        skip = f" # SKIP {lacking}" if lacking else ""
        lines = []
        if self.given.rounds:
            lines.append((self.ledger.bad("round"), f"{IDS} "
                          f"{self.given.rounds} kill rounds: "
                          + self.ledger.tally("round")))
        if self.given.cuts:
            lines.append((self.ledger.bad("cut"), f"{IDS} "
                          f"{self.given.cuts} power-cut states: "
                          + self.ledger.tally("cut") + skip))
            lines.append((bool(self.others()), "the recorder sees flushes, a "
                          "flush that is swallowed loses mail, and no load "
                          "went wrong" + skip))
        print(f"1..{len(lines)}")
        for number, (bad, words) in enumerate(lines, 1):
            print(f"{'not ok' if bad else 'ok'} {number} - {words}")
        for one in self.others():
            print(f"# {one[:2000]}")

    def others(self):
        """Faults that belong to no line of the ledger."""
        return [f"{kind} {one.name}: {fault}" for kind, one in self.faults
                if kind not in ("round", "cut") for fault in one.faults]


def within(given):
    space.reap()
    inside.furnish(given.build)
    if given.again:
        return again(given.again)
    return Torture(given)()


def again(folder):
    """Makes a state that was kept, and judges it once more."""
    one, number, cut = series.Series.kept(folder, space.WORLD, Tools())
    outcome = one.judge(number, cut)
    print(outcome.facts, *outcome.faults, one.last_log, sep="\n")
    return 1 if outcome.faults else 0


def main():
    given = arguments()
    if space.inside():
        return within(given)
    why = inside.why_not()
    if why:
        print(f"1..0 # SKIP {why}" if given.tap else f"torture: {why}")
        return space.SKIP
    for part in ("bin/culverd", "tests/preload/fault.so"):
        if not os.path.exists(f"{given.build}/{part}"):
            print(f"there is no {given.build}/{part}: make all build-preload "
                  "first", file=sys.stderr)
            return 1
    return space.run([os.path.abspath(__file__), *sys.argv[1:]],
                     TOP + "/build/world")


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
