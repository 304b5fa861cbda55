"""Is this delivery status notification one, to the letter of RFC 3464?

A strict reader: it parses with rules of its own where Python's email package
would forgive, and complains with the id of the rule.
"""

import email
import email.policy
import re


class Dsn:
    """What a notification says; `faults` lists what is wrong with it."""

    def __init__(self, data, envelope_sender, envelope_recipient):
        self.faults = []
        self.groups = []		# a dict for each recipient
        self.message = {}		# the per-message fields
        self.text = self.original = ""
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
        self.original = self._raw_part(data, mail.get_boundary(), 2)
        self._status(self._raw_part(data, mail.get_boundary(), 1))

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
        for group in self.groups:
            self._group(group)

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
        self._claim(action == "delayed" or "will-retry-until" not in group,
                    "DSN-3464-2.3.9-1", "Will-Retry-Until without delayed")
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
