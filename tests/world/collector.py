"""Who takes TLS reports over https, and how badly?

Each collector is a name with an address of its own, listening on 443, and
keeps every request as it came. It answers 201 unless told otherwise.
"""

import socket
import ssl
import threading
import time


class Post:
    """One request as it came; body is None when it never was whole."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.body = method, path, body
        self.headers = headers		# names in lower case
        self.answered = None		# the status that we gave
        self.when = time.monotonic()


class Collector:
    def __init__(self, name, address, pki):
        self.name, self.address, self.pki = name, address, pki
        self.lock = threading.Lock()
        self.posts = []
        self.connections = 0
        self.reset()

    def reset(self):
        """Back to a decent one."""
        self.certificate = "good"
        self.answers = []	# (times or None, status, further header)
        self.fault = None	# "endless", "silent", "closes", "refuses"

    def start(self):
        listener = socket.create_server((self.address, 443), backlog=16)
        threading.Thread(target=self._accept, args=(listener,),
                         daemon=True).start()

    def _accept(self, listener):
        while True:
            sock, _ = listener.accept()
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(120)
        context = self.pki.context(self.certificate, self.name)
        try:
            with sock, context.wrap_socket(sock, server_side=True) as tls:
                post = self._read(tls.makefile("rb"))
                if post is None:
                    return
                with self.lock:
                    self.posts.append(post)
                    status, more = self._next_answer()
                    post.answered = None if self.fault in (
                        "silent", "closes") else status
                self._answer(tls, status, more)
        except (OSError, ssl.SSLError):
            pass

    @staticmethod
    def _read(stream):
        line = stream.readline(65536).decode("latin-1").split()
        if len(line) != 3:
            return None
        headers = {}
        while (field := stream.readline(65536).strip()):
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        size = int(headers.get("content-length", "0"))
        body = stream.read(size)
        return Post(line[0], line[1], headers,
                    body if len(body) == size else None)

    def _next_answer(self):
        for index, (times, status, more) in enumerate(self.answers):
            if times is None:
                return status, more
            if times > 0:
                self.answers[index] = times - 1, status, more
                return status, more
        return 201, ""

    def _answer(self, tls, status, more):
        if self.fault == "silent":
            time.sleep(120)
        if self.fault in ("silent", "closes"):
            return
        head = f"HTTP/1.1 {status} {'Created' if status == 201 else 'Well'}" \
               f"\r\n{more}"
        if self.fault != "endless":
            tls.sendall((head + "Content-Length: 3\r\n\r\nok\n").encode())
            return
        tls.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        while True:
            tls.sendall(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
