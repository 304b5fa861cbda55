"""What was done already? A line for each round and each state.

    kind name verdict acknowledged=N key=value … | fault | fault

The first line is the seed and what was tortured: with other programs a new
ledger begins, and the old one stays beside it. A line is written in one piece
when its work is done, so a run that was ended anywhere goes on at the first
that is missing.
"""

import hashlib
import os
import threading

WORDS = ("lost", "changed", "doubled", "half a message")


def fingerprint(build):
    """Of the programs in this folder."""
    digest = hashlib.sha256()
    for part in ("bin", "libexec"):
        for name in sorted(os.listdir(f"{build}/{part}")):
            with open(f"{build}/{part}/{name}", "rb") as program:
                digest.update(program.read())
    return digest.hexdigest()[:16]


class Ledger:
    def __init__(self, path, seed, programs):
        self.path, self.lock = path, threading.Lock()
        self.seed, self.programs = seed, programs
        self.lines = {}			# (kind, name): (verdict, acked, faults)
        if path and os.path.exists(path) and self._read():
            return
        self._write(f"seed {seed} programs {programs}\n")

    def _read(self):
        """False: it is of other programs."""
        with open(self.path) as file:
            first, *rest = file.read().splitlines() or [""]
        words = first.split(" ")
        if words[::2] != ["seed", "programs"] or len(words) != 4:
            raise SystemExit(f"{self.path} is no ledger of the torture")
        if words[3] != self.programs:
            os.replace(self.path, self.path + ".old")
            return False
        self.seed = words[1]
        for line in rest:
            facts, *found = line.split(" | ")
            words = facts.split(" ")
            if len(words) >= 4 and words[3].startswith("acknowledged="):
                self.lines[words[0], words[1]] = (
                    words[2], int(words[3].partition("=")[2]), found)
        return True

    def _write(self, text):
        if self.path:
            os.makedirs(os.path.dirname(os.path.abspath(self.path)),
                        exist_ok=True)
            with open(self.path, "a") as file:
                file.write(text)

    def has(self, kind, name):
        return (kind, name) in self.lines

    def add(self, kind, outcome):
        verdict = "bad" if outcome.faults else "ok"
        with self.lock:
            self.lines[kind, outcome.name] = (
                verdict, outcome.acknowledged, outcome.faults)
            facts = " ".join(f"{key}={value}" for key, value
                             in outcome.facts.items())
            text = " | ".join(
                [f"{kind} {outcome.name} {verdict} "
                 f"acknowledged={outcome.acknowledged} {facts}",
                 *outcome.faults])
            self._write(text.replace("\n", " ") + "\n")

    def bad(self, kind=None):
        return any(line[0] == "bad" for (one, _), line in self.lines.items()
                   if kind in (None, one))

    def tally(self, kind=None):
        """How many were acknowledged, and what became of them."""
        lines = [line for (one, _), line in self.lines.items()
                 if kind in (None, one)]
        text = f"{sum(line[1] for line in lines)} acknowledged"
        for word in WORDS:
            count = sum(fault.startswith(word) for line in lines
                        for fault in line[2])
            text += f", {count} {word}"
        other = sum(not fault.startswith(WORDS) for line in lines
                    for fault in line[2])
        return text + f", {other} other faults"

    def summary(self):
        """One line for people: rounds and states, not messages, are bad."""
        rounds = sum(kind == "round" for kind, _ in self.lines)
        return (f"{rounds} kill rounds, {len(self.lines) - rounds} power-cut "
                f"states: {self.tally()}")
