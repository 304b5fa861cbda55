#!/usr/bin/python3
"""make demo: mail to domains that differ in one thing each.

Real servers in a private network (see tests/world): unbound validates, knot
signs, nginx serves policies, Postfix is one of the mail servers. The table
says what each domain publishes, what its mail server does, what culver did
and which clause says so; what it says was seen at the mail servers, not only
claimed by culver. Then the faults are mended, and what was kept goes out. At
last the day ends, and its TLS reports arrive where they were asked for.

Ends with 0 only if every row came out as it should, and leaves nothing
behind. 77: no namespace can be made here; the last line says why.
"""

import os
import subprocess
import sys
import textwrap
import threading
import time

TESTS = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)
sys.dont_write_bytecode = True	# as root: nothing into the tree

from world import client, language, reports, scenario, space	# noqa: E402
from world.world import World				# noqa: E402

PEERS = os.path.join(TOP, "build/peers")
BUILD = os.path.abspath(os.environ.get("BUILD", TOP + "/build"))

# What the world is like, in the language of tests/scenario/README.
WORLD = """\
zone plain.example
	MX 10 mx.plain.example
mx mx.plain.example
	no STARTTLS

zone good.example
	MX 10 mx.postfix.example
postfix takes good.example

zone expired.example
	MX 10 mx.expired.example
	_smtp._tls TXT "v=TLSRPTv1; rua=https://collect.expired.example/tls"
collector collect.expired.example
mx mx.expired.example
	certificate expired

zone wrong.example
	MX 10 mx.wrong.example
mx mx.wrong.example
	certificate wrong-name

zone stripped.example
	MX 10 mx.stripped.example
mx mx.stripped.example
	no STARTTLS

zone outside.example
	MX 10 mx.elsewhere.example
zone elsewhere.example
mx mx.elsewhere.example

zone second.example
	MX 10 mx1.second.example
	MX 20 mx2.second.example
mx mx1.second.example
	certificate expired
mx mx2.second.example

zone testing.example
	MX 10 mx.testing.example
	_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@testing.example"
mx mx.testing.example
	certificate expired

zone host404.example
	MX 10 mx.host404.example
mx mx.host404.example

zone txtgone.example
	MX 10 mx.txtgone.example
mx mx.txtgone.example

zone tlsa.example signed
	MX 10 mx.tlsa.example
	_25._tcp.mx TLSA 3 1 1 matching
mx mx.tlsa.example
	no STARTTLS

zone dane.example signed
	MX 10 mx.dane.example
	_25._tcp.mx TLSA 3 1 1 matching
mx mx.dane.example
	certificate self-signed

zone rolled.example signed
	MX 10 mx.rolled.example
	_25._tcp.mx TLSA 3 1 1 mismatching
mx mx.rolled.example

for each $DOMAIN of expired wrong stripped outside second host404 txtgone rolled
	policy $DOMAIN.example id 1
		version: STSv1
		mode: enforce
		mx: *.$DOMAIN.example
		max_age: 604800
policy good.example id 1
	version: STSv1
	mode: enforce
	mx: mx.postfix.example
	max_age: 604800
policy testing.example id 1
	version: STSv1
	mode: testing
	mx: *.testing.example
	max_age: 604800
"""

# An hour later something has happened to two of them.
LATER = """\
policy host404.example now answers 404
dns remove _mta-sts.txtgone.example TXT
for each $DOMAIN of host404 txtgone
	mx mx.$DOMAIN.example now
		no STARTTLS
"""


class Row:
    """One domain: what it shows, and what has to become of its mail."""

    def __init__(self, domain, publishes, server, outcome, host=None,
                 tls=None, clause="", mended="", mend=""):
        self.domain, self.publishes, self.server = domain, publishes, server
        self.outcome = outcome		# as it stands in the table
        self.host, self.tls = host, tls	# where it has to arrive, and how
        self.clause = clause		# what culver has to name, if kept
        self.mended, self.mend = mended, mend
        self.mail = None

    @property
    def kept(self):
        return self.outcome == "kept"


STS, DANE = "RFC 8461 5", "RFC 7672 2.2"
RENEWED = "certificate renewed"
OFFERED = "STARTTLS is back"

ROWS = [
    Row("plain.example", "no policy", "no TLS", "delivered, in clear",
        "mx.plain.example", False),
    Row("good.example", "enforce", "Postfix, good certificate",
        "delivered, verified", "Postfix", True),
    Row("expired.example", "enforce", "certificate expired", "kept",
        "mx.expired.example", True, STS, RENEWED,
        "mx mx.expired.example now"),
    Row("wrong.example", "enforce", "another's certificate", "kept",
        "mx.wrong.example", True, STS, "certificate of its own",
        "mx mx.wrong.example now"),
    Row("stripped.example", "enforce", "STARTTLS stripped", "kept",
        "mx.stripped.example", True, STS, OFFERED,
        "mx mx.stripped.example now"),
    Row("outside.example", "enforce, other MX", "not in the policy", "kept",
        "mx.elsewhere.example", True, STS, "policy names its MX", """\
policy outside.example now id 2
	version: STSv1
	mode: enforce
	mx: mx.elsewhere.example
	max_age: 604800
"""),
    Row("second.example", "enforce", "1st expired, 2nd good",
        "delivered to second", "mx2.second.example", True),
    Row("testing.example", "testing", "certificate expired",
        "delivered, noted", "mx.testing.example", True),
    Row("host404.example", "enforce; now a 404", "STARTTLS stripped", "kept",
        "mx.host404.example", True, STS, OFFERED,
        "mx mx.host404.example now"),
    Row("txtgone.example", "enforce; TXT gone", "STARTTLS stripped", "kept",
        "mx.txtgone.example", True, STS, OFFERED,
        "mx mx.txtgone.example now"),
    Row("dane.example", "TLSA (DNSSEC)", "its key, self-signed",
        "delivered, verified", "mx.dane.example", True),
    Row("rolled.example", "TLSA and enforce", "new key, by a good CA", "kept",
        "mx.rolled.example", True, DANE, "TLSA of the new key", """\
dns remove _25._tcp.mx.rolled.example TLSA
dns add _25._tcp.mx.rolled.example TLSA 3 1 1 matching
"""),
    Row("tlsa.example", "TLSA (DNSSEC)", "no TLS", "kept",
        "mx.tlsa.example", True, DANE, OFFERED, "mx mx.tlsa.example now"),
]
CACHED = ("host404.example", "txtgone.example")
# Who asked for reports, and how: in expired.example's and testing.example's
# _smtp._tls records.
RECEIVERS = (("expired.example", "collect.expired.example", "over https"),
             ("testing.example", "mx.testing.example", "by mail, signed"))


class Screen:
    """Lines for a person, and a spinner where one has to wait."""

    COLUMNS = (17, 18, 25, 20, 12)

    def __init__(self):
        self.terminal = sys.stdout.isatty()
        fancy = (sys.stdout.encoding or "").lower().startswith("utf")
        self.yes, self.no = ("✓", "✗") if fancy else ("+", "!")
        self.rule = "─" if fancy else "-"
        self.turns = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if fancy else "|/-\\"

    def paint(self, text, colour):
        codes = {"green": 32, "red": 31, "yellow": 33, "dim": 2, "bold": 1}
        return f"\033[{codes[colour]}m{text}\033[0m" if self.terminal else text

    def line(self, text=""):
        print(text, flush=True)

    def header(self, *words):
        """As many words as columns; of three the second spans two columns."""
        self.line(self.paint("  " + self._columns(words), "bold"))
        self.line("  " + self.rule * (sum(self.COLUMNS)
                                      + len(self.COLUMNS) - 1))

    def row(self, good, *words):
        mark = self.paint(self.yes, "green") if good \
            else self.paint(self.no, "red")
        self.line(f"{mark} {self._columns(words)}")

    def _columns(self, words):
        widths = self.COLUMNS
        if len(words) == 3:
            widths = widths[0], widths[1] + 1 + widths[2], widths[3]
        return " ".join(word.ljust(width) for word, width
                        in zip(words, widths)).rstrip()

    def busy(self, text):
        return Busy(self, text)


class Busy:
    """with screen.busy("…"): what takes longer shows that it goes on."""

    def __init__(self, screen, text):
        self.screen, self.text, self.over = screen, text, threading.Event()

    def __enter__(self):
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self._spin, daemon=True)
        self.thread.start()
        return self

    def say(self, text):
        """What it is busy with now."""
        self.text = text

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        if self.screen.terminal:
            print("\r\033[K", end="", flush=True)

    def _spin(self):
        turn, said = 0, None
        while not self.over.wait(0.1):
            elapsed = time.monotonic() - self.began
            if self.screen.terminal:
                sign = self.screen.turns[turn % len(self.screen.turns)]
                print(f"\r\033[K{sign} {self.text} ({elapsed:.0f} s)", end="",
                      flush=True)
                turn += 1
            elif elapsed > 1 and said != self.text:
                said = self.text
                print(f"  ... {self.text}", flush=True)


class Demo:
    def __init__(self):
        self.screen = Screen()
        self.bad = []			# domains whose row came out wrong

    def __call__(self):
        screen = self.screen
        screen.line("culver delivers only where the policy lets it: "
                    "thirteen domains that differ in one thing each.")
        screen.line("Real unbound, knot, nginx and Postfix, in a private "
                    "network that ends with this demo.")
        screen.line()
        began = time.monotonic()
        self.build_world()
        self.an_hour_ago()
        self.table()
        self.explain()
        self.mend()
        self.reports()
        with screen.busy("stopping"):
            status = self.relay.stop()
        took = time.monotonic() - began
        if status != 0:
            self.bad.append(f"culverd (it ended with {status})")
        return self.verdict(took)

    def build_world(self):
        text = scenario.Scenario("the demo's world", WORLD)
        with self.screen.busy("making the world") as busy:
            self.world = World(BUILD, log=lambda what:
                               busy.say(f"starting {what}"))
            scenario.declare(text, self.world)
            self.world.start()
            busy.say("starting culver")
            self.relay = self.world.culver("demo",
                                           ["report-at 00:00 spread 2s"])
            self.relay.start()
        self.player = scenario.Player(text, self.world, self.relay, 20)

    def carry_out(self, text):
        """Sentences of the scenario language."""
        for one in scenario.Scenario("the demo", text).sentences:
            function, match = language.find(one.text)
            function(self.player, one, **match.groupdict())

    def send(self, domain):
        mail = client.compose("demo", "alice@home.example", [f"bob@{domain}"])
        with self.relay.client() as session:
            session.demand("EHLO client.world.example", 2)
            mail.id = session.send(mail.sender, mail.recipients, mail.data)
            session.command("QUIT")
        return mail

    def wait(self, found, patience=20):
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            result = found()
            if result:
                return result
            time.sleep(0.1)
        return None

    # What became of a message. The mail servers are asked first.

    def arrived(self, mail):
        """(host, over TLS?) where it was taken, or None."""
        for host, _, message in self.world.arrivals(mail.mark):
            if message.accepted:
                return host.name, message.tls
        needle = f"X-World: {mail.mark}\n".encode()
        for copy in self.world.postfix.mailbox():
            if needle in copy:
                return "Postfix", b"with ESMTPS id" in copy
        return None

    def attempt(self, mail):
        """The fields of culver's last log line on an attempt, or {}."""
        lines = [event for event in self.relay.events("attempt")
                 if event.fields.get("id") == mail.id]
        return lines[-1].fields if lines else {}

    def in_queue(self, mail):
        """The recipient's record once an attempt was made, or None."""
        for kept in self.relay.queue():
            if kept["id"] == mail.id:
                recipient = kept["recipients"][0]
                if recipient["attempts"] and recipient["state"] != "active":
                    return recipient
        return None

    def outcome(self, mail):
        """(what the table says, where, over TLS?, the clause)"""
        def settled():
            outcome = self.attempt(mail).get("outcome")
            return outcome == "delivered" and self.arrived(mail) \
                or outcome is not None and self.in_queue(mail)

        if not self.wait(settled):
            return "nothing", None, None, ""
        said, where = self.attempt(mail), self.arrived(mail)
        if where is None:
            last = self.in_queue(mail)["last"]
            return "kept", None, None, last["clause"]
        host, tls = where
        if not tls:
            text = "delivered, in clear"
        elif said.get("require", "") in ("pkix", "dane", "dane+pkix"):
            text = "delivered, verified"
        elif "testing" in said.get("verdict", "") + said.get("rule", ""):
            text = "delivered, noted"
        else:
            text = "delivered, over TLS"
        return text, host, tls, said.get("clause", "")

    # The acts.

    def an_hour_ago(self):
        with self.screen.busy("an hour ago: first mail to "
                              + " and ".join(CACHED)):
            mails = [self.send(domain) for domain in CACHED]
            arrived = [self.wait(lambda mail=mail: self.arrived(mail))
                       for mail in mails]
            self.carry_out(LATER)
            self.relay.pass_time(3600)
        good = all(where and where[1] for where in arrived)
        if not good:
            self.bad += [domain for domain, where in zip(CACHED, arrived)
                         if not where or not where[1]]
        self.screen.line("An hour ago "
                         + " and ".join(CACHED) + " got mail, verified: "
                         + ("their policies are known." if good else "NO!"))
        self.screen.line()

    def table(self):
        screen = self.screen
        for row in ROWS:
            row.mail = self.send(row.domain)
        screen.header("domain", "it publishes", "its mail server",
                      "culver did", "because of")
        for row in ROWS:
            with screen.busy(f"mail to {row.domain}"):
                text, host, tls, clause = self.outcome(row.mail)
            if text == "delivered, verified" \
                    and row.outcome == "delivered to second" \
                    and host == row.host:
                text = "delivered to second"
            good = text == row.outcome and (row.kept or
                                            (host, tls) == (row.host, row.tls))
            good = good and (not row.kept or clause == row.clause)
            if not good:
                self.bad.append(row.domain)
            screen.row(good, row.domain, row.publishes, row.server, text,
                       clause)
            if not good:
                screen.line(f"    expected: {row.outcome} {row.clause}".rstrip()
                            + f"; seen at {host}, TLS: {tls}")
        screen.line()

    def explain(self):
        row = next(row for row in ROWS if row.domain == "expired.example")
        screen = self.screen
        screen.line(screen.paint(f"$ culverctl explain {row.mail.id}", "bold"))
        told = self.relay.ctl("explain", row.mail.id)
        for line in told.stdout.splitlines():
            # What runs over goes on under the second column.
            for part in textwrap.wrap(line, 94, drop_whitespace=False,
                                      subsequent_indent=" " * 17):
                screen.line("  " + part.rstrip())
        if told.returncode != 0 or row.domain not in told.stdout:
            self.bad.append("culverctl explain")
            screen.line(f"  it ended with {told.returncode}: {told.stderr}")
        screen.line()

    def mend(self):
        screen = self.screen
        kept = [row for row in ROWS if row.kept]
        with screen.busy("the faults are mended"):
            for row in kept:
                self.carry_out(row.mend)
            self.relay.pass_time(300)
            self.relay.ctl("queue", "flush", "--all")
        screen.line("The faults are mended, five minutes later:")
        screen.line()
        screen.header("domain", "what was mended", "culver did")
        for row in kept:
            with screen.busy(f"mail to {row.domain}"):
                where = self.wait(lambda row=row: self.arrived(row.mail), 30)
            good = where == (row.host, True)
            if not good:
                self.bad.append(row.domain)
            text = self.outcome(row.mail)[0] if where else "still kept"
            screen.row(good, row.domain, row.mended, text)
        left = self.wait(lambda: self.relay.queue() == [], 10)
        if not left:
            self.bad.append("the queue (it is not empty)")
        screen.line()

    def reports(self):
        screen = self.screen
        came = {}
        with screen.busy("the day ends: its reports are made"):
            self.carry_out("the day ends")
            for domain, place, _ in RECEIVERS:
                came[domain] = self.wait(lambda: [
                    one for one in reports.arrived(self.world)
                    if one.is_about(domain) and one.where == place], 30)
        screen.line("The day ends. Two of the domains asked for its TLS "
                    "report (RFC 8460):")
        screen.line()
        screen.header("domain", "its report says", "it came")
        for domain, _, how in RECEIVERS:
            report = (came[domain] or [None])[0]
            good = report is not None and not report.faults \
                and len(came[domain]) == 1
            if not good:
                self.bad.append(f"{domain}'s report ("
                                f"{report.faults if report else 'none'})")
            screen.row(good, domain, self.in_short(report) if report else "-",
                       how)
        screen.line()
        if came["testing.example"]:
            mail = came["testing.example"][0].mail
            screen.line(screen.paint(f"Subject: {mail['Subject']}", "bold"))
            for line in next(mail.iter_parts()).get_content().splitlines():
                screen.line("  " + line)
        screen.line()

    @staticmethod
    def in_short(report):
        good = bad = 0
        results = set()
        for block in report.document["policies"]:
            good += block["summary"]["total-successful-session-count"]
            bad += block["summary"]["total-failure-session-count"]
            results |= {one["result-type"]
                        for one in block.get("failure-details", ())}
        return f"{good} good, {bad} failed: {', '.join(sorted(results))}"

    def verdict(self, took):
        complaints = self.relay.complaints()
        if complaints:
            self.bad.append("the log: " + complaints[0])
        if self.bad:
            self.screen.line(self.screen.paint(
                "Not as it should be: " + ", ".join(self.bad), "red"))
            self.screen.line("What culver's log says of them:")
            for line in self.relay.log_text().splitlines():
                if any(name in line for name in self.bad):
                    self.screen.line("  " + line)
            return 1
        self.screen.line(self.screen.paint(
            f"All {len(ROWS)} rows as they should be, the queue is empty, "
            f"nothing is left behind. {took:.0f} s.", "green"))
        return 0


def main():
    if not space.inside():
        reason = space.why_not()
        if reason:
            print(f"The demo cannot run here: {reason}.", file=sys.stderr)
            return space.SKIP
        unpacked = subprocess.run([os.path.join(TESTS, "peers.sh"), PEERS])
        if unpacked.returncode != 0:
            return unpacked.returncode
        for part in ("bin/culverd", "tests/preload/clock.so"):
            if not os.path.exists(f"{BUILD}/{part}"):
                print(f"There is no {BUILD}/{part}: make all build-preload "
                      "first.", file=sys.stderr)
                return 1
        return space.run(sys.argv, os.path.join(TOP, "build/world"))
    space.reap()
    space.furnish(os.path.join(PEERS, "root"), BUILD)
    return Demo()()


if __name__ == "__main__":
    try:
        status = main()
    except KeyboardInterrupt:
        status = 130
    except (OSError, RuntimeError, scenario.Failure) as error:
        print(f"\nThe demo broke: {error}", file=sys.stderr)
        status = 1
    sys.stdout.flush()
    os._exit(status)
