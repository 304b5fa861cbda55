#!/usr/bin/python3
"""Is this a report as RFC 8460 4.4 and culver's own rules have it?

    schema.py [FILE...]     documents, plain or gzip; none: standard input

Ends with 1 and says what is wrong.  Tests import faults().

tests/tlsrpt.schema.json says what a schema can say, and python3-jsonschema
checks it.  The rest is read here: strict UTF-8, no name twice, no character
that I-JSON (RFC 7493) forbids, counts that are integers and add up, days that
are days, entries that were merged.
"""
import datetime
import gzip
import ipaddress
import json
import pathlib
import sys

import jsonschema

SCHEMA = pathlib.Path(__file__).resolve().parent / "tlsrpt.schema.json"
KEY = ("result-type", "sending-mta-ip", "receiving-mx-hostname",
       "receiving-mx-helo", "receiving-ip", "failure-reason-code")


class Fault(Exception):
    pass


def object_once(pairs):
    names = [name for name, _ in pairs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise Fault("twice in an object: " + ", ".join(sorted(twice)))
    return dict(pairs)


def no_number(text):
    raise Fault("a number that is no integer: " + text)


def parse(octets):
    """The document as an independent reader takes it."""
    try:
        text = octets.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise Fault("not UTF-8: %s" % error) from None
    try:
        return json.loads(text, object_pairs_hook=object_once,
                          parse_float=no_number, parse_constant=no_number)
    except ValueError as error:
        raise Fault("not JSON: %s" % error) from None


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from texts(item)


def forbidden(value):
    """RFC 7493 2.1: surrogates and noncharacters."""
    for text in texts(value):
        for character in text:
            code = ord(character)
            if (0xd800 <= code <= 0xdfff or 0xfdd0 <= code <= 0xfdef or
                    code & 0xfffe == 0xfffe):
                yield "U+%04X in %r" % (code, text)


def schema_faults(document):
    with open(SCHEMA, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft7Validator.check_schema(schema)
    checker = jsonschema.Draft7Validator(
        schema, format_checker=jsonschema.FormatChecker(["ipv4", "ipv6"]))
    for error in checker.iter_errors(document):
        where = "/".join(str(step) for step in error.absolute_path)
        yield "%s: %s" % (where or "document", error.message)


def range_faults(document):
    form = "%Y-%m-%dT%H:%M:%SZ"
    try:
        start, end = (datetime.datetime.strptime(
            document["date-range"][name], form)
            for name in ("start-datetime", "end-datetime"))
    except ValueError as error:
        yield "date-range: %s" % error
        return
    # The end of one that was sent in the course of its day is earlier.
    if end.date() != start.date():
        yield "date-range: %s to %s is more than a day" % (start, end)
    if not document["report-id"].startswith(start.strftime("%Y%m%d.")):
        yield "report-id: not of %s" % start.date()


def address_faults(entry):
    for name in ("sending-mta-ip", "receiving-ip"):
        text = entry.get(name)
        if text is None:
            continue
        address = ipaddress.ip_address(text)
        # RFC 5952; what is mapped from IPv4 is told as IPv4.
        address = getattr(address, "ipv4_mapped", None) or address
        if str(address) != text:
            yield "%s: %s should be %s" % (name, text, address)


def policy_faults(policy):
    failed = policy["summary"]["total-failure-session-count"]
    entries = policy.get("failure-details", [])
    counts = [entry["failed-session-count"] for entry in entries]
    # A session with several defects is in several entries, and in each once.
    if sum(counts) < failed:
        yield "%d failed sessions, %d told of" % (failed, sum(counts))
    if max(counts, default=0) > failed:
        yield "%d failed sessions, %d of one kind" % (failed, max(counts))
    keys = [tuple(entry.get(name) for name in KEY) for entry in entries]
    for key in {key for key in keys if keys.count(key) > 1}:
        yield "not merged: %s" % (key,)
    for entry in entries:
        yield from address_faults(entry)
    for line in policy["policy"].get("policy-string", []):
        if "\n" in line or "\r" in line:
            yield "policy-string: more than one line in %r" % line


def faults(octets):
    """What is wrong with the document, a list of sentences."""
    try:
        document = parse(octets)
    except Fault as fault:
        return [str(fault)]
    found = list(forbidden(document)) + list(schema_faults(document))
    if not found:
        found += range_faults(document)
        for number, policy in enumerate(document["policies"]):
            found += ["policies/%d: %s" % (number, fault)
                      for fault in policy_faults(policy)]
    return found


def read(path):
    octets = sys.stdin.buffer.read() if path == "-" else \
        pathlib.Path(path).read_bytes()
    return gzip.decompress(octets) if octets[:2] == b"\x1f\x8b" else octets


def main():
    wrong = False
    for path in sys.argv[1:] or ["-"]:
        for fault in faults(read(path)):
            print("%s: %s" % (path, fault))
            wrong = True
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
