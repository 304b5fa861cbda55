"""Everything that a scenario may find outside the relay, started together.

    world = World(build)        inside the namespaces of space.py
    world.start()
    …
    (nothing to stop: it ends with its namespaces)

Names that every world has: the signed root, the signed top level domains
`example` and `test`, the relay's own name relay.world.example, and
home.example, where senders live and where their bounces arrive.
"""

import itertools
import re
import threading

from . import collector, culver, dns, exim, mx, opensmtpd, pki, postfix
from . import space, web

HOME = "home.example"
HOME_MX = "mx.home.example"


class World:
    def __init__(self, build, log=lambda text: None):
        self.build, self.log = build, log
        self.lock = threading.RLock()
        self.alive = itertools.chain(
            (f"198.51.100.{host}" for host in range(1, 255)),
            (f"198.18.{net}.{host}" for net in range(256)
             for host in range(1, 255)))
        self.alive6 = (f"2001:db8::{host:x}" for host in range(0x100, 0xffff))
        self.silent = (f"192.0.2.{host}" for host in itertools.cycle(
            range(1, 255)))
        self.running = False
        self.collectors = {}
        self.pki = pki.Pki()
        self.dns = dns.Dns()
        self.mx = mx.Mx(self.pki)
        self.web = web.Web(self.pki)
        self.postfix = postfix.Postfix(self.pki)
        # Started where a scenario speaks of them.
        self.strangers = {"Postfix": self.postfix,
                          "Exim": exim.Exim(self.pki),
                          "OpenSMTPD": opensmtpd.OpenSMTPD(self.pki)}
        self._furnish()

    def _furnish(self):
        self.dns.add_zone(".", "signed")
        for name in ("example", "test", "world.example", HOME):
            self.dns.add_zone(name, "signed")
        self.dns.add("relay.world.example", "A 203.0.113.1")
        self.dns.add("world.example", "MX 10 relay.world.example.")
        self.dns.add(HOME, f"MX 10 {HOME_MX}.")
        for name, address in (
                ("mx.postfix.example", postfix.ADDRESS),
                ("expired.postfix.example", postfix.EXPIRED_ADDRESS),
                ("mx.exim.example", exim.ADDRESS),
                ("expired.exim.example", exim.EXPIRED_ADDRESS),
                ("mx.opensmtpd.example", opensmtpd.ADDRESS)):
            self.dns.add(name, f"A {address}")
        self.dns.add("s1._domainkey.world.example", self.pki.dkim_record())
        self.add_host(HOME_MX)

    def start(self, strangers=("Postfix",)):
        self.log("unbound and knot")
        self.dns.start()
        self.log("nginx")
        self.web.start()
        for name in strangers:
            self.log(name)
            self.strangers[name].start()
        self.running = True

    # What scenarios declare. Before start() nothing is published.

    def add_host(self, name, kinds=("alive",), ports=()):
        """A mail server with an address of each kind, and their records."""
        with self.lock:
            host = self.mx.host(name)
            host.ports = list(ports) or host.ports
            for kind in kinds:
                self._address(host, kind)
            return host

    def _address(self, host, kind):
        source = {"alive": self.alive, "refusing": self.alive,
                  "silent": self.silent, "alive6": self.alive6,
                  "refusing6": self.alive6}.get(kind)
        if kind == "none":
            return
        if source is None:
            raise ValueError(f"an address is alive, refusing, silent, alive6, "
                             f"refusing6 or none, not {kind}")
        address = next(source)
        self.dns.add(host.name, ("AAAA " if ":" in address else "A ")
                     + address)
        if kind.startswith("alive"):
            self.mx.listen(host, address)

    def add_collector(self, name, address=None):
        """Takes reports over https there, and has an address record."""
        with self.lock:
            address = address or next(self.alive)
            one = collector.Collector(name, address, self.pki)
            self.collectors[name] = one
            self.dns.add(name, f"A {address}")
            one.start()
            return one

    def add_policy(self, domain):
        """A policy host for this domain, with its address record."""
        with self.lock:
            policy = self.web.policy(domain)
            self.hide_policy(policy)
            self._point_at(policy)
            return policy

    def hide_policy(self, policy):
        """Its name has no address any more; how many it had."""
        name = f"mta-sts.{policy.domain}"
        return self.dns.remove(name, "A") + self.dns.remove(name, "AAAA")

    def _point_at(self, policy):
        kind = "AAAA" if ":" in policy.address else "A"
        self.dns.add(f"mta-sts.{policy.domain}", f"{kind} {policy.address}")

    def place_policy(self, policy):
        """Its address record follows the kind of server that serves it."""
        if self.hide_policy(policy):
            self._point_at(policy)

    def publish_dns(self, name):
        """The zone of this name becomes what the world sees."""
        if self.running:
            self.dns.publish(self.dns.zone_of(name).name)

    def culver(self, name, settings=()):
        """In an `environment` line [mx.NAME] is that server's address."""
        def address(match):
            return self.mx.hosts[match[1]].addresses[0]

        settings = [re.sub(r"\[([\w.-]+)\]", address, line)
                    if line.startswith("environment ") else line
                    for line in map(str.strip, settings)]
        return culver.Culver(name, space.BUILD, self.pki, settings)

    # What happened.

    def arrivals(self, mark):
        """[(host, session, message)…] of the message with this mark."""
        head = f"X-World: {mark}\r\n".encode()
        return [found for found in self.mx.marked(mark)
                if head in found[2].data.partition(b"\r\n\r\n")[0] + b"\r\n"]

    def bounces(self, mark):
        """[(host, session, message)…] taken null-sender mail about it."""
        head = f"X-World: {mark}\r\n".encode()
        return [found for found in self.mx.marked(mark)
                if found[2].sender == "" and found[2].accepted
                and head not in found[2].data.partition(b"\r\n\r\n")[0]]
