"""What is the world of a scenario like, and how does it change?

Sentences about zones, policies and mail servers: declarations, carried out
before the world starts, and changes while it runs. None of them needs a relay.
"""

import re

from . import mx, web
from .language import (LENGTH, NAME, STEPS, seconds, sentence, size,
                       unescape)

RECORD = re.compile(r"(?:(?P<owner>\S+)\s+)?(?P<kind>A|AAAA|MX|TXT|CNAME|DNAME"
                    r"|TLSA|NS|SRV)\s+(?P<data>.+)")


@sentence(rf"zone (?P<name>{NAME})(?: (?P<security>signed|unsigned|bogus))?",
          relay=False)
def zone(player, step, name, security):
    if name != name.lower():
        raise ValueError("domains are written in lower case")
    player.world.dns.add_zone(name, security or "unsigned")
    for line in step.block:
        if not line.strip() or line.strip().startswith("#"):
            continue
        record = RECORD.fullmatch(line.strip())
        if record is None:
            raise ValueError(f"not a record: {line.strip()}")
        owner = name if record["owner"] in (None, "@") \
            else f"{record['owner']}.{name}"
        add_record(player.world, owner, record["kind"], record["data"])


def add_record(world, owner, kind, data):
    """A record in a scenario's words: names are absolute, dot or not."""
    if kind in ("MX", "SRV", "CNAME", "DNAME", "NS") and data[-1] != ".":
        data += "."
    if kind == "TLSA":
        data = tlsa(world.pki, owner, data)
    world.dns.add(owner, f"{kind} {data}")


def tlsa(pki, owner, data):
    """A TLSA record's data in a scenario's words, or as in a zone file."""
    found = re.fullmatch(r"(\d+) (\d+) (\d+) (?:(?P<what>matching|mismatching)"
                         r"(?: (?P<kind>[\w-]+))?(?: for (?P<name>\S+))?"
                         r"|of the (?P<ca>[\w-]+) CA)", data)
    if not found:
        return data
    numbers = [int(found[index]) for index in (1, 2, 3)]
    if found["ca"]:
        return pki.tlsa_of_ca(*numbers, found["ca"])
    if found["what"] == "mismatching":	# a digest of nothing there is
        return data.replace(found["what"],
                            "ab" * {1: 32, 2: 64}[numbers[2]])
    return pki.tlsa(*numbers, found["kind"] or "good",
                    found["name"] or re.sub(r"^_\d+\._tcp\.", "", owner))


@sentence(rf"mx (?P<name>{NAME})", relay=False)
def mail_server(player, step, name):
    kinds = [line.split(None, 1)[1] for line in step.block
             if line.startswith("address ")]
    ports = [int(line.split()[1]) for line in step.block
             if line.startswith("port ")]
    host = player.world.add_host(name, kinds or ["alive"], ports)
    behave(player, host, step.block)


@sentence(rf"mx (?P<name>{NAME}) now", relay=False)
def mail_server_now(player, step, name):
    host = player.world.mx.hosts[name]
    host.reset()
    behave(player, host, step.block)


@sentence(rf"mx (?P<name>{NAME}) (?P<what>stops|resumes)", relay=False)
def mail_server_listens(player, step, name, what):
    host = player.world.mx.hosts[name]
    if what == "stops":
        player.world.mx.stop(host)
    else:
        player.world.mx.resume(host)


TIMES = r"(?:(?P<times>once|first \d+ times) )?"
AT = rf"(?P<step>{STEPS})(?: of \"(?P<holding>[^\"]*)\")?"
BEHAVIOUR = [(re.compile(pattern), name) for pattern, name in (
    (r"address .*|port \d+", "address"),
    (r"certificate (?P<kind>[\w-]+)(?: for (?P<name>\S+))?", "certificate"),
    (r"certificate (?P<kind>[\w-]+)(?: for (?P<name>\S+))? "
     r"when SNI is (?P<sni>\S+)", "sni"),
    (r"no EHLO", "hello_only"),
    (r"no (?P<word>[\w-]+)", "lacks"),
    (r"no (?P<word>[\w-]+) inside TLS", "lacks_in_tls"),
    (r"size (?P<size>\w+)", "size"),
    (r"offers (?P<text>.+) inside TLS", "offers_in_tls"),
    (r"offers (?P<text>.+)", "offers"),
    (r"implicit TLS", "implicit_tls"),
    (r"TLS 1\.1 only", "old_tls"),
    (r"greets as (?P<text>.+)", "banner"),
    (TIMES + rf"answers {AT} with (?P<text>.+)", "answer"),
    (TIMES + rf"(?P<how>closes|resets|falls silent) at {AT}", "end"),
    (TIMES + r"(?P<how>closes|resets|falls silent) inside DATA after "
     r"(?P<after>\w+) octets", "inside"),
    (TIMES + rf"waits (?P<length>{LENGTH}) at {AT}", "wait"),
    (TIMES + rf"drips at {AT}", "drip"),
    (TIMES + rf"sends \"(?P<text>.*)\" at {AT}", "raw"),
    (r"injects \"(?P<text>.*)\" after STARTTLS", "inject"))]
ENDS = {"closes": "close", "resets": "reset", "falls silent": "silent"}


def behave(player, host, block):
    for line in block:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        for pattern, name in BEHAVIOUR:
            match = pattern.fullmatch(line)
            if match:
                _behave(host, name, match.groupdict())
                break
        else:
            raise ValueError(f"no mail server does this: {line}")


def _behave(host, name, given):
    octets = unescape
    times = given.get("times")
    rule = {"times": {None: None, "once": 1}.get(times) if times in
            (None, "once") else int(times.split()[1]),
            "holding": given.get("holding")}
    if name == "certificate":
        host.certificate = given["kind"], given["name"] or host.name
        host.pki.chain(*host.certificate)
    elif name == "sni":
        host.sni[given["sni"]] = given["kind"], given["name"] or host.name
        host.pki.chain(*host.sni[given["sni"]])
    elif name in ("hello_only", "old_tls", "implicit_tls"):
        setattr(host, name, True)
    elif name in ("lacks", "lacks_in_tls"):
        getattr(host, name).add(given["word"])
    elif name == "size":
        host.size = size(given["size"])
    elif name == "offers":
        host.extra.append(given["text"])
    elif name == "offers_in_tls":
        host.extra_in_tls.append(given["text"])
    elif name == "banner":
        host.banner = given["text"]
    elif name == "answer":
        host.rules.append(mx.Rule(given["step"], "answer", given["text"],
                                  **rule))
    elif name == "end":
        host.rules.append(mx.Rule(given["step"], ENDS[given["how"]], **rule))
    elif name == "inside":
        host.rules.append(mx.Rule("body", ENDS[given["how"]],
                                  after=size(given["after"]), **rule))
    elif name == "wait":
        host.rules.append(mx.Rule(given["step"], "wait",
                                  seconds(given["length"]),
                                  **{**rule, "times": rule["times"] or 1}))
    elif name == "drip":
        host.rules.append(mx.Rule(given["step"], "drip", 1, **rule))
    elif name == "raw":
        host.rules.append(mx.Rule(given["step"], "raw", octets(given["text"]),
                                  **rule))
    elif name == "inject":
        host.rules.append(mx.Rule("STARTTLS", "inject",
                                  octets(given["text"])))


@sentence(rf"(exim|opensmtpd) takes (?P<domain>{NAME})", relay=False)
def stranger_takes(player, step, domain):
    """They take mail for any domain; who is named is started."""


@sentence(rf"postfix takes (?P<domain>{NAME})", relay=False)
def postfix_takes(player, step, domain):
    player.world.postfix.serve(domain)


POLICY = [(re.compile(pattern), name) for pattern, name in (
    (r"now", "now"),
    (r"good", "good"),
    (r"id (\S+)", "id"),
    (r"answers (\d+)", "status"),
    (r"type \"([^\"]*)\"", "type"),
    (r"certificate ([\w-]+) for (\S+)", "certificate"),
    (r"certificate ([\w-]+)", "certificate"),
    (r"padded to (\d+)", "pad"),
    (r"TLS (1\.[123]) only", "tls"),
    (r"without address", "hidden"),
    (r"at IPv6", "six"),
    (r"bans \"([^\"]+)\"", "bans"),
    (r"escaped", "escaped"),
    (rf"({'|'.join(web.SCRIPTED_FORMS)})", "form"),
    (rf"({'|'.join(web.SCRIPTED_FAULTS)}|refuses)", "fault"))]


@sentence(rf"policy (?P<domain>{NAME})(?: (?P<words>.+))?", relay=False)
def policy(player, step, domain, words):
    world = player.world
    shown = world.add_policy(domain)
    if step.block:
        shown.body = "\n".join(step.block) + "\n"
    rest = words or ""
    while rest:
        for pattern, name in POLICY:
            match = pattern.match(rest)
            if match and rest[match.end():match.end() + 1] in ("", " ", ","):
                _show(world, shown, name, match.groups())
                rest = rest[match.end():].lstrip(" ,")
                break
        else:
            raise ValueError(f"a policy host cannot: {rest}")
    world.place_policy(shown)
    if world.running:
        world.web.publish()
        world.publish_dns(domain)


def _show(world, shown, name, given):
    if name == "id":
        world.dns.remove(f"_mta-sts.{shown.domain}", "TXT")
        world.dns.add(f"_mta-sts.{shown.domain}",
                      f'TXT "v=STSv1; id={given[0]};"')
    elif name == "good":
        body = shown.body
        shown.__init__(shown.domain)
        shown.body = body
    elif name == "status":
        shown.status = int(given[0])
    elif name == "type":
        shown.media_type = given[0]
    elif name == "certificate":
        shown.certificate = given[0]
        if len(given) > 1:
            shown.certificate_name = given[1]
        world.pki.chain(shown.certificate, shown.certificate_name)
    elif name == "pad":
        missing = int(given[0]) - len(shown.body)
        while missing > 0:		# extension lines, which the grammar allows
            # A last line of its own must be at least "x: y\n" long.
            piece = missing if missing <= 1000 else min(990, missing - 10)
            shown.body += "x: " + "y" * (piece - 4) + "\n"
            missing -= piece
    elif name == "escaped":
        shown.body = unescape(shown.body).decode("utf-8", "surrogateescape")
    elif name == "hidden":
        world.hide_policy(shown)
    elif name == "six":
        shown.six = True
    elif name == "bans":
        shown.banned = given[0]
    elif name in ("tls", "form", "fault"):
        setattr(shown, name, given[0])


@sentence(rf"dns (?P<fault>SERVFAIL|NXDOMAIN|REFUSED|timeout) for "
          rf"(?:(?P<kind>[A-Z]+) )?(?P<name>{NAME})", relay=False)
def dns_fails(player, step, fault, kind, name):
    player.world.dns.wire.fail(fault, name, kind)
    player.world.dns.forget(name)


@sentence(rf"dns mended for (?P<name>{NAME})", relay=False)
def dns_mended(player, step, name):
    player.world.dns.wire.mend(name)
    player.world.dns.forget(name)


@sentence(rf"dns add (?P<name>{NAME}) (?P<kind>[A-Z]+) (?P<data>.+)",
          relay=False)
def dns_add(player, step, name, kind, data):
    add_record(player.world, name, kind, data)
    player.world.publish_dns(name)


@sentence(rf"dns remove (?P<name>{NAME})(?: (?P<kind>[A-Z]+))?", relay=False)
def dns_remove(player, step, name, kind):
    if player.world.dns.remove(name, kind) == 0:
        player.fail(f"there is no {kind or 'record'} at {name}")
    player.world.publish_dns(name)
