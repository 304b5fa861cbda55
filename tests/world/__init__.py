"""A private network with real servers, for scenarios and for the demo.

    space.py     namespaces: nothing in here touches the machine outside
    dns.py       signed root, zones in knot, unbound validating, DNS faults
    pki.py       a throw-away CA and certificates of every kind
    web.py       nginx (and a scripted server) for MTA-STS policies
    mx.py        scripted mail servers that record every session
    collector.py takes TLS reports over https
    postfix.py   a real Postfix as MX
    culver.py    the relay under test: start, kill, time, log, culverctl
    client.py    the SMTP client that hands mail to it
    dsn.py       a strict reader of delivery status notifications
    world.py     all of that started and stopped together
    scenario.py  the text language of tests/scenario/*.scn
    language.py  what a sentence is; the sentences themselves:
    setting.py   … that make and change the world
    acts.py      … that do something in it
    outcomes.py  … on what became of the mail
    witnesses.py … on what servers and the relay say
    storage.py   … on files, backups and the clock
    reports.py   … on TLS reports, and the reader of those that arrived
    tap.py       how results are written down

Python 3.11's standard library, python3-dkim and python3-jsonschema. Needs
root.
"""
