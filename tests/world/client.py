"""How does mail get into the relay? A plain SMTP client, and messages to send.

The client says exactly what it is told, so that a scenario can also send what
no mail program would. Every message carries a mark of its own in a header
field; by it the player recognises the message wherever it turns up.
"""

import itertools
import socket
import time

_serial = itertools.count(1)


class Refused(Exception):
    """The server did not take it: code and text say why."""

    def __init__(self, where, code, text):
        super().__init__(f"{where}: {code} {text}")
        self.where, self.code, self.text = where, code, text


class Client:
    def __init__(self, port, address="127.0.0.1", timeout=120):
        self.sock = socket.create_connection((address, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.sock.makefile("rb")
        self.greeting = self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.sock.close()

    def read(self):
        """(code, text) of one reply, its lines joined by |."""
        lines = []
        while True:
            line = self.stream.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("closed by the server"
                                      + (" inside a reply" if lines else ""))
            text = line.decode("latin-1").rstrip("\r\n")
            lines.append(text[4:])
            if text[3:4] != "-":
                return int(text[:3]), "|".join(lines)

    def say(self, line):
        self.sock.sendall(line.encode("latin-1") + b"\r\n")

    def command(self, line):
        self.say(line)
        return self.read()

    def demand(self, line, first):
        """A command whose answer must begin with this digit."""
        code, text = self.command(line)
        if code // 100 != first:
            raise Refused(line.split(" ")[0], code, text)
        return text

    def send(self, sender, recipients, data, parameters="", at=None):
        """One transaction; the queue id.

        AT maps a point (MAIL, RCPT, DATA, body, dot) to something to do when
        that has been said but not answered ("body": half of it is out).
        """
        at = at or {}
        self._step(f"MAIL FROM:<{sender}>" + (" " + parameters if parameters
                                              else ""), 2, at.get("MAIL"))
        if len(recipients) > 50 and "RCPT" not in at:
            self._many(recipients)
        else:
            for recipient in recipients:
                self._step(f"RCPT TO:<{recipient}>", 2, at.get("RCPT"))
        self._step("DATA", 3, at.get("DATA"))
        wire = b"\r\n".join(b"." + line if line.startswith(b".") else line
                            for line in data.split(b"\r\n"))
        if at.get("body"):
            half = len(wire) // 2
            self.sock.sendall(wire[:half])
            at["body"]()
            wire = wire[half:]
        self.sock.sendall(wire + b".\r\n")
        if at.get("dot"):
            at["dot"]()
        code, text = self.read()
        if code // 100 != 2:
            raise Refused("dot", code, text)
        return text.split("queued as ")[-1].split()[0]

    def _step(self, line, first, then):
        self.say(line)
        if then:
            then()
        code, text = self.read()
        if code // 100 != first:
            raise Refused(line.split(" ")[0], code, text)

    def _many(self, recipients):
        """RCPT in groups of 50 (PIPELINING), so that a thousand are quick."""
        for start in range(0, len(recipients), 50):
            group = recipients[start:start + 50]
            self.sock.sendall("".join(f"RCPT TO:<{one}>\r\n" for one in group)
                              .encode("latin-1"))
            for _ in group:
                code, text = self.read()
                if code // 100 != 2:
                    raise Refused("RCPT", code, text)


class Mail:
    """A message that the player sent, or tried to."""

    def __init__(self, sender, recipients, data, mark):
        self.sender, self.recipients = sender, recipients
        self.data, self.mark = data, mark
        self.id = None			# set when it was taken
        self.refusal = None
        self.exact = True		# nobody may add a field but Received

    @property
    def taken(self):
        return self.id is not None


def compose(name, sender, recipients, size=0, eight_bit=False, dots=False,
            text=None, long_lines=False):
    """A Mail with a mark of its own; SIZE octets at least."""
    mark = f"{name}-{next(_serial)}"
    head = (f"X-World: {mark}\r\nFrom: <{sender or 'postmaster@home.example'}>"
            f"\r\nTo: {', '.join(f'<{one}>' for one in recipients[:3])}\r\n"
            f"Subject: {mark}\r\nMessage-ID: <{mark}@home.example>\r\n"
            f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}"
            f"\r\nMIME-Version: 1.0\r\n")
    if eight_bit:
        head += ("Content-Type: text/plain; charset=utf-8\r\n"
                 "Content-Transfer-Encoding: 8bit\r\n")
    head += "\r\n"
    body = text.encode() if text is not None else b"Hello.\r\n"
    if text is not None:
        body = b"\r\n".join(body.split(b"\n")) + b"\r\n"
    if eight_bit:
        body += "Grüße über den Ärmelkanal\r\n".encode()
        body += bytes(range(128, 256)) + b"\r\n"
    if dots:
        body += (b".\r\n..\r\n.leading\r\n...\r\n\r\n.\r\n\r\nmid.dle\r\n"
                 b"trailing.\r\n. \r\n")
    if long_lines:
        body += b"x" * 998 + b"\r\n" + b"." * 998 + b"\r\n"
    line = b"A line of no interest that only makes the message longer.\r\n"
    missing = size - len(head) - len(body)
    if missing > 0:
        body += line * (missing // len(line) + 1)
    return Mail(sender, list(recipients), head.encode() + body, mark)
