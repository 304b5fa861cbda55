"""Which TLS reports arrived, and what do they say?

Sentences on reports (RFC 8460), and the reader of those that arrived, by mail
or over https: whatever a scenario is about, each of them must be a document
by our schema, in a mail of the form of RFC 8460 5.3 with a signature that an
independent verifier accepts.
"""

import email
import email.policy
import glob
import gzip
import json
import os
import re
import sys
import time
import types

import dkim

from .language import NAME, WITHIN, pairs, patience, sentence
from .witnesses import holds

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import schema	# noqa: E402

# A relay's clock may be days ahead: its signatures are not from the future.
dkim.time = types.SimpleNamespace(time=lambda: time.time() + 400 * 86400)

GZIP = "application/tlsrpt+gzip"
SUBJECT = re.compile(r"Report Domain: (\S+) Submitter: (\S+) "
                     r"Report-ID: <([^<>@\s]+@[^<>@\s]+)>")
FILE = re.compile(r"([^!]+)!([^!]+)!(\d+)!(\d+)(?:!([A-Za-z0-9]+))?\.json\.gz")


class Report:
    """One that arrived: where, when, and its document."""

    def __init__(self, where, octets, domain=None):
        self.where, self.octets = where, octets
        self.text = gzip.decompress(octets)
        self.document = json.loads(self.text)
        self.domain = domain
        self.faults = schema.faults(self.text)
        if ".not-made." in self.document.get("report-id", ""):
            self.faults.append("its id says that it was never made")

    def is_about(self, domain):
        return domain in (self.domain, *(
            block["policy"]["policy-domain"]
            for block in self.document["policies"]))


def of_collector(collector):
    """Reports that were POSTed there and taken."""
    found = []
    for post in list(collector.posts):
        report = Report(collector.name, post.body)
        if post.method != "POST":
            report.faults.append(f"method {post.method}")
        if post.headers.get("content-type") != GZIP:
            report.faults.append("type " + post.headers.get("content-type", ""))
        if "content-encoding" in post.headers:
            report.faults.append("it has a Content-Encoding")
        report.taken = post.answered is not None and \
            200 <= post.answered < 300
        found.append(report)
    return found


def of_mail(world, host, message):
    """The report in a mail, or None; whatever is wrong with it is noted."""
    if b"tlsrpt" not in message.data:
        return None
    mail = email.message_from_bytes(message.data,
                                    policy=email.policy.default)
    if mail.get_param("report-type") != "tlsrpt":
        return None
    faults = []
    parts = list(mail.iter_parts())
    kinds = [part.get_content_type() for part in parts]
    if mail.get_content_type() != "multipart/report" \
            or kinds != ["text/plain", GZIP]:
        return None		# not ours: it only looks like one
    report = Report(host.name, parts[1].get_payload(decode=True),
                    mail["TLS-Report-Domain"])
    report.taken, report.mail, report.message = message.accepted, mail, message
    faults += _mail_faults(report, mail, parts)
    faults += _signature_faults(world, report, message.data)
    report.faults += faults
    return report


def _mail_faults(report, mail, parts):
    document, faults = report.document, []
    submitter = document["contact-info"].rpartition("@")[2]
    subject = SUBJECT.fullmatch(" ".join(mail["Subject"].split()))
    file = FILE.fullmatch(parts[1].get_filename() or "")
    if not subject or not file:
        return [f"Subject {mail['Subject']}, file {parts[1].get_filename()}"]
    if mail["TLS-Report-Submitter"] != submitter:
        faults.append("TLS-Report-Submitter is not contact-info's domain")
    if subject.groups() != (report.domain, submitter, document["report-id"]):
        faults.append(f"Subject {mail['Subject']} and document disagree")
    if file.groups()[:2] != (submitter, report.domain):
        faults.append(f"file name {file[0]} and document disagree")
    begin, end = int(file[3]), int(file[4])
    if begin % 86400 or begin // 86400 != end // 86400:
        faults.append(f"file name {file[0]}: not a day, or a part of one")
    for name, moment in (("start-datetime", begin), ("end-datetime", end)):
        if document["date-range"][name] != time.strftime(
                "%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)):
            faults.append(f"file name {file[0]} and {name} disagree")
    for name, value in (("TLS-Required", "No"),
                        ("Auto-Submitted", "auto-generated")):
        if mail[name] != value:
            faults.append(f"{name}: {mail[name]}")
    if not mail["Message-ID"] or not mail["Date"] or not mail["From"]:
        faults.append("no Message-ID, Date or From")
    if any(octet > 126 for octet in report.message.data):
        faults.append("it is not 7 bit")
    if any(len(line) > 998 for line in report.message.data.split(b"\r\n")):
        faults.append("a line is too long")
    if not parts[0].get_content().strip():
        faults.append("it says nothing to people")
    return faults


def _signature_faults(world, report, octets):
    field = report.mail["DKIM-Signature"]
    if field is None:
        return ["it is not signed"]
    tags = dict(part.strip().split("=", 1) for part in
                "".join(field.split()).rstrip(";").split(";"))
    names = tags["h"].lower().split(":")
    faults = []
    if "l" in tags or tags["a"] not in ("rsa-sha256", "ed25519-sha256"):
        faults.append(f"signature {field}")
    if tags["d"] != report.document["contact-info"].rpartition("@")[2]:
        faults.append(f"signed by {tags['d']}")
    missing = {"from", "to", "subject", "date", "message-id", "mime-version",
               "content-type", "tls-report-domain", "tls-report-submitter",
               } - set(names)
    if missing or names.count("from") != 2:
        faults.append(f"not signed: {missing}, From {names.count('from')} "
                      "times")

    def look_up(name, timeout=5):
        texts = world.dns.texts(name.decode().rstrip("."))
        return texts[0].encode() if texts else None

    try:
        good = dkim.verify(octets, dnsfunc=look_up)
    except Exception as error:
        return faults + [f"signature: {error}"]
    return faults if good else faults + ["the signature does not fit"]


def arrived(world):
    """All reports of this world, in the order of places."""
    found = [report for one in list(world.collectors.values())
             for report in of_collector(one)]
    for host in list(world.mx.hosts.values()):
        for message in host.messages():
            report = of_mail(world, host, message)
            if report is not None:
                found.append(report)
    return found


# --- sentences: the world ------------------------------------------------------

BEHAVIOUR = [(re.compile(pattern), name) for pattern, name in (
    (r"certificate ([\w-]+)", "certificate"),
    (r"(?:first (\d+) times )?answers (\d{3})", "answers"),
    (r"redirects to (\S+)", "redirects"),
    (r"(endless|silent|closes)", "fault"))]


@sentence(rf"collector (?P<name>{NAME})(?: at (?P<address>[\d.]+))?",
          relay=False)
def collector(player, step, name, address):
    _behave(player.world.add_collector(name, address), step.block)


@sentence(rf"collector (?P<name>{NAME}) now", relay=False)
def collector_now(player, step, name):
    one = player.world.collectors[name]
    one.reset()
    _behave(one, step.block)


def _behave(one, block):
    for line in filter(str.strip, block):
        for pattern, name in BEHAVIOUR:
            match = pattern.fullmatch(line.strip())
            if match:
                break
        else:
            raise ValueError(f"no collector does this: {line}")
        if name == "certificate":
            one.certificate = match[1]
            one.pki.chain(match[1], one.name)
        elif name == "answers":
            one.answers.append((int(match[1]) if match[1] else None,
                                int(match[2]), ""))
        elif name == "redirects":
            one.answers.append((None, 302, f"Location: {match[1]}\r\n"))
        else:
            one.fault = match[1]


@sentence(r"the day ends")
def day_ends(player, step):
    """It is two seconds past midnight UTC, for the relay."""
    player.culver.pass_time(86402 - player.culver.now() % 86400)


@sentence(r"what was counted is damaged")
def damage_book(player, step):
    """So that it cannot be opened; the relay is down."""
    for path in glob.glob(player.culver.folder + "/spool/reports/log.*"):
        with open(path, "w", encoding="ascii") as file:
            file.write("garbage " * 1024)


# --- sentences: what came of it --------------------------------------------------

PLACE = (rf"(?: (?:by mail to (?P<mail>\S+@{NAME})|at (?P<place>{NAME})))?")


def found(player, domain, mail, place, taken=True):
    def fits(report):
        if place is not None and report.where != place:
            return False
        if mail is not None and mail not in getattr(
                getattr(report, "message", None), "recipients", ()):
            return False
        return report.is_about(domain) and (report.taken or not taken)

    return [one for one in arrived(player.world) if fits(one)]


@sentence(rf"expect (?P<count>no|\d+|a) (?P<taken>tries of )?reports?"
          rf"(?P<again>, perhaps twice,)? (?:of|about) (?P<domain>{NAME}){PLACE}{WITHIN}")
def expect_report(player, step, count, taken, again, domain, mail, place,
                  within):
    """Perhaps twice: where an answer was lost, the same one comes again."""
    wanted = {"no": 0, "a": 1}.get(count) if not count.isdigit() \
        else int(count)

    def seen():
        reports = found(player, domain, mail, place, taken is None)
        if again:
            reports = list({one.document["report-id"]: one
                            for one in reports}.values())
        return reports

    if wanted:
        player.until(lambda: len(seen()) >= wanted,
                     lambda: f"{len(seen())} came; report list: "
                     + player.culver.ctl("--json", "report", "list").stdout,
                     patience(player, within))
    if len(seen()) != wanted:
        player.fail(f"{len(seen())} came")
    if seen():
        player.stash["report"] = seen()[-1]


@sentence(r"expect the report says (?P<fields>\S+[=~].*)", relay=False)
def expect_says(player, step, fields):
    """Each pair stands in the document; those of one block in the same."""
    document = player.stash["report"].document
    whole = [one for one in pairs(fields)
             if one[0].split(".")[0] in document]
    block = [one for one in pairs(fields) if one not in whole]
    if not holds(document, whole) or (block and not any(
            holds(one, block) for one in document["policies"])):
        player.fail(json.dumps(document))


@sentence(r"expect the reports? (?:have|has) (?P<count>\d+) "
          r"(?P<what>policies|failures)", relay=False)
def expect_many(player, step, count, what):
    document = player.stash["report"].document
    have = len(document["policies"]) if what == "policies" else sum(
        len(one.get("failure-details", ())) for one in document["policies"])
    if have != int(count):
        player.fail(json.dumps(document))


@sentence(r"expect the report (?P<no>lacks|names) \"(?P<text>[^\"]+)\"",
          relay=False)
def expect_lacks(player, step, no, text):
    report = player.stash["report"]
    message = getattr(report, "message", None)
    everything = report.text + (message.data if message else b"")
    if (text.encode() in everything) != (no == "names"):
        player.fail(report.text.decode())


def shown(player, domain):
    told = player.culver.ctl("--json", "report", "show", domain)
    if told.returncode != 0:
        return None
    document = json.loads(told.stdout)
    faults = schema.faults(told.stdout.encode())
    if faults:
        player.fail(f"report show {domain}: {faults}")
    return document


@sentence(rf"expect (?P<no>nothing )?counted for (?P<domain>{NAME})"
          rf"(?P<fields>(?: \S+[=~].*?)?){WITHIN}")
def expect_counted(player, step, no, domain, fields, within):
    """One block of what was counted so far says all of this."""
    if no:
        if shown(player, domain) is not None:
            player.fail(json.dumps(shown(player, domain)))
        return
    player.until(lambda: any(
        holds(block, [(SHORT.get(key, key), *rest)
                      for key, *rest in pairs(fields)])
        for block in (shown(player, domain) or {}).get("policies", ())),
        lambda: f"counted: {json.dumps(shown(player, domain))}",
        patience(player, within))


SHORT = {"type": "policy.policy-type", "domain": "policy.policy-domain",
         "good": "summary.total-successful-session-count",
         "failed": "summary.total-failure-session-count",
         "result": "failure-details.result-type",
         "sessions": "failure-details.failed-session-count",
         "reason": "failure-details.failure-reason-code",
         "host": "failure-details.receiving-mx-hostname",
         "address": "failure-details.receiving-ip",
         "text": "policy.policy-string", "mx": "policy.mx-host"}


@sentence(rf"expect report list (?P<domain>{NAME}) says "
          rf"(?P<fields>\S+[=~].*?){WITHIN}")
def expect_listed(player, step, domain, fields, within):
    def rows():
        told = player.culver.ctl("--json", "report", "list")
        return [one for one in map(json.loads, told.stdout.splitlines())
                if one["domain"] == domain]

    player.until(lambda: any(holds(one, pairs(fields)) for one in rows()),
                 lambda: f"it says {rows()}", patience(player, within))


@sentence(rf"expect (?P<host>{NAME}) was asked (?P<count>no|\d+) times?",
          relay=False)
def expect_posts(player, step, host, count):
    have = len(player.world.collectors[host].posts)
    if have != (0 if count == "no" else int(count)):
        player.fail(f"{have} times")


# --- totals ----------------------------------------------------------------------

def logged(relay):
    """{(domain, type): [succeeded, failed]} by the relay's log."""
    sums = {}
    for one in relay.events("session"):
        fields = one.fields
        key = fields["domain"], fields["type"]
        sums.setdefault(key, [0, 0])[fields["result"] != "success"] += 1
    for one in relay.events("policy"):
        if one.fields.get("source") == "fetch" \
                and one.fields.get("result") != "success":
            sums.setdefault((one.fields["domain"], "sts"), [0, 0])[1] += 1
    return sums


def counted(relay):
    """The same by what `report show` tells of each domain and day."""
    sums = {}
    listing = relay.ctl("--json", "report", "list")
    for row in map(json.loads, listing.stdout.splitlines()):
        told = relay.ctl("--json", "report", "show", row["domain"], "--day",
                         row["day"])
        for block in json.loads(told.stdout)["policies"]:
            policy, summary = block["policy"], block["summary"]
            # Under a TLSA base domain the same sessions are counted again.
            if policy["policy-type"] == "tlsa" \
                    and row["domain"] == policy["policy-domain"]:
                continue
            have = sums.setdefault((policy["policy-domain"],
                                    policy["policy-type"]), [0, 0])
            have[0] += summary["total-successful-session-count"]
            have[1] += summary["total-failure-session-count"]
    return sums


def disagreements(relay):
    log, counts = logged(relay), counted(relay)
    return [f"{key}: the log has {log.get(key, [0, 0])}, reports "
            f"{counts.get(key, [0, 0])}" for key in sorted({*log, *counts})
            if log.get(key, [0, 0]) != counts.get(key, [0, 0])]


@sentence(rf"expect totals equal the log{WITHIN}")
def expect_totals(player, step, within):
    if not logged(player.culver):
        player.fail("the log counts nothing at all")
    player.until(lambda: not disagreements(player.culver),
                 lambda: "; ".join(disagreements(player.culver)),
                 patience(player, within))
