"""A real Postfix as MX: what does software that we did not write make of us?

One instance in the servers' root, for any number of domains, at two addresses:
one shows a good certificate, the other one that has expired.
What it takes lies in one mailbox folder per address; its log tells the TLS
that it saw. It sends nothing.
"""

import glob
import os
import signal
import socket
import threading
import time

from . import space

ADDRESS, EXPIRED_ADDRESS = "203.0.113.25", "203.0.113.30"

MAIN = """\
compatibility_level = 3.6
myhostname = {name}
mydestination =
inet_interfaces = {address}
inet_protocols = ipv4
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
queue_directory = /var/spool/postfix
data_directory = /var/lib/postfix
maillog_file = /var/log/postfix.log
virtual_mailbox_domains = inline:{{ {domains} }}
virtual_mailbox_base = /world/postfix
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:64105
virtual_gid_maps = static:64105
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 60000000
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtpd_peername_lookup = no
default_process_limit = 20
smtpd_client_connection_count_limit = 0
"""

MASTER = """\
smtp      inet  n  -  n  -  -    smtpd
pickup    unix  n  -  n  60 1    pickup
cleanup   unix  n  -  n  -  0    cleanup
qmgr      unix  n  -  n  300 1   qmgr
tlsmgr    unix  -  -  n  1000? 1 tlsmgr
rewrite   unix  -  -  n  -  -    trivial-rewrite
bounce    unix  -  -  n  -  0    bounce
defer     unix  -  -  n  -  0    bounce
trace     unix  -  -  n  -  0    bounce
verify    unix  -  -  n  -  1    verify
flush     unix  n  -  n  1000? 0 flush
proxymap  unix  -  -  n  -  -    proxymap
error     unix  -  -  n  -  -    error
retry     unix  -  -  n  -  -    error
discard   unix  -  -  n  -  -    discard
virtual   unix  -  n  n  -  -    virtual
anvil     unix  -  -  n  -  1    anvil
scache    unix  -  -  n  -  1    scache
postlog   unix-dgram n - n - 1   postlogd
"""

SPOOL = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold",
         "incoming", "private", "saved", "trace")


class Postfix:
    expired_name = "expired.postfix.example"

    def __init__(self, pki):
        self.pki = pki
        self.domains = ["postfix.example"]
        self.name = "mx.postfix.example"
        self.certificate = ("good", self.name)
        self.server = None
        self.lock = threading.Lock()

    def serve(self, domain):
        """Takes mail for this domain as well; live at once."""
        with self.lock:
            if domain not in self.domains:
                self.domains.append(domain)
                self._configure()
                if self.server is not None:
                    self.server.send_signal(signal.SIGHUP)

    def start(self):
        root = space.PEERS
        self._configure()
        expired = self.pki.chain("expired", self.expired_name)[0].replace(
            space.WORLD, "/world", 1)
        with open(root + "/etc/postfix/master.cf", "w") as out:
            out.write(MASTER + f"{EXPIRED_ADDRESS}:25 inet n - n - - smtpd "
                      f"-o smtpd_tls_cert_file={expired}\n")
        os.makedirs(space.WORLD + "/postfix/all")
        for path in (space.WORLD + "/postfix", space.WORLD + "/postfix/all"):
            os.chown(path, 64105, 64105)
        spool = root + "/var/spool/postfix"
        for name in SPOOL:
            self._folder(f"{spool}/{name}", 64101, -1, 0o700)
        self._folder(spool + "/public", 64101, 64106, 0o710)
        self._folder(spool + "/maildrop", 64101, 64106, 0o730)
        self._folder(spool + "/pid", 0, 0, 0o755)
        self._folder(root + "/var/lib/postfix", 64101, -1, 0o755)
        self._folder(root + "/var/log", 0, 0, 0o755)
        self.server = space.serve(["/usr/lib/postfix/sbin/master", "-d"],
                                  space.WORLD + "/postfix.out")
        self._wait()

    def mailbox(self):
        """The messages taken so far, as octets, lines ending in LF."""
        mails = []
        for path in sorted(glob.glob(space.WORLD + "/postfix/all/new/*")):
            with open(path, "rb") as mail:
                mails.append(mail.read())
        return mails

    def log(self):
        path = space.PEERS + "/var/log/postfix.log"
        if not os.path.exists(path):
            return ""
        with open(path, errors="replace") as log:
            return log.read()

    def _configure(self):
        chain, key = (path.replace(space.WORLD, "/world", 1)
                      for path in self.pki.chain(*self.certificate))
        with open(space.PEERS + "/etc/postfix/main.cf", "w") as out:
            out.write(MAIN.format(
                name=self.name, address=ADDRESS, chain=chain, key=key,
                domains=", ".join(f"{{{domain} = x}}"
                                  for domain in self.domains)))

    @staticmethod
    def _folder(path, uid, gid, mode):
        os.makedirs(path, exist_ok=True)
        os.chown(path, uid, gid if gid >= 0 else 0)
        os.chmod(path, mode)

    def _wait(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with socket.create_connection((ADDRESS, 25), 5) as sock:
                    if sock.recv(512).startswith(b"220"):
                        sock.sendall(b"QUIT\r\n")
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError("Postfix does not answer: " + self.log()[-2000:])
