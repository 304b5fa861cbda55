"""Mail for a relay that is being tortured: clients, and who kills it.

    load = Load(relay, book, seed, clients=4, letters=40)
    load.run(plan)          a function that kills while the clients send
    …                       everything acknowledged stands in the book

No letter is sent twice: what a client was not told is not owed.
"""

import random
import subprocess
import threading
import time

from world import client

PROGRAMS = ("queue", "queue", "queue", "delivery", "worker", "smtpd",
            "policy", "reports", "spawner")
# So long it may take until the others feel that one of theirs is gone.
FELT_S = 0.1
RESTARTED = ("queue", "delivery", "smtpd", "policy", "reports")


class Load:
    def __init__(self, relay, book, seed, clients, letters, submitters=1):
        self.relay, self.book, self.seed = relay, book, seed
        self.clients, self.letters = clients, letters
        self.submitters = submitters
        self.ended = threading.Event()
        self.kills = []		# (place before, place after, name)
        self.sent = 0
        self.lock = threading.Lock()

    def run(self, plan, patience=60):
        """Sends everything while PLAN(self) does its worst."""
        threads = [threading.Thread(target=self._client, args=(number,))
                   for number in range(self.clients)]
        threads += [threading.Thread(target=self._submit, args=(number,))
                    for number in range(self.submitters)]
        deadline = time.monotonic() + patience
        for thread in threads:
            thread.start()
        try:
            plan(self)
            for thread in threads:
                thread.join(max(0.1, deadline - time.monotonic()))
        finally:
            self.ended.set()
            for thread in threads:
                thread.join(30)

    def _letters(self, number):
        for count in range(self.letters):
            if self.ended.is_set():
                return
            with self.lock:
                self.sent += 1
            yield self.book.compose(f"{self.seed}.{number}.{count}")

    def _client(self, number):
        rng = random.Random(f"{self.seed}/{number}")
        peer = None
        for letter in self._letters(number):
            try:
                peer = peer or self._connect()
                size = (f"SIZE={len(letter.data)}" if rng.random() < 0.5
                        else "")
                peer.send(letter.sender, letter.recipients, letter.data, size)
                self.book.acknowledge(letter)
            except (OSError, client.Refused, ValueError):
                if peer:
                    peer.close()
                peer = None
                self.ended.wait(0.1)
        if peer:
            peer.close()

    def _connect(self):
        peer = client.Client(self.relay.port, timeout=30)
        peer.demand("EHLO client.test.example", 2)
        return peer

    def _submit(self, number):
        for letter in self._letters(f"s{number}"):
            try:
                done = self.relay.sendmail(
                    ["-i", "-f", letter.sender, "--", *letter.recipients],
                    letter.data, timeout=30)
            except subprocess.TimeoutExpired:
                continue
            if done.returncode == 0:
                self.book.acknowledge(letter)
            else:
                self.ended.wait(0.2)

    # What a plan may do.

    def wait(self, share, patience=20):
        """Until so much of the mail is on its way."""
        whole = (self.clients + self.submitters) * self.letters
        deadline = time.monotonic() + patience
        while self.sent < share * whole and time.monotonic() < deadline:
            time.sleep(0.01)

    def busy(self):
        """Is there still mail to come?"""
        return self.sent < (self.clients + self.submitters) * self.letters

    def kill(self, name):
        """One program of this name, or everything; all is up again then."""
        before, starts = self.book.place(), self.relay.starts(name)
        if name == "everything":
            self.relay.kill_everything()
        elif name == "culverd":
            self.relay.kill("culverd")
            self.relay.wait_gone()
        else:
            self.relay.kill(name)
        if name in ("everything", "culverd"):
            self.relay.start()
        elif name in RESTARTED:
            self.relay.revive(name, starts)
        else:
            time.sleep(FELT_S)
        self.kills.append((before, self.book.place(), name))


def killing(rng, times):
    """A plan: so many kills at random moments."""
    moments = sorted(rng.random() for _ in range(times))
    names = [rng.choice(PROGRAMS + ("everything", "culverd"))
             for _ in range(times)]

    def plan(load):
        for moment, name in zip(moments, names):
            load.wait(moment)
            time.sleep(rng.random() * 0.02)
            load.kill(name)
    return plan
