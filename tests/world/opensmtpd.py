"""A real OpenSMTPD as MX: what does it make of us, and we of it?

One instance in the servers' root, for any domain. What it takes lies in one
mailbox folder; its output tells what it saw. It sends nothing.

Debian 12's build offers STARTTLS and cannot finish a handshake: its process
that holds the key does not get along with OpenSSL 3 ("EVP lib",
OpenSMTPD issue 1171). So it is the world's server whose TLS is broken in
earnest.
"""

import os

from . import exim, space

ADDRESS = "203.0.113.28"

CONFIGURATION = """\
pki good cert "{good}"
pki good key "{key}"
table all {{ "@" = "vmail" }}
smtp max-message-size "60M"
listen on {address} tls pki good hostname {name}
action keep maildir "/world/opensmtpd/all" virtual <all>
match from any for any action keep
"""


class OpenSMTPD:
    name = "mx.opensmtpd.example"
    spoken = "OpenSMTPD"

    def __init__(self, pki):
        self.pki = pki
        self.server = None

    def start(self):
        folder = space.WORLD + "/opensmtpd"
        os.makedirs(folder + "/all")
        os.chown(folder + "/all", 64105, 64105)
        inside = lambda path: path.replace(space.WORLD, "/world", 1)
        good, key = self.pki.chain("good", self.name)
        # It takes no key that others may read.
        own = folder + "/key.pem"
        with open(key) as octets, open(own, "w", opener=lambda path, flags:
                                       os.open(path, flags, 0o400)) as out:
            out.write(octets.read())
        with open(folder + "/conf", "w", opener=lambda path, flags:
                  os.open(path, flags, 0o600)) as out:
            out.write(CONFIGURATION.format(
                good=inside(good), key=inside(own), address=ADDRESS,
                name=self.name))
        root = space.PEERS
        for path, mode in (("/var/lib/opensmtpd/empty", 0o755),
                           ("/var/spool/smtpd", 0o711), ("/var/run", 0o755)):
            os.makedirs(root + path, exist_ok=True)
            os.chmod(root + path, mode)
        self.server = space.serve(
            ["/usr/sbin/smtpd", "-d", "-f", "/world/opensmtpd/conf"],
            space.WORLD + "/opensmtpd.out")
        exim.wait_for(ADDRESS, self.log)

    def mailbox(self):
        """The messages taken so far, as octets, lines ending in LF."""
        return exim.read_all(space.WORLD + "/opensmtpd/all/new/*")

    def log(self):
        return exim.read(space.WORLD + "/opensmtpd.out")
