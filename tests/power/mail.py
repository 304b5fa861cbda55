"""What was promised, and what came of it: letters, and the book of them.

A *place* is a number that only grows, from whoever makes the book: records of
the disk, or nanoseconds. It is read **before** an event can have an effect
(a final dot arrives) or **after** it must have had one (250 was read, the log
says "delivered"), so that comparing places with a cut never blames wrongly.
"""

import random
import re
import threading

HOSTS = tuple(f"127.0.0.{number}" for number in range(2, 7))
SENDERS = "127.0.0.9"
LINE = b"A line of no interest that only makes the message longer. %07d\r\n"
# (weight, least, most) octets: records, chunks, files.
SIZES = ((8, 1000, 4000), (6, 4000, 16000), (5, 16000, 65000),
         (3, 65000, 280000), (2, 280000, 1 << 20))
MARK = re.compile(rb"^X-World: (\S+)\r$", re.M)
ID = re.compile(rb"\bid ([0-9A-Za-z-]+)")


class Letter:
    """One message and what the client heard of it."""

    def __init__(self, mark, sender, recipients, data):
        self.mark, self.sender, self.data = mark, sender, data
        self.recipients = recipients
        self.taken = None		# the place of the 250, or exit 0


class Phase:
    """What arrived between two moments."""

    def __init__(self):
        self.arrivals = {}		# (mark, recipient): [place…]
        self.notices = {}
        self.changed = []

    def answers(self, refused, key):
        return (self.notices if refused else self.arrivals).get(key, [])


class Book:
    def __init__(self, place):
        self.place = place
        self.lock = threading.Lock()
        self.letters = {}		# by mark
        self.ids = {}			# queue id: mark, from Received
        self.settled = {}		# (id, recipient): place
        self.phase = Phase()

    def begin_phase(self):
        with self.lock:
            self.phase = Phase()
            return self.phase

    def __getstate__(self):
        """For pickle: what was promised, no more."""
        return {"letters": self.letters, "ids": self.ids,
                "settled": self.settled}

    def __setstate__(self, state):
        self.__init__(lambda: 0)
        self.__dict__.update(state)

    def compose(self, seed):
        """A letter that nobody sent before; SEED decides about it."""
        rng = random.Random(seed)
        mark = f"m{seed}"
        sender = f"alice@[{SENDERS}]"
        recipients = []
        for number in range(rng.choice((1, 1, 1, 2, 3, 5))):
            kind = rng.choice(("user",) * 8 + ("later", "refused"))
            recipients.append(f"{kind}-{number}-{rng.randrange(999)}"
                              f"@[{rng.choice(HOSTS)}]")
        letter = Letter(mark, sender, recipients, self._text(
            mark, sender, recipients, rng))
        with self.lock:
            self.letters[mark] = letter
        return letter

    @staticmethod
    def _text(mark, sender, recipients, rng):
        _, least, most = rng.choices(SIZES, [size[0] for size in SIZES])[0]
        head = (f"X-World: {mark}\r\nFrom: <{sender}>\r\n"
                f"To: <{recipients[0]}>\r\nSubject: {mark}\r\n"
                f"Message-ID: <{mark}@test.example>\r\n"
                "Date: Mon, 30 Nov 2026 12:00:00 +0000\r\n\r\n").encode()
        lines = rng.randint(least, most) // len(LINE % 0)
        # Each line differs, so that no block is like another.
        first = rng.randrange(1 << 20)
        return head + b"".join(LINE % (first + number)
                               for number in range(lines)) + b".dot\r\n"

    # What happened.

    def acknowledge(self, letter):
        letter.taken = self.place()

    def arrived(self, sender, recipients, wire):
        """By the server, at the final dot, before its answer."""
        place = self.place()
        found = MARK.search(wire)
        with self.lock:
            if not found:
                self.phase.changed.append("something without a mark for "
                                          + ", ".join(recipients))
                return
            mark = found.group(1).decode()
            if sender == "":
                self._notice(mark, wire, place)
            else:
                self._delivery(mark, recipients, wire, place)

    def _delivery(self, mark, recipients, wire, place):
        letter = self.letters.get(mark)
        at = wire.find(b"X-World: ")
        if letter is None or wire[at:] != letter.data \
                or not wire.startswith(b"Received: "):
            self.phase.changed.append(f"{mark} came changed")
            return
        found = ID.search(wire[:at])
        if found:
            self.ids[found.group(1).decode()] = mark
        for recipient in recipients:
            if recipient not in letter.recipients:
                self.phase.changed.append(f"{mark} came for {recipient}")
            self.phase.arrivals.setdefault((mark, recipient),
                                           []).append(place)

    def _notice(self, mark, wire, place):
        letter = self.letters.get(mark)
        if letter is None:
            self.phase.changed.append(f"a notice about {mark}, not sent")
            return
        text = wire.decode("latin-1").replace("; ", ";")
        for recipient in letter.recipients:
            if f"rfc822;{recipient}" in text:
                self.phase.notices.setdefault((mark, recipient),
                                              []).append(place)

    def log_line(self, line, place):
        """What the relay says when a delivery is on the disk."""
        if " attempt " not in line or "outcome=delivered" not in line:
            return
        found = re.search(r'\bid=(\S+) to="?([^" ]+)"?', line)
        if found:
            with self.lock:
                self.settled.setdefault(found.groups(), place)

    def settlements(self):
        """{(mark, recipient): place} of what was settled and said so."""
        with self.lock:
            return {(self.ids[one], to): place
                    for (one, to), place in self.settled.items()
                    if one in self.ids}


class Judge:
    """Compares what was promised at a cut with what came before and after.

    BEFORE and AFTER are phases: of the load, and of the relay that was
    started on what the cut left. Nothing of the load counts that happened
    behind the cut.
    """

    def __init__(self, book, before, after, cut):
        self.book, self.cut = book, cut
        self.before, self.after = before, after
        self.lost, self.doubled, self.halved = [], [], []
        self.acknowledged = 0
        self.settled = book.settlements()
        for letter in list(book.letters.values()):
            self._letter(letter)
        self.changed = list(after.changed)

    def _letter(self, letter):
        promised = letter.taken is not None and letter.taken <= self.cut
        self.acknowledged += promised
        answered = [self._recipient(letter, one)
                    for one in letter.recipients]
        if promised:
            self.lost += [f"{letter.mark} {one}" for one, done in
                          zip(letter.recipients, answered) if not done]
        elif any(answered) and not all(answered):
            self.halved.append(letter.mark)

    def _recipient(self, letter, recipient):
        """Did it arrive, or was its sender told?"""
        key = (letter.mark, recipient)
        refused = recipient.startswith("refused")
        before = [place for place in self.before.answers(refused, key)
                  if place < self.cut]
        after = self.after.answers(refused, key)
        if len(after) > 1:
            self.doubled.append(f"{letter.mark} {recipient}: "
                                f"{len(after)} times")
        elif after and self.settled.get(key, self.cut + 1) <= self.cut:
            self.doubled.append(f"{letter.mark} {recipient}: settled before")
        return bool(before or after)

    def faults(self):
        return faults((("lost", self.lost), ("changed", self.changed),
                       ("half a message", self.halved),
                       ("doubled", self.doubled)))


def faults(found):
    return [f"{what}: {'; '.join(each[:5])}"
            + (f" and {len(each) - 5} more" if len(each) > 5 else "")
            for what, each in found if each]


def needless(book, phase, kills):
    """Recipients that got a message twice, and no kill explains it.

    KILLS are (place just before, place when all was up again, what): one lies
    between the two final dots, and nothing was settled before the second.
    """
    settled = book.settlements()
    found = []
    for key, places in list(phase.arrivals.items()):
        for first, second in zip(places, places[1:]):
            if not any(after >= first and before <= second
                       for before, after, _ in kills):
                found.append(f"{key[0]} {key[1]}: at {first} and {second}, "
                             f"killed {kills}")
            elif settled.get(key, second) < second:
                found.append(f"{key[0]} {key[1]}: settled before")
    return found
