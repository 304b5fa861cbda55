#!/usr/bin/python3
"""Reports as others read them: the forms that report_mime writes of all its
samples, read by Python's json, jsonschema, gzip and email.  TAP.

    BUILD=build/san tests/unit/report_forms.py
"""
import copy
import email
import email.policy
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import schema                                                  # noqa: E402

BUILD = os.environ.get("BUILD", "build/san")
PROGRAM = os.path.join(BUILD, "unit/report_mime")

# RFC 8460 5.3, over RFC 5322's words; unfolded.
DOMAIN = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?" \
         r"(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
DOT_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
SUBJECT = re.compile(
    r"Report[ \t]+Domain:[ \t]+(?P<domain>" + DOMAIN + r")[ \t]+"
    r"Submitter:[ \t]+(?P<submitter>" + DOMAIN + r")[ \t]+"
    r"Report-ID:[ \t]+<(?P<id>" + DOT_ATOM + "@" + DOT_ATOM + r")>")
FILE_NAME = re.compile(
    r"(?P<sender>[a-z0-9.-]+)!(?P<domain>[a-z0-9.-]+)!(?P<begin>\d+)!"
    r"(?P<end>\d+)!(?P<unique>[A-Za-z0-9]+)\.json\.gz")


class Form:
    """One sample: its document and what comes with it, parsed."""

    def __init__(self, folder, name):
        self.name = name
        self.json = (folder / (name + ".json")).read_bytes()
        self.gzip = (folder / (name + ".gz")).read_bytes()
        self.octets = (folder / (name + ".eml")).read_bytes()
        self.words = (folder / (name + ".txt")).read_bytes()
        self.document = json.loads(self.json)
        self.mail = email.message_from_bytes(
            self.octets, policy=email.policy.default)
        self.raw = email.message_from_bytes(
            self.octets, policy=email.policy.compat32)

    def unfolded(self, field):
        """RFC 5322 2.2.3: line ends go, blanks stay."""
        values = self.raw.get_all(field)
        assert len(values) == 1, (field, values)
        return re.sub(r"\r?\n(?=[ \t])", "", values[0]).strip()

    def parts(self):
        return list(self.mail.iter_parts())


def contact_domain(form):
    return form.document["contact-info"].rpartition("@")[2]


def documents_fit_the_schema(form):
    found = schema.faults(form.json)
    assert not found, found


def members_stand_in_order(form):
    assert list(form.document) == ["organization-name", "date-range",
                                   "contact-info", "report-id", "policies"]
    for policy in form.document["policies"]:
        known = ["policy", "summary", "failure-details"]
        assert list(policy) == known[:len(policy)], list(policy)


def no_defects(form):
    assert not form.mail.defects, form.mail.defects
    for part in form.mail.walk():
        assert not part.defects, (part.get_content_type(), part.defects)


def the_structure(form):
    assert form.mail.get_content_type() == "multipart/report"
    assert form.mail.get_param("report-type") == "tlsrpt"
    assert [part.get_content_type() for part in form.parts()] == [
        "text/plain", "application/tlsrpt+gzip"]
    assert form.mail.preamble in (None, "")
    assert form.mail.epilogue in (None, "")


def fields_are_there_once(form):
    fields = [name.lower() for name in form.raw.keys()]
    assert len(fields) == len(set(fields)), fields
    for name in ("from", "to", "date", "message-id", "subject",
                 "mime-version", "content-type",
                 "content-transfer-encoding", "tls-report-domain",
                 "tls-report-submitter", "tls-required", "auto-submitted"):
        assert name in fields, name
    assert form.unfolded("TLS-Required") == "No"
    assert form.unfolded("Auto-Submitted") == "auto-generated"
    assert form.mail["Date"].datetime.timestamp() == 1795579200
    assert form.unfolded("From").rpartition("@")[2] == contact_domain(form)
    assert re.fullmatch("<" + DOT_ATOM + "@" + DOT_ATOM + ">",
                        form.unfolded("Message-ID"))


def the_subject(form):
    match = SUBJECT.fullmatch(form.unfolded("Subject"))
    assert match, form.unfolded("Subject")
    assert match["id"] == form.document["report-id"]
    # Folded where blanks stand, and no line is blank.
    lines = re.search(rb"^Subject:.*(\r\n[ \t].*)*", form.octets,
                      re.M)[0].split(b"\r\n")
    assert all(line.strip() for line in lines)


def all_places_agree(form):
    """The document is the authority."""
    subject = SUBJECT.fullmatch(form.unfolded("Subject"))
    name = FILE_NAME.fullmatch(form.parts()[1].get_filename())
    assert name, form.parts()[1].get_filename()
    domain = form.unfolded("TLS-Report-Domain")
    assert subject["domain"] == domain == name["domain"]
    submitter = form.unfolded("TLS-Report-Submitter")
    assert submitter == contact_domain(form) == subject["submitter"]
    assert submitter == name["sender"]
    first = form.document["policies"][0]["policy"]["policy-domain"]
    assert domain == first
    for place, member in (("begin", "start-datetime"),
                          ("end", "end-datetime")):
        stamp = schema.datetime.datetime.strptime(
            form.document["date-range"][member] + "+0000",
            "%Y-%m-%dT%H:%M:%SZ%z")
        assert int(name[place]) == stamp.timestamp()
    assert gzip.decompress(form.parts()[1].get_content()) == form.json
    for text in (subject["domain"], name[0], domain, submitter):
        assert re.fullmatch(r"[ -~]+", text), text


def the_attachment(form):
    part = form.parts()[1]
    assert part.get_content_disposition() == "attachment"
    assert part["Content-Transfer-Encoding"] == "base64"
    octets = part.get_content()
    assert octets == form.gzip and octets[:2] == b"\x1f\x8b"
    assert gzip.decompress(octets) == form.json


def the_words(form):
    part = form.parts()[0]
    text = part.get_payload(decode=True).replace(b"\r\n", b"\n")
    assert text.rstrip(b"\n") == form.words.rstrip(b"\n")
    text.decode("utf-8", "strict")
    for policy in form.document["policies"]:
        good, bad = policy["summary"].values()
        # A policy that failed is no session to a person.
        fetches = min(bad, sum(
            entry["failed-session-count"]
            for entry in policy.get("failure-details", [])
            if entry["result-type"].startswith("sts-")))
        if good < 2**53 - 1 and (good + bad > fetches or not fetches):
            assert re.search(rb"^ *%d  sessions? succeeded$" % good, text,
                             re.M), good
            assert re.search(rb"^ *%d  sessions? failed$" % (bad - fetches),
                             text, re.M), bad
        assert (b"could not be fetched" in text) == bool(fetches)
        for entry in policy.get("failure-details", []):
            assert entry["result-type"].encode() in text
    assert b"  1  session " not in text.replace(b"  1  session succ", b"") \
        .replace(b"  1  session fail", b"")
    if form.name not in ("long-names", "organization"):
        assert max(map(len, text.decode().split("\n"))) <= 78
    assert (b"so far, until 13:05:07 UTC" in text) == (form.name == "part")


def lines_are_ascii(form):
    lines = form.octets.split(b"\r\n")
    assert lines[-1] == b""
    for line in lines:
        assert re.fullmatch(rb"[ -~]*", line), line
        assert len(line) <= 998
        if form.name != "long-names":
            assert len(line) <= 98 or b"filename" in line, line


FORMS = (
    ("RPT-4-1, RPT-4-2, RPT-4-3, RPT-4-4, RPT-4.4-1, RPT-4.4-3, RPT-4.4-6, "
     "RPT-4.4-7, RPT-4.4-8, RPT-4.4-9, RPT-4.4-10, RPT-4.4-11, RPT-4.4-16, "
     "RPT-4.4-21, RPT-4.5-1 T50 the document fits the schema",
     documents_fit_the_schema),
    ("RPT-4.4-1 members stand in the RFC's order", members_stand_in_order),
    ("the mail has no defects", no_defects),
    ("RPT-5.3-1, RPT-5.3-2 the parts", the_structure),
    ("RPT-5.3-3, RPT-5.3-4 fields are there, once", fields_are_there_once),
    ("RPT-5.3-6, RPT-5.3-7 the subject fits its grammar", the_subject),
    ("RPT-5.6-1, RPT-5.1-1, RPT-5.1-2, RPT-5.1-3, RPT-5.1-4, RPT-5.1-5, "
     "RPT-5.1-6 all four places agree", all_places_agree),
    ("RPT-5.2-1, RPT-5.3-8 the attachment", the_attachment),
    ("the words", the_words),
    ("DKIM-6376-5.3-1 lines are ASCII", lines_are_ascii),
)


# ---- the checker is checked: each of these is wrong ----

def policy(document, number=0):
    return document["policies"][number]


def entry(document, number=0):
    return policy(document)["failure-details"][number]


def merged(document):
    details = policy(document)["failure-details"]
    details.append(copy.deepcopy(details[0]))


CHANGES = (
    ("a member more", lambda d: d.update(x=1)),
    ("a member less", lambda d: d.pop("report-id")),
    ("no policies", lambda d: d.update(policies=[])),
    ("policies no array", lambda d: d.update(policies=policy(d))),
    ("no organisation", lambda d: d.update({"organization-name": ""})),
    ("a contact without domain", lambda d: d.update({"contact-info": "a"})),
    ("the id of another day", lambda d: d.update(
        {"report-id": "20261123.0123456789abcdef@sender.example"})),
    ("an id without number", lambda d: d.update(
        {"report-id": "20261124.x@sender.example"})),
    ("a day of 24 h and 1 s", lambda d: d["date-range"].update(
        {"end-datetime": "2026-11-25T00:00:00Z"})),
    ("another day's end", lambda d: d["date-range"].update(
        {"end-datetime": "2026-11-25T23:59:59Z"})),
    ("no such day", lambda d: d["date-range"].update(
        {"start-datetime": "2026-11-31T00:00:00Z"})),
    ("a time with an offset", lambda d: d["date-range"].update(
        {"start-datetime": "2026-11-24T00:00:00+00:00"})),
    ("an unknown policy type", lambda d: policy(d)["policy"].update(
        {"policy-type": "mta-sts"})),
    ("mx-host as text", lambda d: policy(d)["policy"].update(
        {"mx-host": "mx.example.org"})),
    ("an empty mx-host", lambda d: policy(d)["policy"].update(
        {"mx-host": []})),
    ("mx-host with tlsa", lambda d: policy(d, 1)["policy"].update(
        {"mx-host": ["mx.example.org"]})),
    ("policy-string as text", lambda d: policy(d)["policy"].update(
        {"policy-string": "version: STSv1"})),
    ("two lines in one", lambda d: policy(d)["policy"].update(
        {"policy-string": ["version: STSv1\nmode: none"]})),
    ("policy-string without a policy", lambda d: policy(d)["policy"].update(
        {"policy-type": "no-policy-found"})),
    ("a TLSA record with blanks", lambda d: policy(d, 1)["policy"].update(
        {"policy-string": ["3 1 1 8CB0 FC6C"]})),
    ("a domain in U-labels", lambda d: policy(d)["policy"].update(
        {"policy-domain": "m\u00fcller.example"})),
    ("a domain with a final dot", lambda d: policy(d)["policy"].update(
        {"policy-domain": "example.org."})),
    ("a count as text", lambda d: policy(d)["summary"].update(
        {"total-successful-session-count": "12"})),
    ("a count with a fraction", lambda d: policy(d)["summary"].update(
        {"total-successful-session-count": 12.5})),
    ("a count below nothing", lambda d: policy(d)["summary"].update(
        {"total-successful-session-count": -1})),
    ("a count that is true", lambda d: policy(d)["summary"].update(
        {"total-successful-session-count": True})),
    ("failures not told of", lambda d: policy(d)["summary"].update(
        {"total-failure-session-count": 5})),
    ("failures from nowhere", lambda d: policy(d)["summary"].update(
        {"total-failure-session-count": 1})),
    ("an unregistered result", lambda d: entry(d).update(
        {"result-type": "sts-mx-mismatch"})),
    ("an empty member", lambda d: entry(d).update({"receiving-ip": ""})),
    ("an address in brackets", lambda d: entry(d).update(
        {"receiving-ip": "[192.0.2.1]"})),
    ("a long IPv6 address", lambda d: entry(d).update(
        {"receiving-ip": "2001:db8:0::1"})),
    ("a mapped address", lambda d: entry(d).update(
        {"receiving-ip": "::ffff:192.0.2.1"})),
    ("an entry of no session", lambda d: entry(d).update(
        {"failed-session-count": 0})),
    ("an entry twice", merged),
    ("a reason too long", lambda d: entry(d).update(
        {"failure-reason-code": "x" * 257})),
    ("a noncharacter", lambda d: entry(d).update(
        {"failure-reason-code": "\ufffe"})),
)
OCTETS = (
    ("no JSON", lambda o: o[:-1]),
    ("two documents", lambda o: o + o),
    ("a name twice", lambda o: o.replace(
        b'"report-id":', b'"report-id":"a@b","report-id":', 1)),
    ("no UTF-8", lambda o: o.replace(b"Example Relay", b"\xff", 1)),
    ("a surrogate", lambda o: o.replace(b"Example Relay", b"\\ud800", 1)),
    ("a float", lambda o: o.replace(b"-count\":12", b"-count\":12.0", 1)),
    ("not a number", lambda o: o.replace(b"-count\":12", b"-count\":NaN", 1)),
)


def checker_finds(form):
    for what, change in CHANGES:
        document = copy.deepcopy(form.document)
        change(document)
        assert document != form.document, what
        assert schema.faults(json.dumps(document).encode()), what
    for what, change in OCTETS:
        octets = change(form.json)
        assert octets != form.json, what
        assert schema.faults(octets), what


def main():
    number = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([PROGRAM, folder], check=True)
        names = sorted(path.stem for path in
                       pathlib.Path(folder).glob("*.json"))
        forms = [Form(pathlib.Path(folder), name) for name in names]
    both = [form for form in forms if form.name == "both"]
    tests = [(name, test, forms) for name, test in FORMS]
    tests.append(("the checker finds what is wrong", checker_finds, both))
    for name, test, wanted in tests:
        number += 1
        wrong = []
        for form in wanted:
            try:
                test(form)
            except Exception as error:      # noqa: BLE001
                wrong.append("%s: %s: %s" % (
                    form.name, type(error).__name__, error))
        print("%sok %d - %s" % ("not " if wrong or not wanted else "",
                                number, name))
        for line in wrong:
            print("# " + line.replace("\n", "\n# "))
        failed += bool(wrong or not wanted)
    print("1..%d" % number)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
