"""What became of the mail?

Sentences on the messages that the scenario sent: delivered, kept, bounced,
gone. The mail servers are asked first, the queue second.
"""

import json
import re
import time

from .dsn import Dsn
from .language import NAME, WHOSE, WITHIN, patience, sentence


def chosen(player, name):
    mails = player.named.get(name) if name else player.last
    if not mails:
        player.fail(f"no mail called {name} was sent" if name
                    else "no mail was sent")
    return mails


def accepted(player, mail):
    return [found for found in player.world.arrivals(mail.mark)
            if found[2].accepted]


def reached(player, mail, host, tls):
    """Recipients of this mail that were taken there, in that way."""
    return [recipient for where, _, message in accepted(player, mail)
            for recipient in message.recipients
            if host in (None, where.name) and tls in (None, message.tls)]


@sentence(rf"expect {WHOSE}delivered(?P<once> once)?(?: to (?P<host>{NAME}))?"
          rf"(?: for (?P<only>\S+@\S+))?"
          rf"(?: (?P<how>over TLS|in clear))?{WITHIN}")
def expect_delivered(player, step, name, once, host, only, how, within):
    tls = {None: None, "over TLS": True, "in clear": False}[how]
    for mail in chosen(player, name):
        for recipient in [only] if only else mail.recipients:
            player.until(lambda: recipient in reached(player, mail, host, tls),
                         lambda: f"{mail.mark} ({mail.id}) for {recipient} "
                         + _whereabouts(player, mail),
                         patience(player, within))
            if once and reached(player, mail, None, None).count(recipient) > 1:
                player.fail(f"{mail.mark} reached {recipient} twice")


def _whereabouts(player, mail):
    """For a person: where is this mail, then?"""
    if mail.id is None:
        return "was never taken"
    seen = [f"{host.name} ({'TLS' if message.tls else 'clear'}, "
            f"{'taken' if message.accepted else 'not taken'})"
            for host, _, message in player.world.arrivals(mail.mark)]
    try:
        kept = [json.dumps(one) for one in player.culver.queue()
                if one["id"] == mail.id]
    except Exception as error:
        kept = [f"queue unknown: {error}"]
    return f"was not delivered; seen at: {', '.join(seen) or 'no server'}; " \
           f"queue: {' '.join(kept) or 'not in it'}"


@sentence(rf"expect {WHOSE}delivered to (?P<server>Postfix|Exim|OpenSMTPD)"
          rf"(?: (?P<how>over TLS|in the clear))?{WITHIN}")
def expect_stranger(player, step, name, server, how, within):
    for mail in chosen(player, name):
        needle = f"X-World: {mail.mark}\n".encode()
        copies = player.until(
            lambda: [one for one in player.world.strangers[server].mailbox()
                     if needle in one],
            lambda: f"{server} has no {mail.mark}: "
            + _whereabouts(player, mail), patience(player, within))
        original = mail.data.replace(b"\r\n", b"\n")
        if not copies[0].endswith(original):
            player.fail(f"what {server} has is not what was sent")
        over_tls = b"with esmtps" in copies[0].partition(b"\n\n")[0].lower()
        if how and over_tls != (how == "over TLS"):
            player.fail("it came " + ("over TLS" if over_tls
                                      else "in the clear"))


@sentence(rf"expect {WHOSE}kept(?: (?P<status>\d\.\d+\.\d+))?"
          r"(?: clause \"(?P<clause>[^\"]*)\")?"
          r"(?: text \"(?P<text>[^\"]*)\")?"
          r"(?: for (?P<only>\S+@\S+))?"
          rf"(?: after (?P<attempts>\d+) attempts?)?{WITHIN}")
def expect_kept(player, step, name, status, clause, text, only, attempts,
                within):
    for mail in chosen(player, name):
        def as_told():
            kept = [one for one in player.culver.queue()
                    if one["id"] == mail.id]
            return kept and all(
                _kept_so(one, status, clause, text, int(attempts or 1))
                for one in kept[0]["recipients"]
                if only in (None, one["to"]))
        player.until(as_told, lambda: f"{mail.mark} is not kept so: "
                     + _whereabouts(player, mail), patience(player, within))


def _kept_so(recipient, status, clause, text, attempts):
    last = recipient.get("last") or {}
    return (recipient["state"] != "active"
            and recipient["attempts"] >= attempts
            and (status is None or last.get("enhanced") == status)
            and (clause is None or last.get("clause") == clause)
            and (text is None or text in str(last.get("text"))))


@sentence(rf"expect {WHOSE}bounced(?P<once> once)?"
          r"(?: (?P<status>\d\.\d+\.\d+))?"
          r"(?: for (?P<only>\S+@\S+))?"
          rf"(?: saying \"(?P<text>[^\"]*)\")?{WITHIN}")
def expect_bounced(player, step, name, once, status, only, text, within):
    for mail in chosen(player, name):
        for recipient in [only] if only else mail.recipients:
            group, dsn = player.until(
                lambda: _group(player, mail, recipient),
                lambda: f"no bounce of {mail.mark} for {recipient}: "
                + _whereabouts(player, mail), patience(player, within))
            if status not in (None, group["status"]):
                player.fail(f"the bounce says {group}")
            if text and text not in dsn.text \
                    and text not in group.get("diagnostic-code", ""):
                player.fail(f"the bounce does not say {text}: {dsn.text}")
            if once and _times_told(player, mail, recipient) != 1:
                player.fail(f"{recipient} was told of more than once")


def _times_told(player, mail, recipient):
    return sum((read_dsn(message).group(recipient) or {}).get("action")
               == "failed"
               for _, _, message in player.world.bounces(mail.mark))


def read_dsn(message):
    return Dsn(message.data, message.sender, message.recipients[0])


def _group(player, mail, recipient):
    """A notification of its failure; others are no bounces (dsn.py)."""
    for _, _, message in player.world.bounces(mail.mark):
        dsn = read_dsn(message)
        group = dsn.group(recipient)
        if group and group.get("action") == "failed":
            return group, dsn
    return None


@sentence(rf"expect {WHOSE}bounced in one notification{WITHIN}")
def expect_one_bounce(player, step, name, within):
    for mail in chosen(player, name):
        bounces = player.until(lambda: player.world.bounces(mail.mark),
                               f"no bounce of {mail.mark}",
                               patience(player, within))
        told = {group.get("final-recipient", "").partition(";")[2].strip()
                for group in read_dsn(bounces[0][2]).groups}
        if len(bounces) != 1 or told != set(mail.recipients):
            player.fail(f"{len(bounces)} notifications, the first about "
                        f"{sorted(told)}")


@sentence(rf"expect {WHOSE}not bounced")
def expect_not_bounced(player, step, name):
    time.sleep(0.3)
    for mail in chosen(player, name):
        if any(_group(player, mail, recipient)
               for recipient in mail.recipients):
            player.fail(f"{mail.mark} was bounced")


@sentence(rf"expect {WHOSE}gone{WITHIN}")
def expect_gone(player, step, name, within):
    """Not in the queue any more, whatever became of it."""
    for mail in chosen(player, name):
        player.until(lambda: all(one["id"] != mail.id
                                 for one in player.culver.queue()),
                     f"{mail.mark} is still in the queue",
                     patience(player, within))


@sentence(r"expect every acknowledged message delivered(?P<once> once)?"
          rf"{WITHIN}")
def expect_all(player, step, once, within):
    mails = [mail for mail in player.mails if mail.taken]
    if not mails:
        player.fail("no message was acknowledged")

    def missing():
        return [mail for mail in mails if not accepted(player, mail)]

    player.until(lambda: not missing(), lambda: f"{len(missing())} of "
                 f"{len(mails)} acknowledged messages did not arrive, "
                 + _whereabouts(player, missing()[0]),
                 patience(player, within))
    for mail in mails if once else []:
        if len(accepted(player, mail)) > 1:
            player.fail(f"{mail.mark} arrived {len(accepted(player, mail))} "
                        "times")


@sentence(rf"expect queue (?:empty|holds (?P<count>\d+) messages?){WITHIN}")
def expect_queue(player, step, count, within):
    ours = {mail.id for mail in player.mails}

    def held():
        return [one for one in player.culver.queue()
                if not player.shared or one["id"] in ours]

    player.until(lambda: len(held()) == int(count or 0),
                 lambda: f"the queue holds {len(held())} messages",
                 patience(player, within))


def unfaithful(player, mail):
    """How copies of this mail differ from what was sent: nothing, if not."""
    faults = []
    for host, _, message in player.world.arrivals(mail.mark):
        trace = message.data[:-len(mail.data)]
        if not message.data.endswith(mail.data):
            faults.append(f"{mail.mark} at {host.name} is not what was sent")
        elif mail.exact and not re.fullmatch(
                rb"(?:Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+", trace):
            faults.append(f"{mail.mark} at {host.name} got more than trace "
                          f"fields: {trace!r}")
        elif b"\n" in message.wire.replace(b"\r\n", b"") \
                or b"\r" in message.wire.replace(b"\r\n", b""):
            faults.append(f"{mail.mark} at {host.name}: a bare CR or LF")
    return faults
