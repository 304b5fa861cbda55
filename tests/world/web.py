"""Who serves https://mta-sts.DOMAIN/.well-known/mta-sts.txt, and how badly?

nginx, with a virtual host and a certificate per domain, for everything that a
web server does. What none would do (a body that stops half way, an octet a
second, no HTTP at all, silence) a small scripted server does at an address of
its own; it also answers decently, in forms of its choice. Both keep a record
of what was fetched, the scripted one of the whole request.

Policies can be changed while the world runs; publish() returns when every
new connection sees the change.
"""

import gzip
import os
import socket
import ssl
import threading
import time

from . import space

NGINX = "203.0.113.80"		# the policy hosts' address
NGINX6 = "2001:db8:80::80"	# of those that are at IPv6
# nginx as well, but that version is all it knows: (address, its words)
ONE_TLS = {"1.1": ("203.0.113.83", "ssl_protocols TLSv1.1; "
                   "ssl_ciphers ALL:@SECLEVEL=0;"),
           "1.2": ("203.0.113.84", "ssl_protocols TLSv1.2;"),
           "1.3": ("203.0.113.85", "ssl_protocols TLSv1.3;")}
SCRIPTED = "203.0.113.81"	# that of the badly behaved ones
REFUSING = "203.0.113.82"	# nobody listens here
PATH = "/.well-known/mta-sts.txt"

# faults of the scripted server
SCRIPTED_FAULTS = ("truncated", "drip", "endless", "garbage", "silent",
                   "closes", "broken-chunk")
# what else it does, in good order
SCRIPTED_FORMS = ("recorded", "chunked", "gzip")
# It leads nobody into temptation who keeps no cache and no cookies.
TEMPTATIONS = b"""\
ETag: "1"\r
Last-Modified: Mon, 06 Jan 2025 10:00:00 GMT\r
Cache-Control: public, max-age=31536000, immutable\r
Expires: Fri, 31 Dec 2049 23:59:59 GMT\r
Set-Cookie: seen=1; Max-Age=31536000; Path=/\r
Alt-Svc: h3=":443"; ma=31536000\r
"""

CONF = """\
worker_processes 1;
daemon off;
master_process on;
pid /run/nginx.pid;
error_log /world/web/error.log warn;
events {{ worker_connections 256; }}
http {{
	log_format world '$host $time_iso8601 $status "$http_user_agent"';
	access_log /world/web/access.log world;
	types {{ text/plain txt; }}
	default_type text/plain;
	client_body_temp_path /tmp/nginx;
	proxy_temp_path /tmp/nginx-proxy;
	fastcgi_temp_path /tmp/nginx-fastcgi;
	uwsgi_temp_path /tmp/nginx-uwsgi;
	scgi_temp_path /tmp/nginx-scgi;
	server_names_hash_bucket_size 256;
	ssl_protocols TLSv1.2 TLSv1.3;
	add_header X-World {generation} always;
	server {{
		listen {address}:443 ssl default_server;
		server_name _;
		ssl_certificate {chain};
		ssl_certificate_key {key};
		return 421;
	}}
{servers}
}}
"""

SERVER = """\
	server {{
		listen {address}:443 ssl;
		server_name {host};
		ssl_certificate {chain};
		ssl_certificate_key {key};
		{tls}
		root /world/web/{domain};
		location = {path} {{ {rule} }}
		location / {{ return 404; }}
	}}
"""


class Policy:
    """What one domain's policy host shows."""

    def __init__(self, domain):
        self.domain = domain
        self.body = ""
        self.certificate = "good"
        self.certificate_name = f"mta-sts.{domain}"
        self.status = 200
        self.media_type = "text/plain"
        self.fault = None	# of SCRIPTED_FAULTS, or "refuses"
        self.form = None	# of SCRIPTED_FORMS
        self.tls = None		# of ONE_TLS
        self.six = False
        self.banned = None	# User-Agents with this text get 403

    @property
    def address(self):
        if self.fault == "refuses":
            return REFUSING
        if self.fault or self.form:
            return SCRIPTED
        if self.six:
            return NGINX6
        return ONE_TLS[self.tls][0] if self.tls else NGINX

    @property
    def octets(self):
        return self.body.encode("utf-8", "surrogateescape")

    def rule(self):
        """The nginx words for the policy's path."""
        if self.banned is not None:
            return (f'if ($http_user_agent ~ "{self.banned}") '
                    '{ return 403; } default_type "text/plain";')
        if self.status in (301, 302, 307, 308):
            # The very same policy lies behind it: only a client that follows
            # finds it.
            return f"return {self.status} https://$host/elsewhere.txt;"
        if self.status == 204:
            return "return 204;"
        if self.status != 200:
            # A perfect body with every other status.
            quoted = self.body.replace("\\", "\\\\").replace('"', '\\"')
            return f'default_type text/plain; return {self.status} "{quoted}";'
        if self.media_type == "":
            return 'types { } default_type "";'
        return f'types {{ }} default_type "{self.media_type}";'


class Web:
    def __init__(self, pki):
        self.pki = pki
        self.folder = space.WORLD + "/web"
        self.lock = threading.RLock()
        self.policies = {}
        self.generation = 0
        self.server = None
        os.makedirs(self.folder)
        self.scripted = Scripted(self)

    def policy(self, domain):
        """This domain's policy host, made when it is new."""
        domain = domain.lower()
        with self.lock:
            return self.policies.setdefault(domain, Policy(domain))

    def publish(self):
        with self.lock:
            self._write()
            if self.server is not None:
                self._reload()

    def start(self):
        self._write()
        self.server = space.serve(["nginx", "-c", "/world/web/nginx.conf"],
                                  self.folder + "/nginx.out")
        self.scripted.start()
        self._wait(self.generation)

    def fetched(self, domain):
        """How often was this domain's policy asked for? (any answer)"""
        host, count = f"mta-sts.{domain.lower()}", 0
        with open(self.folder + "/access.log", errors="replace") as log:
            count += sum(line.split(" ", 1)[0] == host for line in log)
        return count + self.scripted.asked.count(host)

    def requests(self, domain):
        """The whole requests for it, as far as the scripted server had
        them."""
        host = f"mta-sts.{domain.lower()}"
        return [text for asked, text in self.scripted.requests
                if asked == host]

    def _write(self):
        self.generation += 1
        servers = []
        for policy in self.policies.values():
            self._write_body(policy)
            if policy.address in (SCRIPTED, REFUSING):
                continue
            address = policy.address
            chain, key = self.pki.chain(policy.certificate,
                                        policy.certificate_name)
            servers.append(SERVER.format(
                address=f"[{address}]" if ":" in address else address,
                host=f"mta-sts.{policy.domain}", path=PATH,
                chain=self._inside(chain), key=self._inside(key),
                domain=policy.domain, rule=policy.rule(),
                tls=ONE_TLS[policy.tls][1] if policy.tls else ""))
        chain, key = self.pki.chain("good", "web.world.example")
        with open(self.folder + "/nginx.conf", "w") as out:
            out.write(CONF.format(
                address=NGINX, generation=self.generation,
                chain=self._inside(chain), key=self._inside(key),
                servers="".join(servers)))

    def _write_body(self, policy):
        """In one piece: somebody may be fetching it just now."""
        path = f"{self.folder}/{policy.domain}{PATH}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "wb") as out:
            out.write(policy.octets)
        os.rename(path + ".new", path)

    @staticmethod
    def _inside(path):
        return path.replace(space.WORLD, "/world", 1)

    def _reload(self):
        old = self._workers()
        space.chroot(["nginx", "-c", "/world/web/nginx.conf", "-s", "reload"])
        self._wait(self.generation, old)

    def _workers(self):
        """The nginx processes that accept connections."""
        with open(f"/proc/{self.server.pid}/task/{self.server.pid}/children"
                  ) as children:
            pids = children.read().split()
        return {pid for pid in pids if self._accepts(pid)}

    @staticmethod
    def _accepts(pid):
        try:
            with open(f"/proc/{pid}/cmdline") as title:
                return "shutting down" not in title.read()
        except OSError:
            return False

    def _wait(self, generation, old=()):
        """Until new connections are served by the new configuration: for a
        moment the old worker and the new one accept side by side."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if self._generation_seen() == generation \
                        and not any(map(self._accepts, old)):
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError("nginx does not take its configuration: see "
                           + self.folder + "/error.log")

    def _generation_seen(self):
        context = ssl.create_default_context(cafile=self.pki.ca_file)
        context.check_hostname = False
        with socket.create_connection((NGINX, 443), 2) as sock, \
                context.wrap_socket(sock, server_hostname="web.world.example"
                                    ) as tls:
            tls.sendall(b"HEAD / HTTP/1.0\r\nHost: web.world.example\r\n\r\n")
            reply = b""
            while part := tls.recv(4096):
                reply += part
        for line in reply.decode("latin-1").split("\r\n"):
            if line.lower().startswith("x-world:"):
                return int(line.split(":")[1])
        return None


class Scripted:
    """The policy host that misbehaves, or answers in other forms."""

    def __init__(self, web):
        self.web = web
        self.asked = []		# host names, one for each request
        self.requests = []	# [(host name, request line and fields)…]

    def start(self):
        listener = socket.create_server((SCRIPTED, 443), backlog=64)
        threading.Thread(target=self._accept, args=(listener,),
                         daemon=True).start()

    def _accept(self, listener):
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock):
        asked = []

        def choose(tls, name, _):
            asked.append(name or "")
            policy = self._policy(name)
            if policy is not None:
                tls.context = self.web.pki.context(policy.certificate,
                                                   policy.certificate_name)

        context = self.web.pki.context("good", "web.world.example")
        context.sni_callback = choose
        sock.settimeout(120)
        try:
            with sock, context.wrap_socket(sock, server_side=True) as tls:
                request = b""
                while b"\r\n\r\n" not in request:
                    part = tls.recv(4096)
                    if not part:
                        return
                    request += part
                host = (asked[-1] or "").lower()
                self.requests.append((host, request.decode("latin-1")))
                self.asked.append(host)
                self._misbehave(tls, self._policy(asked[-1]))
        except OSError:
            pass

    def _policy(self, host):
        return self.web.policies.get((host or "").lower().removeprefix("mta-sts."))

    @staticmethod
    def _misbehave(tls, policy):
        body = policy.octets
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        sized = head + b"Content-Length: %d\r\n\r\n" % len(body)
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
        if policy.fault is None and policy.form == "gzip":
            body = gzip.compress(body)
            tls.sendall(head + b"Content-Encoding: gzip\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(body) + body)
        elif policy.fault is None and policy.form == "chunked":
            for part in (body[:1], body[1:40], body[40:]):
                chunked += b"%x\r\n%s\r\n" % (len(part), part)
            tls.sendall(chunked + b"0\r\n\r\n")
        elif policy.fault is None:	# to be recorded, or mended meanwhile
            tls.sendall(head + TEMPTATIONS
                        + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        elif policy.fault == "truncated":
            # All lines of the policy are there: only the length tells.
            tls.sendall(head + b"Content-Length: %d\r\n\r\n"
                        % (len(body) + 40) + body)
        elif policy.fault == "broken-chunk":
            tls.sendall(chunked + b"%x\r\n%s" % (len(body) + 40, body))
        elif policy.fault == "drip":
            tls.sendall(sized)
            for octet in body:
                tls.sendall(bytes([octet]))
                time.sleep(1)
        elif policy.fault == "endless":
            tls.sendall(chunked + b"%x\r\n%s\r\n" % (len(body), body))
            line = b"x-more: " + b"x" * 1000 + b"\r\n"
            while True:
                tls.sendall(b"%x\r\n%s\r\n" % (len(line), line))
        elif policy.fault == "garbage":
            tls.sendall(b"\x00\xff hello, this is no HTTP\r\n" + body)
        elif policy.fault == "silent":
            time.sleep(120)
        # "closes": the connection just ends
