"""A load on a recorded disk, and the power cuts that are made of its record.

    series = Series(number, seed, folder, tools)
    series.play()                       the load; the record is complete
    for cut in series.cuts(20): series.judge(cut)

Even series take mail only (no workers), odd ones deliver too; in each programs
are killed now and then, so that recovery is in the record as well.
"""

import glob
import os
import pickle
import random
import shutil
import threading

from . import disk, drain, fault, load, mail, relay

# So many recoveries die under way, and are begun once more.
DYING = 0.3
KINDS = ("accept", "deliver", "deliver")


class Outcome:
    """What became of one state or one round."""

    def __init__(self, name, facts, faults, acknowledged=0):
        self.name, self.facts, self.faults = name, facts, faults
        self.acknowledged = acknowledged


class Series:
    def __init__(self, number, seed, folder, tools):
        self.number, self.tools = number, tools
        self.seed = f"{seed}.{number}"
        self.rng = random.Random(self.seed)
        self.kind = KINDS[number % len(KINDS)]
        self.folder = f"{folder}/series{number}"
        self.disk = disk.Disk(self.folder, tools.recorder)
        self.book = mail.Book(self.disk.records)
        self.replay = None

    def play(self):
        """Mail and kills; what is wrong already without a cut."""
        self.disk.start()
        one = relay.Relay(self.folder + "/load", self.disk.root + "/spool",
                          self.tools.build, self._hear,
                          workers=0 if self.kind == "accept" else 10)
        one.furnish()
        self.prepare(one)
        try:
            return self._play(one)
        except (RuntimeError, OSError) as error:
            return [f"no start: {error}"]
        finally:
            one.kill_everything()
            self.record = self.disk.stop()

    def prepare(self, one):
        """For who wants more than an honest relay (honest.py)."""

    def plan(self):
        return load.killing(self.rng, self.rng.choice((0, 1, 2, 3)))

    def _hear(self, line):
        self.book.log_line(line, self.disk.records())

    def _play(self, one):
        server = self.tools.server
        server.book, server.patient = self.book, False
        self.before = self.book.begin_phase()
        one.start()
        sending = load.Load(one, self.book, self.seed, self.tools.clients,
                            self.tools.letters)
        leaving = threading.Thread(target=self._write_back, args=(sending,))
        leaving.start()
        sending.run(self.plan())
        leaving.join()
        # Half of them end in order, with a last checkpoint.
        if self.rng.random() < 0.5:
            one.stop()
        found = mail.faults((
            ("changed", self.before.changed),
            ("doubled", mail.needless(self.book, self.before,
                                      sending.kills))))
        return found + one.alarms()

    def _write_back(self, sending):
        """Pages and logs go to the device whenever the kernel likes: then
        they lie between two flushes, and a cut may keep some of them."""
        rng = random.Random(f"{self.seed}/back")
        while not sending.ended.wait(rng.random() * 0.1):
            files = (glob.glob(self.disk.root + "/spool/*/*.db")
                     + glob.glob(self.disk.root + "/spool/*/log.*")
                     + glob.glob(self.disk.root + "/spool/queue/bodies/*"))
            for path in rng.sample(files, len(files) // 2):
                disk.write_back(path)

    def taken(self):
        return sorted(letter.taken for letter in self.book.letters.values()
                      if letter.taken is not None)

    def cuts(self, count):
        """Rising places of the record, most of them just behind a 250 or a
        flush, or just before one; rather where much was not flushed."""
        rng = random.Random(f"{self.seed}/cuts")
        near = [self.taken(), self.record.flushes()]
        near = [places for places in near if places]
        loose = self.record.loose()
        found = []
        for _ in range(count):
            some = [self._place(rng, near) for _ in range(5)]
            found.append(max(some, key=lambda cut: loose[cut])
                         if rng.random() < 0.6 else some[0])
        return sorted(found)

    def _place(self, rng, near):
        if near and rng.random() < 0.85:
            at = rng.choice(rng.choice(near)) + rng.choice(
                (0, 0, 1, 1, 2, 3, 5, 8, -1))
        else:
            at = rng.randrange(len(self.record))
        return max(1, min(at, len(self.record)))

    def judge(self, number, cut, rng=None):
        """Starts a relay on what is left at CUT; an Outcome."""
        name = f"{self.number}.{number}"
        rng = rng or random.Random(f"{self.seed}/{number}")
        if self.replay is None:
            self.replay = disk.Replay(self.disk.base, self.record,
                                      self.folder)
        image, root = self.folder + "/image", self.folder + "/cut"
        os.makedirs(root, exist_ok=True)
        how = self.replay.state(cut, rng, image)
        one = relay.Relay(f"{self.folder}/after", root + "/spool",
                          self.tools.build, lambda line: None)
        one.pass_time(drain.LATER_S)
        facts = {"at": cut, "of": len(self.record), "kind": self.kind,
                 "how": how}
        try:
            disk.run("mount", "-t", "ext4", "-o", "loop", image, root)
            return self._recover(one, name, facts, cut, rng)
        except (RuntimeError, OSError) as error:
            return Outcome(name, facts, [f"no start: {error}"])
        finally:
            one.kill_everything()
            self.last_log = one.log_text()
            if os.path.ismount(root):
                disk.unmount(root)
            os.unlink(image)

    def _recover(self, one, name, facts, cut, rng):
        self.tools.server.book = self.book
        after = self.book.begin_phase()
        if not os.path.isdir(one.spool):
            one.furnish()		# cut before there was one
        if rng.random() < DYING:
            page, nth = fault.Fault(one), rng.randint(1, 40)
            facts["died"] = one.start_dying(page, nth) and nth
        one.start()
        stuck = drain.drain(one, self.tools.server)
        judge = mail.Judge(self.book, self.before, after, cut)
        stuck = stuck or drain.takes_mail(one, self.tools.server, self.book,
                                          name)
        faults = judge.faults() + one.alarms() + [stuck] * (stuck is not None)
        return Outcome(name, facts, faults, judge.acknowledged)

    def keep(self, folder, number, cut):
        """What it takes to make this state again."""
        os.makedirs(folder, exist_ok=True)
        disk.run(*disk.SPARSE, self.disk.base, folder + "/base")
        disk.run(*disk.SPARSE, self.disk.log, folder + "/log")
        with open(folder + "/relay.log", "w") as out:
            out.write(self.last_log)
        with open(folder + "/state", "wb") as out:
            pickle.dump((self.number, self.seed, self.book, self.before,
                         number, cut), out)

    @classmethod
    def kept(cls, folder, world, tools):
        """(series, number, cut) of a state that was kept."""
        with open(folder + "/state", "rb") as file:
            number, seed, book, before, state, cut = pickle.load(file)
        one = cls(number, "", world, tools)
        one.seed, one.book, one.before = seed, book, before
        one.disk.base = folder + "/base"
        one.record = disk.Record(folder + "/log")
        return one, state, cut

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
