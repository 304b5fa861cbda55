"""What does each sentence of a scenario do?

One function a sentence; the pattern above it is the language's definition
(tests/scenario/README explains it to people). A function gets the player, the
sentence and the pattern's groups, and raises Failure by `player.fail` when
the outcome is not what the scenario says.
"""

import json
import re
import shlex
import threading
import time

from . import client, mx, web
from .dsn import Dsn
from .world import DANE_MISMATCH

_sentences = []

NAME = r"[\w*.-]+\.\w+"
STEPS = (r"greeting|EHLO|HELO|STARTTLS|handshake|MAIL|RCPT|DATA|body|dot|RSET"
         r"|QUIT")
PROGRAM = r"culverd|smtpd|queue|policy|fetch|delivery|worker"
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


def pairs(text):
    """k=v k2="v w" k3~part as (key, operator, value)."""
    return [(key, operator, quoted if quoted else plain)
            for key, operator, quoted, plain in
            re.findall(r'([\w.-]+)(=|~)(?:"([^"]*)"|(\S*))', text)]


def agrees(value, operator, wanted):
    return wanted in value if operator == "~" else value == wanted


# --- the world: zones, policies, mail servers --------------------------------

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
    found = re.fullmatch(r"(\d+ \d+ \d+) (matching|mismatching)(?: (\S+))?",
                         data)
    if kind == "TLSA" and found:
        if found[2] == "mismatching":
            data = DANE_MISMATCH
        else:
            data = world.pki.tlsa(*map(int, found[1].split()),
                                  found[3] or "good",
                                  owner.removeprefix("_25._tcp."))
    world.dns.add(owner, f"{kind} {data}")


@sentence(rf"mx (?P<name>{NAME})", relay=False)
def mail_server(player, step, name):
    kinds = [line.split(None, 1)[1] for line in step.block
             if line.startswith("address ")]
    host = player.world.add_host(name, kinds or ["alive"])
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
    (r"address .*", "address"),
    (r"certificate (?P<kind>[\w-]+)(?: for (?P<name>\S+))?", "certificate"),
    (r"certificate (?P<kind>[\w-]+)(?: for (?P<name>\S+))? "
     r"when SNI is (?P<sni>\S+)", "sni"),
    (r"no EHLO", "hello_only"),
    (r"no (?P<word>[\w-]+)", "lacks"),
    (r"no (?P<word>[\w-]+) inside TLS", "lacks_in_tls"),
    (r"size (?P<size>\w+)", "size"),
    (r"offers (?P<text>.+)", "offers"),
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
    octets = lambda text: text.encode("latin-1").decode("unicode_escape") \
        .encode("latin-1")
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
    elif name in ("hello_only", "old_tls"):
        setattr(host, name, True)
    elif name in ("lacks", "lacks_in_tls"):
        getattr(host, name).add(given["word"])
    elif name == "size":
        host.size = size(given["size"])
    elif name == "offers":
        host.extra.append(given["text"])
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
    (r"TLS 1\.1 only", "old_tls"),
    (r"without address", "hidden"),
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
    elif name == "old_tls":
        shown.old_tls = True
    elif name == "hidden":
        world.dns.remove(f"mta-sts.{shown.domain}", "A")
    elif name == "fault":
        shown.fault = given[0]


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


# --- sending -------------------------------------------------------------------

@sentence(r"send(?P<insist> insistently)?(?: (?P<count>\d+) messages?)?"
          r"(?: from (?P<sender>\S+))? to (?P<to>[^\"]+?)"
          r"(?: with (?P<options>[\w ,=.]+?))?"
          rf"(?: killing (?P<victim>{PROGRAM}) at "
          r"(?P<point>MAIL|RCPT|DATA|body|dot))?"
          r"(?: as (?P<name>\w+))?"
          r"(?: expecting (?P<code>\d{3})(?: (?P<enhanced>\d\.\d+\.\d+))?)?")
def send(player, step, insist, count, sender, to, options, victim, point, name,
         code, enhanced):
    sender = {"<>": "", None: "alice@home.example"}.get(sender, sender)
    recipients = _recipients(player, to)
    form, parameters = _options(options)
    text = "\n".join(step.block) if step.block else None
    mails = [client.compose(player.scenario.name, sender, recipients,
                            text=text, **form)
             for _ in range(int(count or 1))]
    player.last = mails
    if name:
        player.named[name] = mails
    player.mails += mails
    at = {}
    if victim:
        at[point] = lambda: _kill_once(player, at, point, victim)
    if insist or victim:
        for mail in mails:
            _insist(player, mail, parameters, at)
    elif len(mails) >= 50:
        _send_many(player, mails, parameters)
    else:
        _send_in_turn(player, mails, parameters)
    _judge(player, mails, code, enhanced)


def _recipients(player, text):
    """bob@x, eve@y · 3 recipients at x · 1000 recipients of 254 octets at x

    A mail server's name in brackets is the literal of its first address.
    """
    def literal(match):
        address = player.world.mx.hosts[match[1]].addresses[0]
        return f"[{'IPv6:' if ':' in address else ''}{address}]"

    text = re.sub(rf"\[({NAME})\](?!\d)", literal, text) \
        if "[" in text and "[IPv6:" not in text else text
    many = re.fullmatch(r"(\d+) recipients?(?: of (\d+) octets)? at (\S+)",
                        text)
    if not many:
        return [one.strip() for one in text.split(",")]
    count, octets, domain = int(many[1]), int(many[2] or 0), many[3]
    found = []
    for number in range(count):
        local, place = f"user{number:04}", domain
        if octets:
            local = local.ljust(64, "u")
            missing = octets - len(local) - 1 - len(domain)
            while missing > 0:
                label = min(63, missing - 1)
                # One octet alone would be a dot without a label.
                if missing - label - 1 == 1:
                    label -= 1
                place = "d" * label + "." + place
                missing -= label + 1
        found.append(f"{local}@{place}")
    return found


def _options(text):
    form, parameters = {}, []
    for word in re.split(r", *", text) if text else []:
        if word.startswith("size "):
            form["size"] = size(word[5:])
        elif word in ("8bit", "dots", "long lines"):
            form[{"8bit": "eight_bit", "long lines": "long_lines"}
                 .get(word, word)] = True
        elif "=" in word or word.isupper():
            parameters.append(word)
        else:
            raise ValueError(f"a message cannot have: {word}")
    return form, " ".join(parameters)


def _kill_once(player, at, point, victim):
    at.pop(point, None)
    if player.culver.kill(victim) == 0:
        player.fail(f"there was no {victim} to kill")


def _send_in_turn(player, mails, parameters):
    with player.culver.client() as session:
        session.demand("EHLO client.world.example", 2)
        for mail in mails:
            try:
                mail.id = session.send(mail.sender, mail.recipients, mail.data,
                                       parameters)
            except client.Refused as refusal:
                mail.refusal = refusal
                session.command("RSET")
        session.command("QUIT")


def _send_many(player, mails, parameters, clients=8):
    faults = []

    def run(share):
        try:
            _send_in_turn(player, share, parameters)
        except (OSError, client.Refused) as error:
            faults.append(str(error))

    threads = [threading.Thread(target=run, args=(mails[number::clients],))
               for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        player.fail(faults[0])


def _insist(player, mail, parameters, at, patience=90):
    """As every client does: again, until it has been taken."""
    deadline = time.monotonic() + patience
    while not mail.taken:
        try:
            with client.Client(player.culver.port, timeout=30) as session:
                session.demand("EHLO client.world.example", 2)
                mail.id = session.send(mail.sender, mail.recipients, mail.data,
                                       parameters, at)
                session.command("QUIT")
        except (client.Refused, OSError) as error:
            if mail.taken:
                return			# only the QUIT went wrong
            if time.monotonic() > deadline:
                player.fail(f"never taken; at last: {error}")
            time.sleep(0.1)


def _judge(player, mails, code, enhanced):
    for mail in mails:
        if code is None and mail.refusal:
            player.fail(f"refused: {mail.refusal}")
        if code is not None and mail.refusal is None:
            player.fail(f"taken as {mail.id}")
        if code is not None and (mail.refusal.code != int(code) or enhanced
                                 and not mail.refusal.text.startswith(enhanced)):
            player.fail(f"refused otherwise: {mail.refusal}")


@sentence(r"sendmail (?P<words>.+?)(?: as user (?P<user>\w+))?"
          r"(?: expecting exit (?P<status>\d+))?")
def sendmail(player, step, words, user, status):
    mail = client.compose(player.scenario.name, "alice@home.example", [])
    mail.exact = False
    text = f"X-World: {mail.mark}\n" + "\n".join(step.block) + "\n"
    done = player.culver.sendmail(
        shlex.split(words), text.encode("utf-8"),
        user=64003 if user == "alice" else None)
    player.output = done
    if done.returncode != int(status or 0):
        player.fail(f"exit {done.returncode}: {done.stderr.decode()}")
    given = shlex.split(words)
    mail.recipients = [word for option, word in zip(["", *given], given)
                       if "@" in word and option != "-f"]
    # Fields may have been added; the body is the caller's.
    mail.data = text.partition("\n\n")[2].replace("\n", "\r\n").encode()
    if done.returncode == 0:
        mail.id = "by-sendmail"		# it tells nobody which
    player.last = [mail]
    player.mails.append(mail)


class Load:
    """Clients that send without end, and note what was acknowledged."""

    def __init__(self, player, count, recipients, octets):
        self.player, self.recipients = player, recipients
        self.octets = octets
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, daemon=True)
                        for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def _run(self):
        while not self.over.is_set():
            try:
                with client.Client(self.player.culver.port,
                                   timeout=30) as session:
                    session.demand("EHLO load.world.example", 2)
                    while not self.over.wait(0.02):
                        self._one(session)
            except (OSError, client.Refused, ValueError):
                self.over.wait(0.1)

    def _one(self, session):
        mail = client.compose(self.player.scenario.name, "alice@home.example",
                              self.recipients, size=self.octets)
        mail.id = session.send(mail.sender, mail.recipients, mail.data)
        with self.lock:
            self.player.mails.append(mail)


@sentence(r"load (?P<count>\d+) clients? to (?P<to>\S+)"
          r"(?: with size (?P<octets>\w+))?")
def load(player, step, count, to, octets):
    player.loads.append(Load(player, int(count), [to], size(octets or "0")))


@sentence(r"load ends")
def load_ends(player, step):
    for one in player.loads:
        one.end()
    player.loads.clear()


@sentence(r"talk")
def talk(player, step):
    """C: what the client says · S: how the reply begins · raw: octets"""
    try:
        session = player.culver.client()
    except OSError as error:
        player.fail(f"no connection: {error}")
    with session:
        replies = [session.greeting]
        for line in step.block:
            word, _, text = line.strip().partition(" ")
            try:
                _exchange(player, session, replies, word, text)
            except (OSError, ValueError) as error:
                player.fail(f"at {line.strip()}: {error}")


def _exchange(player, session, replies, word, text):
    if word == "C:":
        session.say(text)
    elif word == "raw:":
        session.sock.sendall(text.encode("latin-1").decode("unicode_escape")
                             .encode("latin-1"))
    elif word == "S:":
        code, said = replies.pop(0) if replies else session.read()
        if not f"{code} {said}".startswith(text):
            player.fail(f"wanted {text}, got {code} {said}")
    elif word == "closed":
        try:
            code, said = session.read()
        except OSError:
            return
        player.fail(f"not closed, but {code} {said}")
    elif word:
        raise ValueError("a line of talk begins with C:, S:, raw: or closed")


# --- time, life and death --------------------------------------------------------

@sentence(rf"time passes (?P<length>{LENGTH})")
def time_passes(player, step, length):
    player.culver.pass_time(seconds(length))


@sentence(rf"wait (?P<length>{LENGTH})", relay=False)
def wait(player, step, length):
    time.sleep(seconds(length))


@sentence(rf"kill (?P<names>(?:{PROGRAM})(?:, (?:{PROGRAM}))*)")
def kill(player, step, names):
    for name in names.split(", "):
        # fetch and workers come and go: wait for one to kill.
        player.until(lambda: player.culver.kill(name),
                     f"there is no {name} to kill")


@sentence(r"kill everything")
def kill_everything(player, step):
    player.culver.kill_everything()


@sentence(r"kill a random program")
def kill_random(player, step):
    """By the scenario's name and the round: the same in every run."""
    turn = player.stash["random"] = player.stash.get("random", 0) + 1
    player.until(lambda: player.culver.kill_at_random(
        f"{player.scenario.name} {turn}"), "there is no program to kill")


@sentence(r"start(?: expecting failure(?: \"(?P<why>[^\"]*)\")?)?", relay=False)
def start(player, step, why):
    player.stash["started"] = True
    if "expecting" not in step.text:
        player.culver.start()
        return
    process = player.culver.start(ready=False)
    _must_fail(player, process, why)
    player.culver.process = None


@sentence(r"start a second one expecting failure(?: \"(?P<why>[^\"]*)\")?")
def start_second(player, step, why):
    """With a port and sockets of its own: only the spool is the same."""
    first = player.culver.process
    folder, port = player.culver.folder, player.culver.port
    process = player.culver.start(ready=False, extra=(
        "-o", f"listen=127.0.0.1:{port + 20000}",
        "-o", f"submit-socket={folder}/run/submit2",
        "-o", f"control={folder}/run/control2"))
    player.culver.process = first
    _must_fail(player, process, why)


def _must_fail(player, process, why):
    try:
        status = process.wait(30)
    except Exception:
        process.kill()
        player.fail("it runs")
    if status == 0:
        player.fail("it ended with 0")
    if why and why not in player.culver.log_text():
        player.fail(f"it does not say {why}: "
                    + " | ".join(player.culver.log_text().splitlines()[-3:]))


@sentence(r"stop")
def stop(player, step):
    status = player.culver.stop()
    if status != 0:
        player.fail(f"culverd ended with {status}")
    if not player.culver.wait_gone():
        player.fail(f"left running: {player.culver.programs()}")


@sentence(r"restart")
def restart(player, step):
    stop(player, step)
    player.culver.start()


@sentence(r"reload")
def reload(player, step):
    """With these keywords instead of the scenario's own."""
    given = [line.strip() for line in step.block if line.strip()]
    changed = {line.split()[0] for line in given}
    player.culver.configure(given + [
        line for line in player.scenario.settings
        if line.split()[0] not in changed])
    player.culver.reload()


@sentence(rf"when (?P<host>{NAME}) sees (?P<point>{STEPS}) "
          rf"kill (?P<victim>{PROGRAM})")
def when_seen(player, step, host, point, victim):
    """Once, before the server answers; the kill is checked by `expect`."""
    key = f"killed {victim} at {point}"
    player.stash.pop("hook", None)

    def strike():
        player.stash["hook"] = player.culver.kill(victim), key

    player.world.mx.hosts[host].rules.insert(0, mx.Rule(
        point, "call", strike, times=1))


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


# --- what became of the mail -------------------------------------------------------

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


WITHIN = rf"(?: within (?P<within>{LENGTH}))?"
WHOSE = r"(?:(?P<name>(?!(?:no|not|every|the) )\w+) )?"


def patience(player, within):
    return seconds(within) if within else player.patience


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


@sentence(rf"expect {WHOSE}delivered to Postfix(?: (?P<how>over TLS))?{WITHIN}")
def expect_postfix(player, step, name, how, within):
    for mail in chosen(player, name):
        needle = f"X-World: {mail.mark}\n".encode()
        copies = player.until(
            lambda: [one for one in player.world.postfix.mailbox()
                     if needle in one],
            lambda: f"Postfix has no {mail.mark}: "
            + _whereabouts(player, mail), patience(player, within))
        original = mail.data.replace(b"\r\n", b"\n")
        if not copies[0].endswith(original):
            player.fail("what Postfix has is not what was sent")
        if how and b"with ESMTPS id" not in copies[0]:
            player.fail("it came in the clear")


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
            if group["action"] != "failed" or status not in (
                    None, group["status"]):
                player.fail(f"the bounce says {group}")
            if text and text not in dsn.text \
                    and text not in group.get("diagnostic-code", ""):
                player.fail(f"the bounce does not say {text}: {dsn.text}")
            if once and _times_told(player, mail, recipient) != 1:
                player.fail(f"{recipient} was told of more than once")


def _times_told(player, mail, recipient):
    return sum(read_dsn(message).group(recipient) is not None
               for _, _, message in player.world.bounces(mail.mark))


def read_dsn(message):
    return Dsn(message.data, message.sender, message.recipients[0])


def _group(player, mail, recipient):
    for _, _, message in player.world.bounces(mail.mark):
        dsn = read_dsn(message)
        if dsn.group(recipient):
            return dsn.group(recipient), dsn
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
        if player.world.bounces(mail.mark):
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


# --- what others saw -----------------------------------------------------------------

HOST = rf"(?P<host>{NAME})"


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


@sentence(rf"expect dns asked (?P<kind>[A-Z]+) (?P<name>{NAME})"
          r"(?: (?P<count>\d+) times?|(?P<never> never))?")
def expect_asked(player, step, kind, name, count, never):
    def seen():
        return player.world.dns.asked()[0].count((name.lower(), kind))

    if not never:
        player.until(seen, f"{kind} {name} was never asked")
    if (never and seen()) or (count and seen() != int(count)):
        player.fail(f"asked {seen()} times")


# --- what the relay itself says -------------------------------------------------------

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


@sentence(r"culverctl (?P<words>.+?)(?: as user (?P<user>\w+))?"
          r"(?: expecting exit (?P<status>\d+))?")
def culverctl(player, step, words, user, status):
    """ID stands for the queue id of the last mail."""
    last = player.last[0].id if player.last else None
    done = player.culver.ctl(*[last if word == "ID" and last else word
                               for word in shlex.split(words)],
                             user=64003 if user == "alice" else None)
    player.output = done
    if done.returncode != int(status or 0):
        player.fail(f"exit {done.returncode}: {done.stdout}{done.stderr}")


@sentence(r"expect output (?P<no>lacks|contains) \"(?P<text>[^\"]*)\"",
          relay=False)
def expect_output(player, step, no, text):
    said = player.output.stdout
    said = said if isinstance(said, str) else said.decode()
    if (text in said) != (no == "contains"):
        player.fail(f"it says: {said}")


@sentence(r"flush", relay=True)
def flush(player, step):
    """All of this scenario's mail is due now."""
    ids = [mail.id for mail in player.mails if mail.id]
    kept = {one["id"] for one in player.culver.queue()}
    for ident in ids:
        if ident in kept:
            player.culver.ctl("queue", "flush", ident)
