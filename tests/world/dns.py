"""What does the world's DNS say, and how does it fail?

    culver → unbound (validating, 127.0.0.1:53) → Wire → knot (signed zones)

Every zone has a name server address of its own; all of them lead to `Wire`,
a thin relay in front of knot that knows each question and can be told to
answer SERVFAIL, NXDOMAIN or nothing at all. Zones may be added and changed
while the world runs; unbound then forgets what it knew of them.

A zone is *signed* (chain of trust from our own root), *unsigned* (an insecure
delegation) or *bogus* (signed, but its parent vouches for another key).
"""

import hashlib
import itertools
import os
import re
import selectors
import socket
import struct
import threading
import time

from . import space

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16,
         "AAAA": 28, "DS": 43, "DNSKEY": 48, "TLSA": 52, "ANY": 255}
NAMES = {number: name for name, number in TYPES.items()}

ROOT_SERVER = "203.0.113.53"
RESOLVER = "127.0.0.1"
LAX_RESOLVER = "127.0.0.2"		# the same answers, never validated
KNOT = ("127.0.0.53", 5300)
TTL = 60


# --- messages, as far as tests need them -----------------------------------

def encode_name(name):
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            out += bytes([len(label)]) + label.encode("ascii")
    return out + b"\0"


def decode_name(packet, at):
    """The name at this offset, lower case, and the offset behind it."""
    labels, end = [], None
    while packet[at]:
        if packet[at] >= 0xc0:
            end = end or at + 2
            at = struct.unpack_from("!H", packet, at)[0] & 0x3fff
            continue
        labels.append(packet[at + 1:at + 1 + packet[at]])
        at += 1 + packet[at]
    name = b".".join(labels).decode("ascii", "replace").lower() or "."
    return name, end or at + 1


def question(name, kind, ident=0x4242, dnssec=True):
    """A recursive query with AD, and DO when DNSSEC data are wanted."""
    head = struct.pack("!6H", ident, 0x0120, 1, 0, 0, 1)
    body = encode_name(name) + struct.pack("!2H", TYPES[kind], 1)
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0x8000 if dnssec else 0, 0)
    return head + body + opt


class Answer:
    """A parsed reply: rcode, AD and the answer section's (name, type, rdata)."""

    def __init__(self, packet):
        _, flags, questions, answers, _, _ = struct.unpack_from("!6H", packet)
        self.rcode, self.ad = flags & 15, bool(flags & 0x20)
        self.truncated = bool(flags & 0x200)
        self.records = []
        at = 12
        for _ in range(questions):
            _, at = decode_name(packet, at)
            at += 4
        for _ in range(answers):
            name, at = decode_name(packet, at)
            kind, _, _, size = struct.unpack_from("!HHIH", packet, at)
            at += 10
            self.records.append((name, kind, packet[at:at + size]))
            at += size

    def rdata(self, kind):
        return [data for _, number, data in self.records
                if number == TYPES[kind]]


def ask(name, kind, server=RESOLVER, port=53, timeout=5.0, dnssec=False):
    """One question over UDP, over TCP when the answer did not fit."""
    query = question(name, kind, dnssec=dnssec)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect((server, port))
        sock.send(query)
        packet = sock.recv(4096)
    answer = Answer(packet)
    return Answer(ask_tcp(query, server, port)) if answer.truncated else answer


def ask_tcp(query, server, port):
    with socket.create_connection((server, port), 5) as sock:
        sock.sendall(struct.pack("!H", len(query)) + query)
        with sock.makefile("rb") as stream:
            size, = struct.unpack("!H", stream.read(2))
            return stream.read(size)


def digest_of(zone, dnskey):
    """The DS record's text for a zone with this DNSKEY."""
    flags, _, algorithm = struct.unpack_from("!HBB", dnskey)
    tag = sum(octet << 8 if index % 2 == 0 else octet
              for index, octet in enumerate(dnskey))
    tag = (tag + (tag >> 16)) & 0xffff
    digest = hashlib.sha256(encode_name(zone) + dnskey).hexdigest()
    return f"{tag} {algorithm} 2 {digest}"


# --- the relay in front of knot ---------------------------------------------

class Wire:
    """Passes questions for our zones to knot, or fails them as told."""

    def __init__(self):
        self.faults = {}	# (name, type or None) → "SERVFAIL" | …
        self.lock = threading.Lock()
        self.selector = selectors.DefaultSelector()
        self.wake_read, self.wake_write = os.pipe()
        self.selector.register(self.wake_read, selectors.EVENT_READ, None)
        threading.Thread(target=self._loop, daemon=True).start()

    def listen(self, address):
        """Also answer at this address."""
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((address, 53))
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((address, 53))
        tcp.listen(16)
        with self.lock:
            self.selector.register(udp, selectors.EVENT_READ, self._udp)
            self.selector.register(tcp, selectors.EVENT_READ, self._tcp)
        os.write(self.wake_write, b"!")

    def fail(self, fault, name, kind=None):
        """FAULT is SERVFAIL, NXDOMAIN, REFUSED or timeout; None mends it."""
        with self.lock:
            key = name.rstrip(".").lower(), kind
            if fault is None:
                self.faults.pop(key, None)
            else:
                self.faults[key] = fault

    def mend(self, zone):
        """Everything at and below this name works again."""
        with self.lock:
            for key in [key for key in self.faults
                        if key[0] == zone or key[0].endswith("." + zone)]:
                del self.faults[key]

    def _loop(self):
        upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        upstream.connect(KNOT)
        upstream.settimeout(1)
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    os.read(self.wake_read, 64)
                else:
                    key.data(key.fileobj, upstream)

    def _verdict(self, query):
        """(drop?, the faulty reply or None) for this query."""
        name, at = decode_name(query, 12)
        kind = NAMES.get(struct.unpack_from("!H", query, at)[0])
        with self.lock:
            fault = self.faults.get((name, kind), self.faults.get((name, None)))
        if fault is None:
            return False, None
        if fault == "timeout":
            return True, None
        rcode = {"SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}[fault]
        head = query[:2] + struct.pack("!5H", 0x8400 | rcode, 1, 0, 0, 0)
        return False, head + query[12:at + 4]

    def _udp(self, sock, upstream):
        query, peer = sock.recvfrom(4096)
        drop, reply = self._verdict(query)
        if drop:
            return
        try:
            if reply is None:
                upstream.send(query)
                reply = upstream.recv(65535)
                while reply[:2] != query[:2]:	# a late one of another question
                    reply = upstream.recv(65535)
            sock.sendto(reply, peer)
        except OSError:
            pass			# unbound asks again

    def _tcp(self, sock, _):
        peer, _ = sock.accept()
        threading.Thread(target=self._serve_tcp, args=(peer,),
                         daemon=True).start()

    def _serve_tcp(self, peer):
        peer.settimeout(10)
        with peer, peer.makefile("rb") as stream:
            try:
                while size := stream.read(2):
                    query = stream.read(struct.unpack("!H", size)[0])
                    drop, reply = self._verdict(query)
                    if drop:
                        time.sleep(10)
                        return
                    reply = reply or ask_tcp(query, *KNOT)
                    peer.sendall(struct.pack("!H", len(reply)) + reply)
            except (OSError, struct.error):
                pass


# --- zones and servers -------------------------------------------------------

class Zone:
    def __init__(self, name, security, address):
        self.name, self.security, self.address = name, security, address
        self.records = []	# (owner as written, text), in the file's words

    @property
    def signed(self):
        return self.security != "unsigned"

    def text(self):
        ns = "ns." if self.name == "." else f"ns.{self.name}."
        lines = [f"$ORIGIN {self.name.rstrip('.')}.", f"$TTL {TTL}",
                 f"@ SOA {ns} hostmaster {1} 3600 600 604800 5",
                 f"@ NS {ns}", f"{ns} A {self.address}"]
        return "\n".join(lines + [f"{owner} {text}"
                                  for owner, text in self.records]) + "\n"


KNOT_CONF = """\
server:
    rundir: "/run/knot"
    listen: "{0}@{1}"
    tcp-io-timeout: 5000
database:
    storage: "/var/lib/knot"
log:
  - target: "/world/dns/knot.log"
    any: info
policy:
  - id: shared
    algorithm: ecdsap256sha256
    single-type-signing: on
    ksk-shared: on
    rrsig-lifetime: 30d
    rrsig-refresh: 7d
template:
  - id: default
    storage: "/world/dns/zones"
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    semantic-checks: soft
zone:
"""

UNBOUND_CONF = """\
server:
    chroot: ""
    directory: "/world/dns"
    username: ""
    pidfile: ""
    use-syslog: no
    logfile: "/world/dns/{name}.log"
    verbosity: 1
    log-queries: yes
    log-time-ascii: yes
    val-log-level: 2
    interface: {address}
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    do-ip6: no
    root-hints: "/world/dns/root.hints"
    module-config: "{modules}"
    trust-anchor-file: "/world/dns/root.key"
    local-zone: "test." nodefault
    num-threads: 1
    so-reuseport: no
    infra-host-ttl: 1
    cache-max-negative-ttl: 5
    val-bogus-ttl: 1
    prefetch: no
remote-control:
    control-enable: yes
    control-interface: "/run/{name}.ctl"
    control-use-cert: no
"""


class Dns:
    """The whole of it: started once a world, changed by many scenarios."""

    def __init__(self, log=lambda text: None):
        self.log = log
        self.lock = threading.RLock()
        self.folder = space.WORLD + "/dns"
        self.zones = {}
        self.wire = Wire()
        self.key = None
        self.addresses = (f"198.19.{high}.{low}" for high, low in
                          itertools.product(range(256), range(1, 255)))

    # Zones. Each call writes files only; publish() makes them live.

    def add_zone(self, name, security="unsigned"):
        name = name.lower()
        with self.lock:
            if name in self.zones:
                raise ValueError(f"zone {name} exists already")
            address = ROOT_SERVER if name == "." else next(self.addresses)
            zone = self.zones[name] = Zone(name, security, address)
            self.wire.listen(address)
            parent = self.zone_of(name.partition(".")[2] or ".")
            if parent is not None and parent is not zone:
                # Absolute names throughout: no origin to get wrong.
                parent.records += [(f"{name}.", f"NS ns.{name}."),
                                   (f"ns.{name}.", f"A {address}")]
            return zone

    def zone_of(self, name):
        """The zone that holds this name, or None."""
        name = name.rstrip(".").lower()
        while name not in self.zones:
            if not name or name == ".":
                return self.zones.get(".")
            name = name.partition(".")[2] or "."
        return self.zones[name]

    def add(self, owner, text):
        """A record of an absolute owner name, its data in zone file words."""
        with self.lock:
            zone = self.zone_of(owner)
            record = (owner.rstrip(".") + ".", text)
            if record not in zone.records:
                zone.records.append(record)

    def remove(self, owner, kind=None):
        """All records of this owner, or those of one type; how many."""
        with self.lock:
            zone, owner = self.zone_of(owner), owner.rstrip(".") + "."
            gone = [record for record in zone.records if record[0] == owner
                    and kind in (None, record[1].split()[0])]
            for record in gone:
                zone.records.remove(record)
            return len(gone)

    def texts(self, owner):
        """What TXT records say there, their strings joined."""
        with self.lock:
            return ["".join(re.findall(r'"([^"]*)"', text)) for name, text
                    in self.zone_of(owner).records
                    if name == owner.rstrip(".") + "."
                    and text.startswith("TXT ")]

    def publish(self, *names):
        """Makes the zones' present text what the world sees."""
        with self.lock:
            zones = [self.zones[name] for name in names or self.zones]
            for zone in zones:
                self._write(zone)
            self._configure()
            if self.key is None:
                return
            for zone in zones:
                self._knotc("-b", "zone-reload", zone.name)
                self.forget(zone.name)

    def forget(self, zone):
        """unbound drops what it knows at and below this name."""
        for name in ("unbound", "lax"):
            self._unbound(name, f"flush_zone {zone}")
            self._unbound(name, "flush_negative")
            self._unbound(name, "flush_bogus")

    # Servers.

    def start(self):
        for path in (self.folder + "/zones", space.PEERS + "/run/knot",
                     space.PEERS + "/var/lib/knot"):
            os.makedirs(path, exist_ok=True)
        for zone in self.zones.values():
            self._write(zone)
        self._configure()
        space.serve(["knotd", "-c", "/world/dns/knot.conf"],
                    self.folder + "/knot.out")
        self.key = self._wait_for_key()
        self.publish()			# now with the DS records in it
        self._start_unbound("unbound", RESOLVER, "validator iterator")
        self._start_unbound("lax", LAX_RESOLVER, "iterator")
        self._wait(lambda: ask(".", "SOA", timeout=1).ad,
                   "unbound does not prove the root's SOA")

    def _start_unbound(self, name, address, modules):
        with open(f"{self.folder}/root.hints", "w") as out:
            out.write(f". 3600000 NS ns.\nns. 3600000 A {ROOT_SERVER}\n")
        with open(f"{self.folder}/root.key", "w") as out:
            out.write(f". IN DS {digest_of('.', self.key)}\n")
        with open(f"{self.folder}/{name}.conf", "w") as out:
            out.write(UNBOUND_CONF.format(name=name, address=address,
                                          modules=modules))
        space.serve(["unbound", "-d", "-c", f"/world/dns/{name}.conf"],
                    f"{self.folder}/{name}.out")
        self._wait(lambda: ask(".", "SOA", address, timeout=1).rcode == 0,
                   f"{name} does not answer")

    def _wait_for_key(self):
        def key():
            return ask(".", "DNSKEY", *KNOT, timeout=1).rdata("DNSKEY")
        self._wait(key, "knot does not sign the root")
        return key()[0]

    @staticmethod
    def _wait(ready, complaint, patience=20):
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                if ready():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError(complaint)

    def _write(self, zone):
        text = zone.text()
        if self.key is not None:
            for child in self.zones.values():
                if child is not zone and child.signed \
                        and self._parent(child) is zone:
                    text += f"{child.name}. DS {self._ds(child)}\n"
        name = "" if zone.name == "." else zone.name
        path = f"{self.folder}/zones/{name}.zone"
        with open(path + ".new", "w") as out:
            out.write(text)
        os.rename(path + ".new", path)

    def _parent(self, zone):
        if zone.name == ".":
            return None
        return self.zone_of(zone.name.partition(".")[2] or ".")

    def _ds(self, zone):
        text = digest_of(zone.name, self.key)
        if zone.security == "bogus":	# vouch for a key that nobody has
            tag, algorithm, kind, digest = text.split()
            text = f"{tag} {algorithm} {kind} {digest[::-1]}"
        return text

    def _configure(self):
        """Tells knot which zones there are, when that has changed."""
        lines = [KNOT_CONF.format(*KNOT)]
        for zone in self.zones.values():
            lines.append(f'  - domain: "{zone.name}"\n')
            if zone.signed:
                lines.append("    dnssec-signing: on\n"
                             "    dnssec-policy: shared\n")
        path, text = self.folder + "/knot.conf", "".join(lines)
        if os.path.exists(path) and open(path).read() == text:
            return
        with open(path, "w") as out:
            out.write(text)
        if self.key is not None:
            self._knotc("reload")

    def _knotc(self, *words):
        space.chroot(["knotc", "-c", "/world/dns/knot.conf", "-t", "30",
                      *words])

    def _unbound(self, name, command):
        """One command of unbound's remote control, spoken directly."""
        if not os.path.exists(f"{space.PEERS}/run/{name}.ctl"):
            return
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(f"{space.PEERS}/run/{name}.ctl")
            sock.sendall(f"UBCT1 {command}\n".encode())
            sock.makefile().read()

    # What was asked of the resolvers.

    def asked(self, since=0):
        """[(name, type)…] that unbound was asked, and where to go on."""
        seen, path = [], self.folder + "/unbound.log"
        with open(path, errors="replace") as log:
            log.seek(since)
            for line in log:
                words = line.split()
                # … unbound[7:0] info: 127.0.0.1 name. TYPE IN
                if len(words) > 5 and words[-1] == "IN" \
                        and words[-4].startswith("127."):
                    seen.append((words[-3].rstrip(".").lower(), words[-2]))
            return seen, log.tell()
