"""What did others see, and what does the relay say of itself?

Sentences on the sessions of mail servers, fetches, DNS questions, the log and
the answers of culverctl.
"""

from .language import (HOST, NAME, PROGRAM, WITHIN, agrees, pairs, patience,
                       sentence, unescape)


def sessions(player, host):
    if host not in player.world.mx.hosts:
        player.fail(f"there is no mail server {host}")
    return list(player.world.mx.hosts[host].sessions)


@sentence(rf"expect {HOST} saw (?P<count>no|\d+) connections?{WITHIN}")
def expect_connections(player, step, host, count, within):
    wanted = 0 if count == "no" else int(count)
    if wanted:
        player.until(lambda: len(sessions(player, host)) >= wanted,
                     lambda: f"{len(sessions(player, host))} connections",
                     patience(player, within))
    if len(sessions(player, host)) != wanted:
        player.fail(f"{len(sessions(player, host))} connections")


@sentence(rf"expect {HOST} saw at most (?P<count>\d+) connections?")
def expect_few_connections(player, step, host, count):
    if not 0 < len(sessions(player, host)) <= int(count):
        player.fail(f"{len(sessions(player, host))} connections")


@sentence(rf"expect {HOST} saw every message over TLS")
def expect_all_tls(player, step, host):
    """Not even a MAIL in the clear."""
    for one in sessions(player, host):
        if "MAIL" in one.verbs() and not one.tls:
            player.fail(f"in the clear: {one.commands}")
    if not any(one.messages for one in sessions(player, host)):
        player.fail("it got no message at all")


@sentence(rf"expect {HOST} got nothing but dots{WITHIN}")
def expect_dots(player, step, host, within):
    """DATA was answered 354 where it should not: a lone dot ends it."""
    def messages():
        return [message for session in sessions(player, host)
                for message in session.messages]

    player.until(messages, "not even one", patience(player, within))
    if any(message.data for message in messages()):
        player.fail(f"it got {messages()[0].data!r}")


@sentence(rf"expect {HOST} saw (?P<no>no )?(?P<verb>[A-Z]+)"
          rf"(?: (?P<count>\d+) times?)?{WITHIN}")
def expect_verb(player, step, host, no, verb, count, within):
    def seen():
        if verb == "TLS":
            return [one for one in sessions(player, host) if one.tls]
        return [one for session in sessions(player, host)
                for one in session.verbs() if one == verb]

    if no:
        if seen():
            player.fail(f"{len(seen())} of {verb}")
        return
    wanted = int(count or 1)
    player.until(lambda: len(seen()) >= wanted,
                 lambda: f"{len(seen())} of {verb}", patience(player, within))
    if count and len(seen()) != wanted:
        player.fail(f"{len(seen())} of {verb}")


@sentence(rf"expect {HOST} saw (?P<no>no )?\"(?P<text>[^\"]+)\"{WITHIN}")
def expect_command(player, step, host, no, text, within):
    def seen():
        return [line for session in sessions(player, host)
                for line in session.commands if text in line]

    if no:
        if seen():
            player.fail(f"it saw {seen()[0]}")
        return
    player.until(seen, lambda: "it saw "
                 + repr([one.commands for one in sessions(player, host)][-3:]),
                 patience(player, within))


@sentence(rf"expect {HOST} saw SNI (?P<name>\S+){WITHIN}")
def expect_sni(player, step, host, name, within):
    def seen():
        return [one.tls["sni"] for one in sessions(player, host) if one.tls]

    player.until(lambda: name in seen(), lambda: f"SNI {seen()}",
                 patience(player, within))
    if set(seen()) != {name}:
        player.fail(f"SNI {seen()}")


@sentence(rf"expect {HOST} saw (?P<no>no )?pipelining")
def expect_pipelining(player, step, host, no):
    seen = any(one.pipelined for one in sessions(player, host))
    if seen == bool(no):
        player.fail(f"pipelining: {seen}")


@sentence(rf"expect {HOST} got (?P<count>no|\d+) messages?{WITHIN}")
def expect_got(player, step, host, count, within):
    def taken():
        return [one for session in sessions(player, host)
                for one in session.messages if one.accepted]

    wanted = 0 if count == "no" else int(count)
    if wanted:
        player.until(lambda: len(taken()) >= wanted,
                     lambda: f"{len(taken())} messages",
                     patience(player, within))
    if len(taken()) != wanted:
        player.fail(f"{len(taken())} messages")


@sentence(rf"expect {HOST} got (?P<no>no )?\"(?P<text>[^\"]+)\"{WITHIN}")
def expect_octets(player, step, host, no, text, within):
    """In a message that it took, as it came: unstuffed, with CR LF."""
    def found():
        return [one for session in sessions(player, host)
                for one in session.messages
                if one.accepted and unescape(text) in one.data]

    if no:
        if found():
            player.fail(f"it got {found()[0].data!r}")
        return
    player.until(found, "in no message that it took",
                 patience(player, within))


@sentence(rf"expect {HOST} broke off inside DATA{WITHIN}")
def expect_cut(player, step, host, within):
    player.until(lambda: any(one.cut is not None
                             for one in sessions(player, host)),
                 "it did not", patience(player, within))


@sentence(rf"expect {HOST} saw every session end with QUIT{WITHIN}")
def expect_quit(player, step, host, within):
    player.until(lambda: all(one.end == "QUIT" and one.verbs()[-1] == "QUIT"
                             for one in sessions(player, host)),
                 lambda: f"{[one.end for one in sessions(player, host)]}",
                 patience(player, within))


@sentence(rf"expect policy of (?P<domain>{NAME}) fetched (?P<count>\d+) times?"
          rf"{WITHIN}")
def expect_fetched(player, step, domain, count, within):
    wanted = int(count)
    if wanted:
        player.until(lambda: player.world.web.fetched(domain) >= wanted,
                     lambda: f"{player.world.web.fetched(domain)} times",
                     patience(player, within))
    if player.world.web.fetched(domain) != wanted:
        player.fail(f"{player.world.web.fetched(domain)} times")


@sentence(rf"expect policy host of (?P<domain>{NAME}) "
          rf"(?P<what>saw|did not see) \"(?P<text>[^\"]+)\"{WITHIN}")
def expect_request(player, step, domain, what, text, within):
    """In the request line and the header fields, whatever their case."""
    def seen():
        return player.world.web.requests(domain)

    def found():
        return [one for one in seen()
                if unescape(text).decode("latin-1").lower() in one.lower()]

    player.until(seen, "it saw no request that was recorded: is it one of "
                 "recorded, chunked, gzip?", patience(player, within))
    if what == "did not see" and found():
        player.fail(f"it saw {found()[0]!r}")
    elif what == "saw":
        player.until(found, lambda: f"it saw {seen()!r}",
                     patience(player, within))


@sentence(rf"expect dns asked (?P<kind>[A-Z]+) (?P<name>{NAME})"
          r"(?: (?P<count>\d+) times?|(?P<never> never))?")
def expect_asked(player, step, kind, name, count, never):
    def seen():
        return player.world.dns.asked()[0].count((name.lower(), kind))

    if not never:
        player.until(seen, f"{kind} {name} was never asked")
    if (never and seen()) or (count and seen() != int(count)):
        player.fail(f"asked {seen()} times")


@sentence(r"expect the kill happened")
def expect_killed(player, step):
    count, key = player.until(lambda: player.stash.get("hook"),
                              "the server never came to that point")
    if count == 0:
        player.fail(f"nothing was {key}")


@sentence(rf"expect running (?P<names>(?:{PROGRAM})(?:, (?:{PROGRAM}))*)")
def expect_running(player, step, names):
    wanted = set(names.split(", "))
    player.until(lambda: wanted <= {name for _, name in
                                    player.culver.programs()},
                 lambda: f"running: {player.culver.programs()}")


@sentence(r"expect nothing left running", relay=False)
def expect_nothing_running(player, step):
    if not player.culver.wait_gone():
        player.fail(f"left running: {player.culver.programs()}")


@sentence(r"expect (?P<no>no )?log (?P<event>[a-z]+)(?P<fields>(?: \S+[=~].*)?)"
          rf"{WITHIN}")
def expect_log(player, step, no, event, fields, within):
    wanted = pairs(fields)

    def found():
        return [one for one in player.own_events(event)
                if all(agrees(one.fields.get(key, ""), operator, value)
                       for key, operator, value in wanted)]

    if no:
        if found():
            player.fail(f"it says: {found()[0].line}")
        return
    player.until(found, lambda: f"no such line; the last {event} lines: "
                 + " | ".join(one.line for one in
                              player.own_events(event)[-3:]),
                 patience(player, within))


def _dig(value, path):
    """All that stands at a.b.c; lists are searched through."""
    if not path:
        return value if isinstance(value, list) else [value]
    if isinstance(value, list):
        return [one for item in value for one in _dig(item, path)]
    if not isinstance(value, dict) or path[0] not in value:
        return []
    return _dig(value[path[0]], path[1:])


def holds(thing, wanted):
    for key, operator, value in wanted:
        texts = ["none" if one is None else str(one)
                 for one in _dig(thing, key.split("."))]
        if not any(agrees(text, operator, value) for text in texts):
            return False
    return True


@sentence(rf"expect policy (?P<domain>{NAME}) shows (?P<fields>\S+[=~].*?)"
          rf"{WITHIN}")
def expect_policy(player, step, domain, fields, within):
    player.until(lambda: holds(player.culver.policy(domain), pairs(fields)),
                 lambda: f"it is {player.culver.policy(domain)}",
                 patience(player, within))


@sentence(rf"expect no policy for (?P<domain>{NAME})")
def expect_no_policy(player, step, domain):
    if (player.culver.policy(domain) or {}).get("mode") is not None:
        player.fail(f"it is {player.culver.policy(domain)}")


@sentence(rf"expect explain (?P<fields>\S+[=~].*?){WITHIN}")
def expect_explain(player, step, fields, within):
    mail = player.last[0]
    player.until(lambda: any(holds(one, pairs(fields)) for one in
                             player.culver.explain(mail.id)),
                 lambda: f"it says {player.culver.explain(mail.id)}",
                 patience(player, within))


@sentence(r"expect output (?P<no>lacks|contains) \"(?P<text>[^\"]*)\"",
          relay=False)
def expect_output(player, step, no, text):
    said = player.output.stdout
    said = said if isinstance(said, str) else said.decode()
    if (text in said) != (no == "contains"):
        player.fail(f"it says: {said}")
