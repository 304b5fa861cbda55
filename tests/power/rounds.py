"""Kill rounds: mail comes and goes, and programs are killed.

    rounds = Rounds(seed, folder, tools)
    for number in …: rounds.play(number)

Two of three rounds kill the queue at a call that writes (fault.c): the nth
write, flush, new file or removed file, before it or with half of it done; n
rises with the number of the round, so that each is met. The others kill
programs, or everything, at random. Then all is killed once more or stopped,
and a relay starts on what is there.
"""

import random
import shutil
import time

from . import drain, load, mail, relay
from .fault import CREATE, DIE, DIE_HALF, SYNC, UNLINK, WRITE, Fault
from .series import Outcome

# Calls, what becomes of them, words, and how far n goes.
POINTS = (
    (WRITE, DIE, "write", 97), (WRITE, DIE_HALF, "half write", 97),
    (SYNC, DIE, "flush", 61), (WRITE | SYNC | UNLINK, DIE, "any call", 149),
    (CREATE, DIE, "new file", 7), (UNLINK, DIE, "removal", 7),
)
ENDS = ("killed", "killed in recovery", "killed in recovery", "stopped",
        "running")
ROUNDS_A_SPOOL = 25
TIMES = 3			# so often in one round


class Rounds:
    def __init__(self, seed, folder, tools):
        self.seed, self.folder, self.tools = seed, folder, tools
        self.one = self.fault = None
        self.played = 0

    def _fresh(self):
        """A new spool now and then; most rounds go on with the old one."""
        if self.one is not None and self.played % ROUNDS_A_SPOOL:
            return
        self.close()
        self.one = relay.Relay(self.folder + "/rounds",
                               self.folder + "/rounds/spool",
                               self.tools.build, self._hear)
        self.one.furnish()
        self.fault = Fault(self.one)
        self.one.start()

    def _hear(self, line):
        self.book.log_line(line, self.book.place())

    def close(self):
        if self.one is not None:
            self.one.kill_everything()
            self.one = None
        shutil.rmtree(self.folder + "/rounds", ignore_errors=True)

    def play(self, number):
        rng = random.Random(f"{self.seed}/round{number}")
        self.book = mail.Book(time.monotonic_ns)
        self.tools.server.book = self.book
        self._fresh()
        self.played += 1
        plan, what = self._plan(number, rng)
        sending = load.Load(self.one, self.book, f"{self.seed}.r{number}",
                            self.tools.clients, self.tools.round_letters)
        facts = {"what": what}
        try:
            sending.run(plan)
            facts["deaths"] = len(sending.kills)
            self.fault.disarm()
            self._end(sending, rng, facts)
            stuck = drain.drain(self.one, self.tools.server)
        except (RuntimeError, OSError) as error:
            stuck = f"no start: {error}"
        return self._judge(number, sending, facts, stuck)

    def _end(self, sending, rng, facts):
        """How the round ends; the relay runs again behind it."""
        one, before = self.one, self.book.place()
        end = facts["end"] = rng.choice(ENDS)
        if end == "stopped":
            one.stop()
        elif end != "running":
            one.kill_everything()
        if end == "killed in recovery":
            nth = facts["nth"] = rng.randint(1, 40)
            facts["died"] = one.start_dying(self.fault, nth)
        if end != "running":
            one.start()
        sending.kills.append((before, self.book.place(), end))

    def _plan(self, number, rng):
        if number % 3 == 2:
            times = rng.choice((1, 2, 3))
            return load.killing(rng, times), f"{times} at random"
        calls, action, word, most = POINTS[number // 3 % len(POINTS)]
        nth = 1 + (number // 3 // len(POINTS) * TIMES * 2
                   + number % 3 * TIMES) % most

        def plan(sending):
            for step in range(TIMES):
                self._die_at(sending, calls, action, nth + step)
        return plan, f"queue at {word} {nth} to {nth + TIMES - 1}"

    def _die_at(self, sending, calls, action, nth):
        """It dies there, if it comes so far, and is started again."""
        before, starts = self.book.place(), self.one.starts("queue")
        self.fault.arm(calls, action, nth)
        deadline = time.monotonic() + 5
        while not self.fault.failed() and time.monotonic() < deadline \
                and sending.busy():
            time.sleep(0.002)
        self.fault.disarm()
        if self.fault.failed():
            self.one.revive("queue", starts)
            sending.kills.append((before, self.book.place(), "queue"))

    def _judge(self, number, sending, facts, stuck):
        phase, never = self.book.phase, self.book.place() + 1
        judge = mail.Judge(self.book, mail.Phase(), phase, never)
        judge.doubled = mail.needless(self.book, phase, sending.kills)
        faults = (judge.faults() + self.one.alarms()
                  + [stuck] * (stuck is not None))
        if faults:
            self.played = 0		# what is wrong stays in that spool
        return Outcome(str(number), facts, faults, judge.acknowledged)
