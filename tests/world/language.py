"""What is a sentence, and what are its words?

The registry of all sentences (`sentence`, `find`), and the small notations
that many of them share. A sentence is a function with a pattern above it: the
pattern is the language's definition (tests/scenario/README explains it to
people). The function gets the player, the sentence and the pattern's groups,
and raises Failure by `player.fail` when the outcome is not what the scenario
says.

setting.py has the sentences that make and change the world, acts.py what is
done in it, outcomes.py what became of the mail, witnesses.py what servers and
the relay itself say, reports.py those on TLS reports.
"""

import re

_sentences = []

NAME = r"[\w*.-]+\.\w+"
STEPS = (r"greeting|EHLO|HELO|STARTTLS|handshake|MAIL|RCPT|DATA|body|dot|RSET"
         r"|QUIT")
PROGRAM = (r"culverd|smtpd|queue|policy|fetch|delivery|worker|reports"
           r"|sign")
LENGTH = r"(?:\d+(?:ms|[smhd]))+"


def sentence(pattern, relay=True):
    """RELAY: a relay must run for it (it is started when none ever was)."""
    def enter(function):
        function.traits = {"wants_relay"} if relay else set()
        _sentences.append((re.compile(pattern), function))
        return function
    return enter


def find(text):
    """(function, match) of a sentence, or None."""
    for pattern, function in _sentences:
        match = pattern.fullmatch(text)
        if match:
            return function, match
    return None


def seconds(text):
    """1d2h30m, 500ms"""
    unit = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(int(number) * unit[name] for number, name in
               re.findall(r"(\d+)(ms|[smhd])", text))


def size(text):
    factor = {"": 1, "K": 1024, "M": 1024 * 1024}
    number, unit = re.fullmatch(r"(\d+)([KM]?)", text).groups()
    return int(number) * factor[unit]


def unescape(text):
    r"""The octets of a text with \r, \n, \x00 and the like in it."""
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def pairs(text):
    """k=v k2="v w" k3~part as (key, operator, value)."""
    return [(key, operator, quoted if quoted else plain)
            for key, operator, quoted, plain in
            re.findall(r'([\w.-]+)(=|~)(?:"([^"]*)"|(\S*))', text)]


def agrees(value, operator, wanted):
    return wanted in value if operator == "~" else value == wanted

HOST = rf"(?P<host>{NAME})"
WITHIN = rf"(?: within (?P<within>{LENGTH}))?"
WHOSE = r"(?:(?P<name>(?!(?:no|not|every|the) )\w+) )?"


def patience(player, within):
    """Seconds that an expectation may take."""
    return seconds(within) if within else player.patience
