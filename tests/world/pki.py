"""Which certificates can a server of the world show?

A throw-away CA that culver is told to trust (`ca-file`), another one that it
is not, and certificates of every kind, made when first asked for with the
openssl command of the servers' root. One key serves them all.
"""

import base64
import hashlib
import os
import ssl
import subprocess
import threading

from . import space

KINDS = ("good", "expired", "not-yet-valid", "wrong-name", "common-name-only",
         "wildcard", "self-signed", "unknown-ca", "no-intermediate",
         "intermediate", "client-only", "private", "private-unsent",
         "private-expired", "private-deep")
# CAs that nobody trusts but by a TLSA record, and who signed them. One allows
# no intermediate below it, and there is one.
PRIVATE_CAS = {"private": (None, ""), "short": (None, ",pathlen:0"),
               "below-short": ("short", "")}

CONFIG = """\
[ca]
default_ca = {ca}
[{ca}]
database = /world/pki/{ca}.db
serial = /world/pki/{ca}.serial
new_certs_dir = /world/pki
certificate = /world/pki/{ca}.pem
private_key = /world/pki/key.pem
default_md = sha256
policy = anything
unique_subject = no
copy_extensions = none
[anything]
commonName = supplied
"""

CA_EXTENSIONS = """\
basicConstraints = critical,CA:TRUE{limit}
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
"""


class Pki:
    def __init__(self):
        self.folder = space.WORLD + "/pki"
        self.lock = threading.RLock()
        self.made = {}
        os.makedirs(self.folder)
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout",
                      "-out", "key.pem")
        os.chmod(self.folder + "/key.pem", 0o644)	# it guards nothing
        # Keys of their own, so that no CA can stand for another.
        for ca in ("trusted", "stranger"):
            self._make_ca(ca)
        self._make_ca("middle", signer="trusted")
        self.ca_file = self.folder + "/trusted.pem"
        self.dkim_file = self.folder + "/dkim.key"	# signs reports
        self._openssl("genrsa", "-out", "dkim.key", "2048")
        os.chmod(self.dkim_file, 0o600)

    # Certificates by kind.

    def chain(self, kind, name):
        """(chain file, key file) of a certificate of this kind for NAME."""
        with self.lock:
            if (kind, name) not in self.made:
                self.made[kind, name] = self._make(kind, name)
            return self.made[kind, name], self.folder + "/key.pem"

    def context(self, kind, name):
        """A server's TLS context with that certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.chain(kind, name))
        return context

    def tlsa(self, usage, selector, matching, kind="good", name="x"):
        """The TLSA record's text for that certificate."""
        return self._tlsa(usage, selector, matching,
                          self.chain(kind, name)[0])

    def tlsa_of_ca(self, usage, selector, matching, ca):
        """The same for the certificate of a CA."""
        with self.lock:
            self._need_ca(ca)
        return self._tlsa(usage, selector, matching, f"{self.folder}/{ca}.pem")

    def _tlsa(self, usage, selector, matching, path):
        with open(path) as pem:
            der = ssl.PEM_cert_to_DER_cert(pem.read().partition("-----END")[0]
                                           + "-----END CERTIFICATE-----\n")
        data = self._public_key(path) if selector == 1 else der
        if matching:
            data = hashlib.new({1: "sha256", 2: "sha512"}[matching],
                               data).digest()
        return f"{usage} {selector} {matching} {data.hex()}"

    def dkim_record(self):
        """The TXT record's text for the key that signs reports."""
        der = subprocess.run(
            ["chroot", space.PEERS, "openssl", "rsa", "-in",
             "/world/pki/dkim.key", "-pubout", "-outform", "DER"],
            capture_output=True, check=True).stdout
        text = ("v=DKIM1; k=rsa; s=*; p="
                + base64.b64encode(der).decode())
        return "TXT " + " ".join(f'"{text[at:at + 250]}"'
                                 for at in range(0, len(text), 250))

    @staticmethod
    def _public_key(path):
        """The SubjectPublicKeyInfo of the first certificate there."""
        pem = subprocess.run(
            ["chroot", space.PEERS, "openssl", "x509", "-noout", "-pubkey",
             "-in", "/world/pki/" + os.path.basename(path)],
            capture_output=True, check=True, text=True).stdout
        return base64.b64decode("".join(pem.splitlines()[1:-1]))

    def _make(self, kind, name):
        if kind not in KINDS:
            raise ValueError(f"no certificate is called {kind}: "
                             + ", ".join(KINDS))
        label = f"{kind}.{name}".replace("*", "_")
        alt = {"wrong-name": "DNS:elsewhere.example",
               "wildcard": "DNS:*." + name.partition(".")[2],
               "common-name-only": None}.get(kind, f"DNS:{name}")
        extensions = "basicConstraints = CA:FALSE\n"
        extensions += f"subjectAltName = {alt}\n" if alt else ""
        if kind == "client-only":
            extensions += "extendedKeyUsage = clientAuth\n"
        subject = "elsewhere.example" if kind == "wrong-name" else name
        start, end = {"expired": ("20200101000000Z", "20200201000000Z"),
                      "private-expired": ("20200101000000Z",
                                          "20200201000000Z"),
                      "not-yet-valid": ("20480101000000Z", "20490101000000Z"),
                      }.get(kind, ("20200101000000Z", "20491231000000Z"))
        ca = {"unknown-ca": "stranger", "intermediate": "middle",
              "no-intermediate": "middle", "private-deep": "below-short",
              }.get(kind, "private" if kind.startswith("private")
                    else "trusted")
        self._need_ca(ca)
        self._sign(label, subject, extensions, start, end,
                   None if kind == "self-signed" else ca)
        for other in {"intermediate": ["middle"], "private": ["private"],
                      "private-expired": ["private"],
                      "private-deep": ["below-short", "short"],
                      }.get(kind, ()):
            self._append(label + ".pem", other + ".pem")
        return f"{self.folder}/{label}.pem"

    # The openssl command.

    def _need_ca(self, name):
        if os.path.exists(f"{self.folder}/{name}.pem"):
            return
        if name not in PRIVATE_CAS:
            raise ValueError(f"no CA is called {name}: "
                             + ", ".join(PRIVATE_CAS))
        signer, limit = PRIVATE_CAS[name]
        if signer is not None:
            self._need_ca(signer)
        self._make_ca(name, signer, limit)

    def _make_ca(self, name, signer=None, limit=""):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout",
                      "-out", f"{name}.key")
        self._write(f"{name}.db", "")
        self._write(f"{name}.serial", "1000\n")
        self._write(f"{name}.cnf", CONFIG.format(ca=name).replace(
            "key.pem", f"{name}.key"))
        self._sign(name, f"The world's {name} CA",
                   CA_EXTENSIONS.format(limit=limit),
                   "20200101000000Z", "20491231000000Z", signer,
                   key=f"{name}.key")

    def _sign(self, label, subject, extensions, start, end, ca, key="key.pem"):
        """A certificate LABEL.pem, signed by CA or by itself."""
        self._write(f"{label}.ext", extensions)
        # A common name is 64 characters at most; nobody looks at ours.
        self._openssl("req", "-new", "-key", key, "-subj",
                      "/CN=" + subject[:64], "-out", f"{label}.csr")
        signer = ca or label
        if ca is None and not os.path.exists(f"{self.folder}/{label}.cnf"):
            for suffix, text in ((".db", ""), (".serial", "1000\n"),
                                 (".cnf", CONFIG.format(ca=label))):
                self._write(label + suffix, text)
        words = ["ca", "-batch", "-notext", "-config", f"{signer}.cnf",
                 "-startdate", start, "-enddate", end, "-extfile",
                 f"{label}.ext", "-in", f"{label}.csr", "-out", f"{label}.pem"]
        if ca is None:
            words += ["-selfsign", "-keyfile", key]
        self._openssl(*words)
        os.chmod(f"{self.folder}/{label}.pem", 0o644)

    def _openssl(self, *words):
        return space.chroot(["openssl", *[self._place(word)
                                          for word in words]])

    @staticmethod
    def _place(word):
        suffixes = (".pem", ".key", ".csr", ".cnf", ".ext")
        return "/world/pki/" + word if word.endswith(suffixes) \
            and not word.startswith("/") else word

    def _write(self, name, text):
        with open(f"{self.folder}/{name}", "w") as out:
            out.write(text)

    def _append(self, name, other):
        with open(f"{self.folder}/{name}", "a") as out, \
                open(f"{self.folder}/{other}") as more:
            out.write(more.read())
