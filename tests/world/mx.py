"""What does a mail server of the world do, and what did it see?

One acceptor serves every scripted MX, a thread each connection. A server's
behaviour is a list of rules: at a *step* (connect, EHLO, STARTTLS, handshake,
MAIL, RCPT, DATA, body, dot, RSET, QUIT …) an *action*, for all or for the
first N times, perhaps only when the line holds a text. Without rules it is a
decent modern server with a good certificate.

Every session is recorded exactly: commands and replies in order, the octets
of each message, TLS version, SNI and peer, whether the client pipelined, and
how it ended. `Session.as_json` is what lands in the scenario's folder.
"""

import base64
import re
import selectors
import socket
import ssl
import struct
import threading
import time

PORT = 25			# where no other is said
PATIENCE = 900			# seconds that a session may be quiet

EXTENSIONS = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE",
              "STARTTLS")


class Closed(Exception):
    """The connection is over; the text says who ended it."""


class Rule:
    """ACTION is close, reset, silent, answer, raw, drip, wait, inject or call
    (something in the world happens, then the next rule or the usual reply).
    HOLDING: only for lines with that text. TIMES: so often, None for ever.
    AFTER: octets of the body, for the step "body".
    """

    def __init__(self, step, action, argument=None, holding=None, times=None,
                 after=0):
        self.step, self.action, self.argument = step, action, argument
        self.holding, self.times, self.after = holding, times, after

    def applies(self, step, line):
        return (self.step == step and self.times != 0
                and (self.holding is None
                     or self.holding.lower() in line.lower()))


class Message:
    """One transaction that came to its final dot."""

    def __init__(self, sender, parameters, recipients, tls):
        self.sender, self.parameters = sender, parameters
        self.recipients, self.tls = recipients, tls
        self.data = b""			# as the client meant it: dots unstuffed
        self.wire = b""			# as it came
        self.accepted = False		# a 2yz was sent to the dot
        self.when = time.time()


class Session:
    """What happened in one connection."""

    def __init__(self, host, peer):
        self.host, self.peer = host.name, peer
        self.when = time.time()
        self.commands, self.replies, self.messages = [], [], []
        self.tls = None			# {"version", "cipher", "sni"}
        self.pipelined = False
        self.early_talk = False		# spoke before the greeting
        self.cut = None			# octets of the body when it broke off
        self.end = None			# None while it lasts

    def verbs(self):
        return [line.split(" ")[0].split(":")[0].upper()
                for line in self.commands]

    def as_json(self):
        fields = dict(vars(self))
        fields["messages"] = [
            dict(vars(message), data=base64.b64encode(message.data).decode(),
                 wire=len(message.wire)) for message in self.messages]
        return fields


class Host:
    """A mail server by name: where it listens and how it behaves."""

    def __init__(self, name, pki):
        self.name, self.pki = name, pki
        self.addresses = []
        self.ports = [PORT]
        self.sessions = []
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        """Back to a decent server."""
        self.certificate = ("good", self.name)
        self.sni = {}			# other certificates by SNI name
        self.lacks = set()		# extensions that it does not offer
        self.lacks_in_tls = set()	# not any more, inside TLS
        self.size = 50 * 1024 * 1024
        self.extra = []			# further EHLO lines
        self.extra_in_tls = []		# the same, inside TLS alone
        self.implicit_tls = False	# before the greeting
        self.old_tls = False
        self.banner = self.name
        self.rules = []
        self.hello_only = False

    def offers(self, tls):
        lines = []
        for word in EXTENSIONS:
            if word in self.lacks or (tls and (word == "STARTTLS" or word in
                                               self.lacks_in_tls)):
                continue
            lines.append(f"SIZE {self.size}" if word == "SIZE" else word)
        return lines + [line for line in self.extra if not tls or
                        line.split()[0] not in self.lacks_in_tls] \
            + (self.extra_in_tls if tls else [])

    def context(self, seen):
        """The TLS context; SEEN gets the SNI name."""
        context = self.pki.context(*self.certificate)
        if self.old_tls:
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
            context.set_ciphers("ALL:@SECLEVEL=0")

        def choose(tls, name, _):
            seen.append(name)
            if name in self.sni:
                tls.context = self.pki.context(*self.sni[name])

        context.sni_callback = choose
        return context

    def rule(self, step, line=""):
        """The action for this step, counted."""
        with self.lock:
            for rule in self.rules:
                if rule.applies(step, line):
                    if rule.times is not None:
                        rule.times -= 1
                    return rule
        return None

    def messages(self):
        return [message for session in list(self.sessions)
                for message in session.messages]

    def verbs(self):
        return [verb for session in list(self.sessions)
                for verb in session.verbs()]


class Mx:
    """All scripted mail servers of a world."""

    def __init__(self, pki):
        self.pki = pki
        self.hosts = {}
        self.by_address = {}
        self.listeners = {}
        self.by_mark = {}	# see note()
        self.lock = threading.Lock()
        self.selector = selectors.DefaultSelector()
        self.wake, waker = socket.socketpair()
        self.waker = waker
        self.selector.register(self.wake, selectors.EVENT_READ)
        threading.Thread(target=self._accept, daemon=True).start()

    def host(self, name):
        with self.lock:
            if name not in self.hosts:
                self.hosts[name] = Host(name, self.pki)
            return self.hosts[name]

    def listen(self, host, address):
        """This host now answers at this address."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = [socket.create_server((address, port), family=family,
                                     backlog=128) for port in host.ports]
        with self.lock:
            host.addresses.append(address)
            self.by_address[address] = host
            self.listeners[address] = made
            for listener in made:
                self.selector.register(listener, selectors.EVENT_READ)
        self.waker.send(b"!")

    def stop(self, host):
        """Nobody listens there any more: connections are refused."""
        with self.lock:
            for address in host.addresses:
                for listener in self.listeners.pop(address, ()):
                    self.selector.unregister(listener)
                    listener.close()
        self.waker.send(b"!")

    def resume(self, host):
        """The server listens again where it did."""
        addresses, host.addresses = host.addresses, []
        for address in addresses:
            if address not in self.listeners:
                self.listen(host, address)
            else:
                host.addresses.append(address)

    def note(self, host, session, message):
        """Indexes a message by each X-World mark that stands in it."""
        for mark in set(re.findall(rb"^X-World: (\S+)\r$", message.data,
                                   re.MULTILINE)):
            with self.lock:
                self.by_mark.setdefault(mark.decode(), []).append(
                    (host, session, message))

    def marked(self, mark):
        """[(host, session, message)…] that carry this mark anywhere."""
        with self.lock:
            return list(self.by_mark.get(mark, ()))

    def sessions(self):
        return [session for host in list(self.hosts.values())
                for session in list(host.sessions)]

    def _accept(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.wake:
                    self.wake.recv(64)
                    continue
                try:
                    sock, peer = key.fileobj.accept()
                    address = sock.getsockname()[0]
                except OSError:		# stopped meanwhile
                    continue
                host = self.by_address[address]
                conversation = Conversation(self, host, sock, peer, address)
                threading.Thread(target=conversation.run, daemon=True).start()


class Conversation:
    """One connection: straight through RFC 5321, but for the rules."""

    def __init__(self, mx, host, sock, peer, address):
        self.mx, self.host, self.sock = mx, host, sock
        self.sock.settimeout(PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.session = Session(host, f"{peer[0]} {peer[1]}")
        self.session.address = address
        self.sender = None
        self.parameters = ""
        self.recipients = []
        host.sessions.append(self.session)

    def run(self):
        try:
            self._converse()
        except Closed as how:
            self.session.end = str(how)
        except (OSError, ssl.SSLError) as error:
            self.session.end = f"lost: {error}"
        finally:
            try:
                self.sock.close()
            except OSError:
                pass

    # The wire.

    def _fill(self):
        part = self.sock.recv(65536)
        if not part:
            raise Closed("closed by the client")
        self.buffer += part

    def _line(self):
        while b"\n" not in self.buffer:
            self._fill()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r").decode("latin-1")

    def _send(self, octets):
        self.sock.sendall(octets)

    def _reply(self, text):
        """One reply; several lines are parted by | in TEXT."""
        lines = text.split("|")
        code = lines[0][:3]
        out = []
        for index, line in enumerate(lines):
            body = line[4:] if line[:3] == code else line
            out.append(code + (" " if index == len(lines) - 1 else "-") + body)
        self.session.replies += out
        self._send("".join(line + "\r\n" for line in out).encode("latin-1"))

    # Rules.

    def _act(self, step, line, usual):
        """Does what this step's rule says, else replies USUAL.

        Returns the first digit of what was answered.
        """
        return self._apply(self.host.rule(step, line), step, line, usual)

    def _apply(self, rule, step, line, usual):
        if rule is None:
            self._reply(usual)
            return usual[0]
        if rule.action == "call":		# and then the next rule, if any
            rule.argument()
            return self._act(step, line, usual)
        if rule.action == "wait":
            time.sleep(rule.argument)
            return self._act(step, line, usual)
        if rule.action == "answer":
            self._reply(rule.argument)
            if rule.argument[:3] == "421":
                raise Closed("closed by the server after 421")
            return rule.argument[0]
        if rule.action == "raw":
            self._send(rule.argument)
            self.session.replies.append(rule.argument.decode("latin-1"))
            return chr(rule.argument[0]) if rule.argument else "0"
        if rule.action == "drip":
            for octet in (usual + "\r\n").encode():
                self._send(bytes([octet]))
                time.sleep(rule.argument)
            self.session.replies.append(usual)
            return usual[0]
        self._end(rule.action)

    def _end(self, action):
        """The connection ends in one of the ways that one can."""
        if action == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 struct.pack("ii", 1, 0))
            raise Closed("reset by the server")
        if action == "silent":
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                if not self.sock.recv(65536):
                    raise Closed("closed by the client while it waited")
            raise Closed("silent to the end")
        raise Closed("closed by the server")

    # The conversation.

    def _converse(self):
        self.sock.settimeout(0.01)
        try:
            self.session.early_talk = not self.host.implicit_tls \
                and bool(self.sock.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            pass
        self.sock.settimeout(PATIENCE)
        if self.host.implicit_tls:
            self._handshake()
        self._act("greeting", "", f"220 {self.host.banner} ESMTP")
        while True:
            line = self._line()
            self.session.commands.append(line)
            verb = line.split(" ")[0].split(":")[0].upper()
            self.session.pipelined |= bool(self.buffer)
            handler = getattr(self, "_do_" + verb.lower(), None)
            if handler is None:
                self._act(verb, line, "500 5.5.2 what do you mean?")
            else:
                handler(line)

    def _do_ehlo(self, line):
        if self.host.hello_only:
            return self._act("EHLO", line, "502 5.5.1 never heard of it")
        offers = self.host.offers(self.session.tls)
        return self._act("EHLO", line,
                         "|".join([f"250 {self.host.name}"] + offers))

    def _do_helo(self, line):
        self._act("HELO", line, f"250 {self.host.name}")

    def _do_starttls(self, line):
        if "STARTTLS" in self.host.lacks or self.session.tls:
            self._reply("503 5.5.1 not offered")
            return
        rule = self.host.rule("STARTTLS", line)
        if rule is not None and rule.action == "inject":
            # One packet: the 220 and what somebody in the middle puts behind.
            self._send(b"220 2.0.0 go ahead\r\n" + rule.argument)
        elif self._apply(rule, "STARTTLS", line, "220 2.0.0 go ahead") != "2":
            return
        self._handshake()

    def _handshake(self):
        if self.buffer:
            raise Closed("the client sent plaintext behind STARTTLS")
        rule = self.host.rule("handshake")
        while rule is not None and rule.action == "call":
            rule.argument()
            rule = self.host.rule("handshake")
        if rule is not None:
            if rule.action == "raw":
                self._send(rule.argument)
                raise Closed("closed by the server")
            self.sock.recv(1)
            self._end(rule.action)
        seen = []
        self.sock = self.host.context(seen).wrap_socket(self.sock,
                                                        server_side=True)
        self.session.tls = {"version": self.sock.version(),
                            "cipher": (self.sock.cipher() or ("",))[0],
                            "sni": seen[0] if seen else None}
        self._forget()

    def _forget(self):
        self.sender, self.parameters, self.recipients = None, "", []

    @staticmethod
    def _path(line):
        """(address, parameters) of MAIL FROM:<…> or RCPT TO:<…>."""
        _, _, rest = line.partition("<")
        quoted, at = False, 0
        for at, char in enumerate(rest):
            if char == '"':
                quoted = not quoted
            if char == ">" and not quoted:
                break
        return rest[:at], rest[at + 1:].strip()

    def _do_mail(self, line):
        if self.sender is not None:
            self._reply("503 5.5.1 nested MAIL")
            return
        sender, parameters = self._path(line)
        if self._act("MAIL", line, "250 2.1.0 fine") == "2":
            self.sender, self.parameters = sender, parameters

    def _do_rcpt(self, line):
        if self.sender is None:
            self._act("RCPT", line, "503 5.5.1 MAIL first")
            return
        if self._act("RCPT", line, "250 2.1.5 fine") == "2":
            self.recipients.append(self._path(line)[0])

    def _do_data(self, line):
        if not self.recipients:
            usual = "554 5.5.1 no valid recipients"
        else:
            usual = "354 go ahead"
        if self._act("DATA", line, usual) != "3":
            return
        message = Message(self.sender, self.parameters, self.recipients,
                          self.session.tls is not None)
        self._read_body(message)
        self.session.messages.append(message)
        self.mx.note(self.host, self.session, message)
        message.accepted = self._act("dot", "", "250 2.0.0 taken") == "2"
        self._forget()

    def _read_body(self, message):
        """Reads to the final dot, or breaks off where the rule says."""
        rule = self.host.rule("body")
        wire, end = b"", -1
        while end == -1:
            if not self.buffer:
                self._fill()
            seen, wire, self.buffer = len(wire), wire + self.buffer, b""
            # A lone dot may be the very first line.
            end = -2 if wire.startswith(b".\r\n") \
                else wire.find(b"\r\n.\r\n", max(0, seen - 5))
            if rule is not None and (end != -1 or len(wire) >= rule.after):
                self.session.cut = len(wire)
                if rule.action != "call":
                    self._end(rule.action)
                rule.argument()
                rule = None
        message.wire, self.buffer = wire[:end + 2], wire[end + 5:]
        message.data = b"\r\n".join(
            part[1:] if part.startswith(b".") else part
            for part in message.wire.split(b"\r\n"))

    def _do_rset(self, line):
        self._forget()
        self._act("RSET", line, "250 2.0.0 forgotten")

    def _do_noop(self, line):
        self._act("NOOP", line, "250 2.0.0 indeed")

    def _do_quit(self, line):
        self._act("QUIT", line, "221 2.0.0 bye")
        raise Closed("QUIT")
