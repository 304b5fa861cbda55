"""A mail server on port 25 that takes everything, and writes down when.

One listener serves every address of 127.0.0.0/8; a recipient's domain is such
an address as a literal, so that no DNS is needed. By the local part:

    refused…    550 at RCPT, for good: its sender must hear of it
    later…      451 at RCPT until `patient` is set
    others      taken

An address in `deaf` says 421 until `patient` is set. Each recipient that was
taken is told to the book (mail.py) when the final dot is there and before it is
answered: what is told there may still be owed, what is not is owed for certain.
"""

import socket
import threading

DEAF = ("127.0.0.6",)


class Server:
    def __init__(self, book, port=25):
        self.book = book
        self.patient = False
        self.sock = socket.create_server(("0.0.0.0", port), backlog=256)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(sock,),
                             daemon=True).start()

    def _talk(self, sock):
        try:
            Conversation(self, sock).run()
        except OSError:
            pass
        finally:
            sock.close()


class Conversation:
    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.address = sock.getsockname()[0]
        self.sender, self.recipients = None, []

    def run(self):
        if self.address in DEAF and not self.server.patient:
            self._say("421 4.3.2 not now")
            return
        self._say("220 mx.test ESMTP")
        while True:
            line = self._line()
            verb = line[:4].upper()
            if verb == "QUIT":
                self._say("221 2.0.0 bye")
                return
            self._serve(verb, line)

    def _serve(self, verb, line):
        if verb == "EHLO":
            self._say("250-mx.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
                      "250 ENHANCEDSTATUSCODES")
        elif verb == "MAIL":
            self.sender, self.recipients = self._path(line), []
            self._say("250 2.1.0 fine")
        elif verb == "RCPT":
            self._say(self._recipient(self._path(line)))
        elif verb == "DATA" and self.recipients:
            self._say("354 go ahead")
            self._data()
        elif verb == "DATA":
            self._say("554 5.5.1 no valid recipients")
        elif verb == "RSET":
            self.recipients = []
            self._say("250 2.0.0 forgotten")
        else:
            self._say("250 2.0.0 indeed")

    def _recipient(self, recipient):
        if recipient.startswith("refused"):
            return "550 5.1.1 no such user"
        if recipient.startswith("later") and not self.server.patient:
            return "451 4.3.0 later"
        self.recipients.append(recipient)
        return "250 2.1.5 fine"

    def _data(self):
        while not self.buffer.startswith(b".\r\n") \
                and b"\r\n.\r\n" not in self.buffer:
            self._fill()
        if self.buffer.startswith(b".\r\n"):
            wire, self.buffer = b"", self.buffer[3:]
        else:
            wire, _, self.buffer = self.buffer.partition(b"\r\n.\r\n")
            wire += b"\r\n"
        if wire.startswith(b".") or b"\r\n." in wire:
            wire = b"\r\n".join(line[1:] if line.startswith(b".") else line
                                for line in wire.split(b"\r\n"))
        self.server.book.arrived(self.sender, self.recipients, wire)
        self._say("250 2.0.0 taken")
        self.recipients = []

    @staticmethod
    def _path(line):
        return line.partition("<")[2].partition(">")[0]

    def _say(self, text):
        self.sock.sendall(text.encode() + b"\r\n")

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._fill()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode("latin-1")

    def _fill(self):
        got = self.sock.recv(262144)
        if not got:
            raise ConnectionError("closed by the client")
        self.buffer += got
