"""A culver of the torture: where its spool is said, and its log is heard.

Like that of the scenarios (tests/world/culver.py), but it needs no servers:
mail goes to address literals, and each log line is told to the book at once.
"""

import os
import subprocess
import threading
import time

from world import culver

UID = culver.UID
# Small log files: their creation and removal are in the record. Berkeley DB
# reads this itself, behind what the program sets.
DB_CONFIG = "set_lg_bsize 32768\nset_lg_max 262144\n"

# The parent waits up to a minute before it starts a program again.
BACK_OFF_S = 61

CONF = """\
hostname relay.test.example
mail-domain test.example
listen 127.0.0.1:{port} plain
submit-socket {folder}/run/submit
control {folder}/run/control
spool {spool}
resolver 127.0.0.1
trust-resolver no
ca-file {folder}/ca
log stderr
min-free 8M
workers {workers}
"""


class Relay(culver.Culver):
    def __init__(self, folder, spool, build, hear, workers=10):
        # Not the scenarios' constructor: it wants a world.
        self.name, self.folder, self.build = "torture", folder, build
        self.port = next(culver._ports)
        self.process = None
        self.hear = hear
        self.lock = threading.Lock()
        self.lines = []
        self.workers = workers
        os.makedirs(folder + "/run", exist_ok=True)
        os.chown(folder + "/run", UID, UID)
        os.chmod(folder, 0o755)
        if not os.path.exists(folder + "/ca"):
            self._certify(folder + "/ca")
        self.conf = folder + "/culver.conf"
        self.place(spool)
        self.clock, self.offset = folder + "/clock", 0
        with open(self.clock, "wb") as out:
            out.write(bytes(4096))
        os.chmod(self.clock, 0o666)
        self.environment = dict(
            os.environ, CULVER_CLOCK=self.clock,
            LD_PRELOAD=f"{build}/tests/preload/clock.so")

    @staticmethod
    def _certify(path):
        """Some certificate: nothing here is proven by it."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=torture",
             "-keyout", "/dev/null", "-out", path],
            check=True, capture_output=True)

    def place(self, spool):
        """Its spool is there from the next start on."""
        self.spool = spool
        with open(self.conf, "w") as out:
            out.write(CONF.format(port=self.port, folder=self.folder,
                                  spool=spool, workers=self.workers))

    def furnish(self):
        """A spool that is not there yet, with small log files."""
        for part in ("", "/queue", "/policy"):
            os.makedirs(self.spool + part, mode=0o700, exist_ok=True)
            os.chown(self.spool + part, UID, UID)
        os.chmod(self.spool, 0o755)
        for part in ("/queue", "/policy"):
            with open(self.spool + part + "/DB_CONFIG", "w") as out:
                out.write(DB_CONFIG)

    def start(self, ready=True, extra=()):
        self.lines = []
        self.is_ready = threading.Event()
        self.process = subprocess.Popen(
            [f"{self.build}/bin/culverd", "-f", "-c", self.conf, *extra],
            env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
            start_new_session=True)
        threading.Thread(target=self._read, daemon=True, args=(
            self.process.stdout, self.is_ready, self.lines)).start()
        if ready:
            self.wait_ready()
        return self.process

    def _read(self, pipe, is_ready, lines):
        for octets in pipe:
            line = octets.decode("latin-1").rstrip("\n")
            self.hear(line)
            lines.append(line)
            if "culver ready" in line:
                is_ready.set()

    def wait_ready(self, patience=60):
        deadline = time.monotonic() + patience
        while not self.is_ready.wait(0.05):
            if self.process.poll() is not None:
                time.sleep(0.1)
                raise RuntimeError(
                    f"culverd ended with {self.process.returncode}: "
                    + " | ".join(self.lines[-3:]))
            if time.monotonic() > deadline:
                raise RuntimeError(f"not ready within {patience} s: "
                                   + " | ".join(self.lines[-3:]))

    def start_dying(self, fault, nth):
        """Started, and dead again: its queue at the nth call that writes
        while it recovers, the rest with it. Did it come so far?"""
        fault.arm(fault.ANY, fault.DIE, nth)
        self.start(ready=False)
        deadline = time.monotonic() + 20
        while not fault.failed() and not self.is_ready.is_set() \
                and time.monotonic() < deadline:
            time.sleep(0.002)
        self.kill_everything()
        fault.disarm()
        return fault.failed() > 0

    def starts(self, name):
        """How often this program was started, says the log."""
        return sum(f"start program=culver-{name} " in line
                   for line in list(self.lines))

    def revive(self, name, starts, patience=20):
        """Time passes until a program that was killed is started again."""
        deadline = time.monotonic() + patience
        while self.starts(name) <= starts:
            if time.monotonic() > deadline:
                raise RuntimeError(f"culver-{name} is not started again")
            self.pass_time(BACK_OFF_S)
            time.sleep(0.03)

    def log_text(self, since=0):
        return "\n".join(self.lines)

    def alarms(self):
        """Log lines that say that something on the disk is not right."""
        signs = ("what=record", "is damaged", "PANIC", "DB_RUNRECOVERY",
                 "cannot be opened", "bug:", "checksum")
        return [line for line in self.lines
                if any(sign in line for sign in signs)]
