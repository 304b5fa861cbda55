"""The relay under test: configured, started, killed, asked and read.

An instance has a folder in the world (configuration, spool, sockets, log,
clock) and a port on 127.0.0.1. Only its own programs see its clock.
"""

import json
import os
import random
import re
import signal
import struct
import subprocess
import threading
import time

from . import client, space

_ports = iter(range(2525, 9999))

UID, NET_UID = 64001, 64002	# culver and culver-net, see space.PASSWD

CONF = """\
hostname relay.world.example
mail-domain world.example
listen 127.0.0.1:{port} plain
submit-socket {folder}/run/submit
control {folder}/run/control
spool {folder}/spool
resolver 127.0.0.1
trust-resolver auto
ca-file {ca}
log stderr
min-free 8M
dkim world.example s1 {dkim}
"""

# What `kill NAME` means, by the program's file name.
PROGRAMS = {"culverd": "culverd", "smtpd": "culver-smtpd",
            "queue": "culver-queue", "policy": "culver-policy",
            "fetch": "culver-fetch", "delivery": "culver-delivery",
            "reports": "culver-reports", "sign": "culver-sign"}
# Forks of the delivery manager, which have no file of their own but a name.
FORKED = {"culver-spawner": "spawner", "culver-worker": "worker"}


class Event:
    """One log line: program, event and its key=value pairs."""

    def __init__(self, line):
        self.line = line
        text = re.sub(r"^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:?\d\d)\s+", "",
                      line)
        self.program, _, rest = text.partition(": ")
        words = rest.split(" ", 1)
        self.event = words[0]
        self.fields = {}
        for key, quoted, plain in re.findall(
                r'([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', rest):
            self.fields[key] = quoted or plain


class Culver:
    def __init__(self, name, build, pki, settings=()):
        self.name, self.build = name, build
        self.folder = f"{space.WORLD}/culver/{name}"
        self.port = next(_ports)
        self.process = None
        self.lock = threading.Lock()
        for place in ("", "/run", "/spool"):
            os.makedirs(self.folder + place)
        os.chown(self.folder + "/spool", UID, UID)
        os.chown(self.folder + "/run", UID, UID)
        self.conf = self.folder + "/culver.conf"
        self.base = CONF.format(port=self.port, folder=self.folder,
                                ca=pki.ca_file, dkim=pki.dkim_file)
        self.configure(settings)
        self.log_path = self.folder + "/log"
        open(self.log_path, "w").close()
        self.clock = self.folder + "/clock"
        self.offset = 0
        with open(self.clock, "wb") as out:
            out.write(bytes(4096))
        os.chmod(self.clock, 0o666)
        self.environment = dict(
            os.environ, CULVER_CLOCK=self.clock,
            LD_PRELOAD=f"{build}/tests/preload/clock.so")
        # The preload comes before the sanitizers' library, and programs that
        # may not open files cannot look for leaks.
        self.environment.setdefault(
            "ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0")
        self.environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        for line in settings:
            if line.startswith("environment "):
                name, _, value = line.split(None, 1)[1].partition("=")
                self.environment[name] = value

    def configure(self, settings):
        """The configuration is ours with these lines; a keyword among them
        replaces our line of that keyword. `environment` is none."""
        settings = [line for line in settings
                    if not line.startswith("environment ")]
        given = {line.split()[0] for line in settings}
        ours = [line for line in self.base.splitlines()
                if line.split()[0] not in given]
        with open(self.conf, "w") as out:
            out.write("\n".join([*ours, *settings]) + "\n")

    # Life and death.

    def start(self, ready=True, extra=()):
        """Starts culverd; waits until it accepts mail unless READY is off."""
        self.seen = os.path.getsize(self.log_path)
        with open(self.log_path, "ab") as log:
            process = subprocess.Popen(
                [f"{self.build}/bin/culverd", "-f", "-c", self.conf, *extra],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd="/", start_new_session=True)
        self.process = process
        if ready:
            self.wait_ready()
        return process

    def wait_ready(self, patience=60):
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with open(self.log_path, "rb") as log:
                log.seek(self.seen)
                if b"culver ready" in log.read():
                    return
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"culverd ended with {self.process.returncode}: "
                    + " | ".join(self.log_text().splitlines()[-3:]))
            time.sleep(0.02)
        raise RuntimeError(f"culverd was not ready within {patience} s")

    def stop(self, patience=90):
        """SIGTERM; the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(patience)
        self.process = None
        return status

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def programs(self):
        """[(pid, name)…] of all that runs of this instance."""
        mark = f"CULVER_CLOCK={self.clock}".encode()
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as environ:
                    if mark not in environ.read().split(b"\0"):
                        continue
                with open(f"/proc/{pid}/stat") as stat:
                    state = stat.read().rpartition(")")[2].split()[0]
                name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
                with open(f"/proc/{pid}/comm") as comm:
                    name = FORKED.get(comm.read().strip(), name)
            except OSError:
                continue
            if state != "Z":
                found[int(pid)] = name
        names = {file: short for short, file in PROGRAMS.items()}
        return [(pid, names.get(name, name))
                for pid, name in sorted(found.items())]

    def kill(self, *names, number=signal.SIGKILL):
        """Kills every program of these names; how many died."""
        count = 0
        for pid, name in self.programs():
            if name in names:
                try:
                    os.kill(pid, number)
                    count += 1
                except ProcessLookupError:
                    pass
        if "culverd" in names and number == signal.SIGKILL and self.process:
            self.process.wait(10)
            self.process = None
        return count

    def kill_everything(self):
        for pid, _ in self.programs():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process is not None:
            self.process.wait(10)
            self.process = None
        self.wait_gone()

    def kill_at_random(self, seed):
        """One program, chosen by SEED; its name."""
        choice = [(pid, name) for pid, name in self.programs()
                  if name != "culverd"]
        if not choice:
            return None
        pid, name = random.Random(seed).choice(choice)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return name

    def wait_gone(self, patience=30):
        """True once no process of this instance is left."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not self.programs():
                return True
            time.sleep(0.05)
        return False

    # Time.

    def pass_time(self, seconds):
        with self.lock:
            self.offset += int(seconds * 1e9)
            with open(self.clock, "r+b") as clock:
                clock.write(struct.pack("=q", self.offset))

    def now(self):
        """Its wall clock."""
        return time.time() + self.offset / 1e9

    # Talking to it.

    def client(self):
        return client.Client(self.port)

    def ctl(self, *words, user=None, timeout=60):
        """culverctl WORDS; the finished process."""
        return subprocess.run(
            [f"{self.build}/bin/culverctl", "-c", self.conf, *words],
            env=self.environment, capture_output=True, text=True,
            timeout=timeout, user=user, errors="replace")

    def sendmail(self, words, text, user=None, timeout=60):
        return subprocess.run(
            [f"{self.build}/bin/sendmail", "-C", self.conf, *words],
            env=self.environment, capture_output=True, input=text,
            timeout=timeout, user=user)

    def queue(self):
        """The queue as culverctl tells it: an object a message."""
        listing = self.ctl("queue", "list", "--json")
        if listing.returncode not in (0, 1):
            raise RuntimeError("queue list: exit "
                               f"{listing.returncode} {listing.stderr}")
        return [json.loads(line) for line in listing.stdout.splitlines()
                if line.strip()]

    def explain(self, what):
        listing = self.ctl("explain", what, "--json")
        return [json.loads(line) for line in listing.stdout.splitlines()
                if line.strip()]

    def policy(self, domain):
        """What is kept of this domain's policy; `mode` is None if nothing
        but a failed fetch is remembered. None if not even that."""
        shown = self.ctl("policy", "show", domain, "--json")
        return json.loads(shown.stdout) if shown.returncode == 0 else None

    # Reading its log.

    def log_text(self, since=0):
        with open(self.log_path, errors="replace") as log:
            log.seek(since)
            return log.read()

    def events(self, event=None):
        found = [Event(line) for line in self.log_text().splitlines()]
        return [one for one in found if event in (None, one.event)]

    def complaints(self):
        """What a sanitizer or one of our own assertions said."""
        signs = ("AddressSanitizer", "runtime error:", "LeakSanitizer",
                 "UndefinedBehaviorSanitizer", "bug:")
        return [line for line in self.log_text().splitlines()
                if any(sign in line for sign in signs)]
