"""How is a scenario read, and who plays it?

A scenario is a text of sentences, one a line; what is indented under a line
belongs to it. README in tests/scenario tells the language; setting.py,
acts.py, outcomes.py and witnesses.py hold what each sentence does. This file knows the form only:

  - `title:`, `covers:`, `marked:` and `culver` at the top,
  - declarations (zone, policy, mx, collector, postfix …), which are all carried out before
    the world starts, so that it starts once,
  - steps, played in order until one fails,
  - `for each $X of a b c` and `repeat N times`, unrolled when read.
"""

import json
import os
import re
import shutil
import time
import traceback

from . import language, outcomes, tap
from . import acts, reports, setting, storage, witnesses	# noqa: F401, for their sentences

# Of tests/conformance.tsv, and traps (T1, S1).
ID = re.compile(r"\b(?:STS|RPT|DANE|RTLS|TLS|SMTP|MSG|SUB|EXT|DSN|DKIM)"
                r"-[0-9A-Z][\w.]*(?:-[0-9A-Z][\w.]*)?-\d+\b|\b[ST]\d{1,2}\b")
DECLARATION = re.compile(r"(zone|policy|mx|postfix|exim|opensmtpd|collector) (?!\S+ (now|stops|resumes))")
# A scenario with one of these has a relay of its own: it would disturb others.
ALONE = re.compile(r"(time passes|the day ends|kill|start|stop|restart|reload|load|when "
                   r"|expect running|send .* killing|culver$)")


class Syntax(Exception):
    pass


class Sentence:
    """One line, with what is indented under it as it stands."""

    def __init__(self, number, text, block, ids):
        self.number, self.text, self.block, self.ids = number, text, block, ids


def _indent(line):
    return len(line) - len(line.lstrip())


def _strip_comment(line):
    """(the line without its comment, the ids that the comment names)."""
    quoted = False
    for at, char in enumerate(line):
        if char == '"':
            quoted = not quoted
        if char == "#" and not quoted and (at == 0 or line[at - 1].isspace()):
            return line[:at].rstrip(), ID.findall(line[at:])
    return line.rstrip(), []


def _blocks(lines):
    """[(number, line, [(number, line) under it])…] of equal indentation."""
    found, at = [], 0
    while at < len(lines):
        number, line = lines[at]
        at += 1
        if not _strip_comment(line)[0].strip():
            continue
        depth, under = _indent(line), []
        while at < len(lines) and (not lines[at][1].strip()
                                   or _indent(lines[at][1]) > depth):
            under.append(lines[at])
            at += 1
        while under and not under[-1][1].strip():
            under.pop()
        found.append((number, line, under))
    return found


def _unroll(lines, values):
    """Sentences of these lines, loops unrolled, $names replaced."""
    for number, line, under in _blocks(lines):
        text, ids = _strip_comment(line.strip())
        loop = re.fullmatch(r"for each \$(\w+) of (.+)", text)
        repeat = re.fullmatch(r"repeat (\d+) times", text)
        if loop:
            for value in _fill(loop[2], values).split():
                yield from _unroll(under, {**values, loop[1]: value,
                                           loop[1].lower(): value.lower()})
        elif repeat:
            for turn in range(1, int(repeat[1]) + 1):
                yield from _unroll(under, {**values, "N": str(turn)})
        else:
            depth = min((_indent(one) for _, one in under if one.strip()),
                        default=0)
            block = [_fill(one[depth:], values) for _, one in under]
            yield Sentence(number, _fill(text, values), block, ids)


def _fill(text, values):
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(f"${name}", values[name])
    return text


class Scenario:
    """A parsed file, or a text that stands elsewhere."""

    def __init__(self, path, text=None):
        self.path = path
        self.name = os.path.basename(path).removesuffix(".scn")
        self.title, self.covers, self.marks = self.name, [], []
        self.settings, self.sentences = [], []
        self.alone = False
        if text is None:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        self._read(self._joined(list(enumerate(text.splitlines(), 1))))
        self.declarations = [one for one in self.sentences
                             if DECLARATION.match(one.text)]
        self.steps = [one for one in self.sentences
                      if one not in self.declarations]
        for one in self.sentences:
            if language.find(one.text) is None:
                raise Syntax(f"{path}:{one.number}: not a sentence that anyone "
                             f"knows: {one.text}")

    @staticmethod
    def _joined(lines):
        """A line that ends in a backslash goes on in the next one."""
        joined = []
        for number, line in lines:
            if joined and joined[-1][1].endswith("\\"):
                first, text = joined[-1]
                joined[-1] = first, text[:-1].rstrip() + " " + line.strip()
            else:
                joined.append((number, line))
        return joined

    def _read(self, lines):
        for one in _unroll(lines, {}):
            head = re.match(r"(title|covers|marked): *(.*)", one.text)
            if head and head[1] == "title":
                self.title = head[2]
            elif head and head[1] == "covers":
                self.covers += re.split(r"[,\s]+", head[2].strip())
            elif head:
                self.marks += re.split(r"[,\s]+", head[2].strip())
            elif one.text == "culver":
                self.settings += [line for line in one.block if line.strip()]
                self.alone = True
            else:
                self.alone |= ALONE.match(one.text) is not None
                self.sentences.append(one)

    def domains(self):
        return [one.text.split()[1] for one in self.declarations
                if one.text.startswith("zone ")]


class Failure(Exception):
    """A step whose outcome was not what the scenario says."""


class Player:
    """One scenario being played; the `self` of every step."""

    def __init__(self, scenario, world, culver, patience):
        self.scenario, self.world, self.culver = scenario, world, culver
        self.shared = culver is not None
        self.patience = patience
        self.mails = []			# all that were sent
        self.last = []			# those of the last `send`
        self.named = {}			# those with a name
        self.output = None		# of the last culverctl or sendmail
        self.loads = []
        self.log_start = 0
        self.stash = {}			# what steps remember of one another

    # For sentences.

    def fail(self, text):
        raise Failure(text)

    def until(self, found, complaint, patience=None):
        """Waits until FOUND() is true and returns what it returned.

        COMPLAINT is a text, or makes one, for the case that it never is.
        """
        deadline = time.monotonic() + (patience or self.patience)
        pause = 0.02
        while True:
            result = found()
            if result:
                return result
            if time.monotonic() > deadline:
                self.fail(complaint() if callable(complaint) else complaint)
            time.sleep(pause)
            pause = min(pause * 1.3, 0.5)

    def own_events(self, event=None):
        """Log events; of a shared relay only those about this scenario."""
        events = self.culver.events(event)
        if not self.shared:
            return events
        names = self.scenario.domains() + [mail.id for mail in self.mails
                                           if mail.id]
        return [one for one in events
                if any(name in one.line for name in names)]

    # Life.

    def play(self, folder, stream):
        """Plays all; True when everything was as it should be."""
        out = tap.Tap(stream)
        name = self.scenario.name
        failed = None
        try:
            if not self.shared:
                self.culver = self.world.culver(name, self.scenario.settings)
            for step in self.scenario.steps:
                failed = self._step(step, out)
                if failed:
                    break
            failed = failed or self._aftermath(out)
        except Exception:		# a fault of the player itself
            failed = traceback.format_exc()
        finally:
            for load in self.loads:
                load.end()
            if failed:
                self._keep(folder)
            if not self.shared and self.culver is not None:
                self.culver.kill_everything()
                shutil.rmtree(self.culver.folder + "/spool",
                              ignore_errors=True)
        summary = " ".join([*self.scenario.covers,
                            f"{name}: {self.scenario.title}"])
        if failed:
            out.not_ok(summary)
        else:
            out.ok(summary)
        out.close()
        return failed

    def _step(self, step, out):
        label = " ".join([*step.ids, f"{self.scenario.name}: {step.text}"])
        function, match = language.find(step.text)
        try:
            if not self.shared and self.culver.process is None \
                    and "wants_relay" in function.traits \
                    and "started" not in self.stash:
                self.stash["started"] = True
                self.culver.start()
            function(self, step, **match.groupdict())
        except Exception as error:
            if not isinstance(error, Failure):
                trace = traceback.format_exc()
            else:
                trace = str(error)
            why = f"{self.scenario.path}:{step.number}: {trace}"
            out.not_ok(label, why)
            return why
        out.ok(label)
        return None

    def _aftermath(self, out):
        """What must hold after every scenario, whatever it is about."""
        faults = []
        if not self.shared:
            faults += self.culver.complaints()
        for mail in self.mails:
            faults += outcomes.unfaithful(self, mail)
            for _, _, message in self.world.bounces(mail.mark):
                faults += outcomes.read_dsn(message).faults
        if faults:
            why = "\n".join(sorted(set(faults))[:20])
            out.not_ok(f"{self.scenario.name}: no fault beside the steps", why)
            return why
        out.ok("SMTP-2.3.8-2 SMTP-3.6.3-5 "
               f"{self.scenario.name}: what arrived was what was sent")
        return None

    def _keep(self, folder):
        """What a person needs to see what went wrong."""
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        if self.culver is not None:
            shutil.copy(self.culver.log_path, folder + "/culver.log")
            shutil.copy(self.culver.conf, folder + "/culver.conf")
        names = self.scenario.domains()
        sessions = [session.as_json() for session in self.world.mx.sessions()
                    if any(session.host.endswith(name) for name in names)
                    or session.host == "mx.home.example"]
        with open(folder + "/sessions.json", "w") as out:
            json.dump(sessions, out, indent=1, default=str)


def declare(scenario, world):
    """Carries out the declarations, before the world starts."""
    player = Player(scenario, world, None, 0)
    for one in scenario.declarations:
        function, match = language.find(one.text)
        try:
            function(player, one, **match.groupdict())
        except (ValueError, KeyError, Failure) as error:
            raise Syntax(f"{scenario.path}:{one.number}: {error}") from error
