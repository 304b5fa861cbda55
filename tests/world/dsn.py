"""Is this delivery status notification one, to the letter of RFC 3464?

A strict reader: it parses with rules of its own where Python's email package
would forgive, and complains with the id of the rule. Behind it the sentences
on the DSN extension (RFC 3461): what is asked for, and what is told.
"""

import email
import email.policy
import email.utils
import re
import time

from . import client
from .language import (WHOSE, WITHIN, agrees, pairs as pairs_of, patience,
                       seconds, sentence)

DATES = ("arrival-date", "last-attempt-date", "will-retry-until")
MESSAGE_FIELDS = ("original-envelope-id", "reporting-mta", "arrival-date")
GROUP_FIELDS = ("original-recipient", "final-recipient", "action", "status",
                "remote-mta", "diagnostic-code", "last-attempt-date",
                "will-retry-until")


class Dsn:
    """What a notification says; `faults` lists what is wrong with it."""

    def __init__(self, data, envelope_sender, envelope_recipient):
        self.faults = []
        self.groups = []		# a dict for each recipient
        self.message = {}		# the per-message fields
        self.text = self.original = ""
        self.whole = False
        self.envelope = envelope_sender, envelope_recipient
        self._read(data)

    def group(self, recipient):
        for group in self.groups:
            if group.get("final-recipient", "").partition(";")[2].strip() \
                    == recipient:
                return group
        return None

    def _claim(self, true, rule, complaint):
        if not true:
            self.faults.append(f"{rule} {complaint}")

    def _read(self, data):
        sender, recipient = self.envelope
        self._claim(sender == "", "DSN-3464-2-4", f"MAIL FROM:<{sender}>")
        self._claim(b"\n" not in data.replace(b"\r\n", b""), "SMTP-2.3.8-2",
                    "a bare LF")
        mail = email.message_from_bytes(data, policy=email.policy.SMTP)
        for field in ("From", "To", "Date", "Message-ID", "Subject",
                      "MIME-Version"):
            self._claim(len(mail.get_all(field, [])) == 1, "DSN-3464-4-1",
                        f"{len(mail.get_all(field, []))} {field} fields")
        self._claim(recipient in str(mail["To"]), "DSN-3464-2-2",
                    f"To: {mail['To']} but RCPT TO:<{recipient}>")
        self._claim(str(mail["Auto-Submitted"]) == "auto-replied",
                    "DSN-3834-3.1.7-1", "no Auto-Submitted: auto-replied")
        self._claim(mail.get_content_type() == "multipart/report"
                    and mail.get_param("report-type") == "delivery-status",
                    "DSN-3464-2-1", f"it is {mail['Content-Type']}")
        parts = mail.get_payload() if mail.is_multipart() else []
        self._claim(len(parts) == 3, "DSN-3464-2-1", f"{len(parts)} parts")
        if len(parts) != 3:
            return
        self._claim(parts[1].get_content_type() == "message/delivery-status",
                    "DSN-6522-3-2", parts[1].get_content_type())
        self._claim(parts[2].get_content_type() in
                    ("text/rfc822-headers", "message/rfc822"), "DSN-6522-3-3",
                    parts[2].get_content_type())
        self._claim(parts[1]["Content-Transfer-Encoding"] in (None, "7bit"),
                    "DSN-3464-2.1-1", "delivery-status is not 7bit")
        self.text = parts[0].get_content()
        self.whole = parts[2].get_content_type() == "message/rfc822"
        self.original = self._raw_part(data, mail.get_boundary(), 2)
        self._status(self._raw_part(data, mail.get_boundary(), 1))
        self._claim(not self.whole or any(group.get("action") == "failed"
                                          for group in self.groups),
                    "DSN-3461-6.2-1", "the message is returned though nobody "
                    "failed")

    @staticmethod
    def _raw_part(data, boundary, number):
        """The content of that part as it stands, without its own header."""
        pieces = data.decode("latin-1").split(f"--{boundary}")
        if len(pieces) < number + 2:
            return ""
        return pieces[number + 1].partition("\r\n\r\n")[2]

    def _status(self, text):
        self._claim(text.isascii(), "DSN-3464-2.1-1", "octets above 127")
        blocks = text.rstrip("\r\n").split("\r\n\r\n")
        self._claim("" not in blocks, "DSN-3464-2.1-2",
                    "more than one empty line between groups")
        fields = [self._fields(block) for block in blocks]
        if not fields:
            return
        self.message, self.groups = fields[0], fields[1:]
        self._claim(self.groups != [], "DSN-3464-2.1-2", "no recipient group")
        self._claim(self.message.get("reporting-mta", "").startswith("dns; "),
                    "DSN-3464-2.2.2-1", "Reporting-MTA is "
                    + repr(self.message.get("reporting-mta")))
        self._claim("dsn-gateway" not in self.message, "DSN-3464-2.2.3-1",
                    "DSN-Gateway")
        self._known(self.message, MESSAGE_FIELDS)
        for group in self.groups:
            self._known(group, GROUP_FIELDS)
            self._group(group)

    def _known(self, fields, order):
        """Only those, in RFC 3464's order, and dates with a numeric zone."""
        names = list(fields)
        self._claim(names == [name for name in order if name in fields],
                    "DSN-3464-2.1-2", f"fields {names}")
        for name in DATES:
            self._claim(name not in fields or (
                re.search(r" [+-]\d{4}$", fields[name]) is not None
                and email.utils.parsedate_to_datetime(fields[name])
                is not None), "DSN-3464-2.2.5-1", f"{name} is no date")

    def _group(self, group):
        action, status = group.get("action", ""), group.get("status", "")
        self._claim(group.get("final-recipient", "").startswith("rfc822;"),
                    "DSN-3464-2.3.2-1", "Final-Recipient is "
                    + repr(group.get("final-recipient")))
        self._claim(action in ("failed", "delayed", "delivered", "relayed",
                               "expanded"), "DSN-3464-2.3.3-1", repr(action))
        self._claim(re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", status)
                    is not None, "DSN-3464-2.3.4-1", f"Status {status!r}")
        wanted = {"failed": "45", "delayed": "4"}.get(action, "2")
        self._claim(status[:1] in wanted, "DSN-3464-2.3.4-1",
                    f"Action {action} with Status {status}")
        self._claim((action == "delayed") == ("will-retry-until" in group),
                    "DSN-3464-2.3.9-1", f"Will-Retry-Until with {action}")
        diagnostic = group.get("diagnostic-code")
        self._claim(diagnostic is None or diagnostic.startswith("smtp; "),
                    "DSN-3464-2.3.6-1", f"Diagnostic-Code {diagnostic!r}")

    def _fields(self, block):
        fields = {}
        for line in re.sub(r"\r\n[ \t]+", " ", block).split("\r\n"):
            name, colon, value = line.partition(":")
            self._claim(colon == ":" and re.fullmatch(r"[\x21-\x39\x3b-\x7e]+",
                                                      name) is not None,
                        "DSN-3464-2.3.6-2", f"no field: {line!r}")
            self._claim(name.lower() not in fields, "DSN-3464-2.3.6-2",
                        f"{name} twice")
            fields[name.lower()] = value.strip()
        return fields


# Sentences.


@sentence(r"send(?: from (?P<sender>\S+))? to (?P<to>[^\"]+?)"
          r" asking \"(?P<mail>[^\"]*)\"(?: and \"(?P<rcpt>[^\"]*)\")?"
          r"(?: as (?P<name>\w+))?"
          r"(?: expecting (?P<code>\d{3})(?: (?P<enhanced>\d\.\d+\.\d+))?)?")
def send_asking(player, step, sender, to, mail, rcpt, name, code, enhanced):
    """With parameters of MAIL, and those of every RCPT."""
    sender = {"<>": "", None: "alice@home.example"}.get(sender, sender)
    recipients = [one.strip() for one in to.split(",")]
    one = client.compose(player.scenario.name, sender, recipients,
                         text="\n".join(step.block) if step.block else None)
    player.last = [one]
    if name:
        player.named[name] = [one]
    player.mails.append(one)
    refused = None
    with player.culver.client() as session:
        session.demand("EHLO client.world.example", 2)
        try:
            one.id = _transaction(session, one, mail, rcpt)
        except client.Refused as refusal:
            refused = one.refusal = refusal
    if code and (refused is None or refused.code != int(code)
                 or not refused.text.startswith(enhanced or "")):
        player.fail(f"the answer was {refused or 'yes'}")
    if not code and refused:
        player.fail(f"refused: {refused}")


def _transaction(session, one, mail, rcpt):
    more = lambda parameters: " " + parameters if parameters else ""
    session.demand(f"MAIL FROM:<{one.sender}>{more(mail)}", 2)
    for recipient in one.recipients:
        session.demand(f"RCPT TO:<{recipient}>{more(rcpt)}", 2)
    session.demand("DATA", 3)
    wire = b"\r\n".join(b"." + line if line.startswith(b".") else line
                        for line in one.data.split(b"\r\n"))
    session.sock.sendall(wire + b".\r\n")
    code, text = session.read()
    if code // 100 != 2:
        raise client.Refused("dot", code, text)
    return text.split("queued as ")[-1].split()[0]


def _sent(player, name):
    mails = player.named.get(name) if name else player.last
    if not mails:
        player.fail("no such mail was sent")
    return mails


def _told(player, mail, recipient, action):
    """All notifications that say so of it, and what they say."""
    found = []
    for _, _, message in player.world.bounces(mail.mark):
        dsn = Dsn(message.data, message.sender, message.recipients[0])
        group = dsn.group(recipient)
        if group and action in (None, group.get("action")):
            found.append((dsn, group))
    return found


@sentence(rf"expect {WHOSE}told (?P<action>failed|delayed|relayed)"
          r"(?P<once> once)?(?: (?P<status>\d\.\d+\.\d+))?"
          r"(?: for (?P<only>\S+@\S+))?"
          rf"(?: saying \"(?P<text>[^\"]*)\")?{WITHIN}")
def expect_told(player, step, name, action, once, status, only, text, within):
    for mail in _sent(player, name):
        for recipient in [only] if only else mail.recipients:
            found = player.until(
                lambda: _told(player, mail, recipient, action),
                f"nobody was told that {recipient} is {action}",
                patience(player, within))
            dsn, group = player.notification = found[0]
            if status not in (None, group["status"]):
                player.fail(f"it says {group}")
            if text and text not in dsn.text:
                player.fail(f"it does not say {text}: {dsn.text}")
            if once and len(found) != 1:
                player.fail(f"told {len(found)} times of {recipient}")


@sentence(rf"expect {WHOSE}told nothing(?: of (?P<action>\w+))?")
def expect_told_nothing(player, step, name, action):
    time.sleep(0.3)
    for mail in _sent(player, name):
        for recipient in mail.recipients:
            for _, group in _told(player, mail, recipient, action):
                player.fail(f"it was told that {recipient} is "
                            f"{group['action']}")


@sentence(r"expect the notification (?P<no>lacks|says) (?P<pairs>\S+.*)")
def expect_notification(player, step, no, pairs):
    """Fields of the message or the recipient; `lacks`: their names."""
    dsn, group = player.notification
    fields = {**dsn.message, **group}
    if no == "lacks":
        for name in pairs.split():
            if name in fields:
                player.fail(f"{name}: {fields[name]}")
        return
    for key, operator, wanted in pairs_of(pairs):
        if not agrees(fields.get(key, ""), operator, wanted):
            player.fail(f"{key} is {fields.get(key)!r}")


@sentence(r"expect the notification returns (?P<what>the header|the message)")
def expect_returned(player, step, what):
    dsn, _ = player.notification
    if dsn.whole != (what == "the message"):
        player.fail(f"it returns {'all' if dsn.whole else 'the header'}")


@sentence(r"expect the notification promises (?P<life>\w+)")
def expect_life(player, step, life):
    """Will-Retry-Until is the arrival and so long (DSN-3464-2.3.9-1)."""
    dsn, group = player.notification
    arrived, until = (email.utils.parsedate_to_datetime(text) for text in
                      (dsn.message["arrival-date"],
                       group["will-retry-until"]))
    if (until - arrived).total_seconds() != seconds(life):
        player.fail(f"from {arrived} to {until}")
