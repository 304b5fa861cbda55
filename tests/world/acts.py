"""What is done in a scenario?

Mail is sent, time passes, programs are killed and started, the operator gives
an order.
"""

import re
import shlex
import threading
import time

from . import client, mx
from .language import LENGTH, NAME, PROGRAM, STEPS, seconds, sentence, size


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


@sentence(rf"time passes (?P<length>{LENGTH})")
def time_passes(player, step, length):
    player.culver.pass_time(seconds(length))


@sentence(rf"wait (?P<length>{LENGTH})", relay=False)
def wait(player, step, length):
    time.sleep(seconds(length))


@sentence(rf"kill (?P<name>{PROGRAM}) if it runs")
def kill_if_it_runs(player, step, name):
    player.culver.kill(name)


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


@sentence(r"flush", relay=True)
def flush(player, step):
    """All of this scenario's mail is due now."""
    ids = [mail.id for mail in player.mails if mail.id]
    kept = {one["id"] for one in player.culver.queue()}
    for ident in ids:
        if ident in kept:
            player.culver.ctl("queue", "flush", ident)
