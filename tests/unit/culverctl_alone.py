#!/usr/bin/python3
"""culverctl without a relay: what it says to wrong words, that a change is
logged with who asked for it as by a relay, and which verbs need a relay.  TAP.

    BUILD=build/san tests/unit/culverctl_alone.py
"""
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("BUILD", "build/san")
CTL = BUILD / "bin/culverctl"

# Words, and what the answer must name: the verb's own line.
WRONG = [
    ("queue", "queue list [FILTER]"),
    ("queue frob", "queue bounce ID...|FILTER|--all"),
    ("nonsense", "domain hold DOMAIN [--for DURATION]"),
    ("-z", "queue list [FILTER]"),
    ("queue list x", "queue list [FILTER]"),
    ("queue list --state lost", "waiting, held or active"),
    ("queue list --older 5", "a duration, as 30s, 15m, 4h or 5d"),
    ("queue list --domain a..b", "a domain"),
    ("queue list --sender", "an address, or <>"),
    ("queue count --warn x", "a number from 1"),
    ("queue show", "queue show ID"),
    ("queue message 12", "queue message ID"),
    ("queue flush", "queue flush ID...|FILTER|--all"),
    ("queue hold", "queue hold ID...|FILTER|--all"),
    ("queue release x", "queue release ID...|FILTER|--all"),
    ("queue remove --nonsense", "queue remove ID...|FILTER|--all"),
    ("queue bounce --all --domain a.example", "exclude each other"),
    ("queue count --warn 5 --crit 2", "--warn is beyond --crit"),
    ("queue backup -dir", "queue backup DIR"),
    ("queue list -- --json", "not understood: --json"),
    ("queue bounce --older", "queue bounce ID...|FILTER|--all"),
    ("domain list x", "domain list"),
    ("domain show", "domain show DOMAIN"),
    ("domain show a..b", "domain show DOMAIN"),
    ("domain hold", "domain hold DOMAIN [--for DURATION]"),
    ("domain hold a..b", "no domain: a..b"),
    ("domain hold a.example b.example", "not understood: b.example"),
    ("domain hold a.example --for", "a duration, as 30s, 15m, 4h or 5d"),
    ("domain hold a.example --for 0s", 'not "0s"'),
    ("domain hold a.example --nonsense", "not understood: --nonsense"),
    ("domain release", "domain release DOMAIN"),
    ("domain release a.example --for 1h", "not understood: --for"),
    ("explain", "explain ID"),
    ("policy show", "policy show DOMAIN"),
    ("policy list x", "policy list"),
    ("report list --day x", "report list [--domain D] [--day YYYY-MM-DD]"),
    ("report show", "report show DOMAIN [--day YYYY-MM-DD]"),
    ("check mx-match", "check mx-match HOST PATTERN..."),
    ("check sts-record x", "check sts-record < TXT"),
    ("dkim generate", "dkim generate DOMAIN SELECTOR"),
    ("config a b", "config [KEYWORD]"),
]
CHANGES = ["queue hold", "queue release", "queue flush", "queue remove",
           "queue bounce"]
NEED_A_RELAY = ["domain hold a.example", "domain release a.example",
                "domain hold [192.0.2.1] --for 15m", "--json status",
                "domain hold smtp://a.example,smtp://[b.example]", "status"]


class Tap:
    def __init__(self):
        self.number, self.failed = 0, 0

    def check(self, name, wrong):
        self.number += 1
        self.failed += bool(wrong)
        print(f"{'not ' if wrong else ''}ok {self.number} - {name}")
        for line in wrong:
            print("# " + line.replace("\n", "\n# "))


def furnish(top):
    """A spool that nobody's relay ever used; as root it is `nobody`'s."""
    for name in ("spool/queue", "spool/policy", "spool/reports"):
        (top / name).mkdir(parents=True, mode=0o700)
    if os.geteuid() == 0:
        os.chmod(top, 0o755)
        owner = pwd.getpwnam("nobody")
        for path in (top / "spool", *(top / "spool").iterdir()):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    (top / "conf").write_text(f'spool "{top}/spool"\n'
                              f'control "{top}/control"\nlog stderr\n')


def ctl(top, words):
    return subprocess.run([CTL, "-c", top / "conf", *words.split()],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60)


def wrong_words(top):
    for words, wanted in WRONG:
        done = ctl(top, words)
        if done.returncode != 64 or wanted not in done.stderr:
            yield f"{words}: {done.returncode}, {done.stderr}"


def changes(top):
    """Nothing is there to be changed; that it was tried is in the log."""
    who = rf"uid={os.getuid()} messages=0 recipients=0 outcome=\S+"
    for verb in CHANGES:
        for form in ("", "--json "):
            done = ctl(top, f"{form}{verb} --domain a.example")
            line = rf'culver-queue: admin verb="{verb}" ' \
                   rf'args="--domain a.example" {who}\n'
            if done.returncode != 1 or not re.search(line, done.stderr):
                yield f"{verb}: {done.returncode}, {done.stderr}"
            if form and json.loads(done.stdout)["done"] != verb:
                yield f"{verb}: {done.stdout}"


def unknown_ids(top):
    for verb in CHANGES:
        done = ctl(top, f"{verb} 00000000deadbeef")
        if done.returncode != 1 or \
                "there is no message 00000000deadbeef" not in done.stderr:
            yield f"{verb}: {done.returncode}, {done.stderr}"


def unopened(top):
    """A queue that cannot be opened, and folders that take no backup."""
    queue = top / "spool/queue"
    (queue / "incomplete").touch()
    yield from said(top, ["queue", "list"], 65, f"{queue} has a file incom")
    (queue / "incomplete").unlink()
    queue.rename(top / "away")
    yield from said(top, ["queue", "list"], 75, f"{queue}: No such file")
    (top / "away").rename(queue)
    inside = top / "spool/backup"
    yield from said(top, ["queue", "backup", str(inside)], 64,
                    f"{inside} is inside the spool")
    yield from said(top, ["queue", "backup", "/sys/backup"], 77, "/sys/backup:")
    yield from said(top, ["queue", "backup", "/nowhere/at/all"], 1, "No such")
    yield from said(top, ["queue", "backup", "--", "-dir"], 0, "", cwd=top)
    if not (top / "-dir").is_dir():
        yield "-dir was not made"
    yield from said(top, ["check", "verdict", "--", "mode=enforce"], 0, "")


def said(top, words, status, text, cwd=None):
    done = subprocess.run([CTL, "-c", top / "conf", *words], cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60)
    if done.returncode != status or text not in done.stderr or \
            (status and not done.stderr.startswith("culverctl: ")):
        yield f"{words}: {done.returncode}, {done.stderr}"


def need_a_relay(top):
    for words in NEED_A_RELAY:
        done = ctl(top, words)
        if done.returncode != 69 or "not running" not in done.stderr:
            yield f"{words}: {done.returncode}, {done.stderr}"


def main():
    tap = Tap()
    top = pathlib.Path(tempfile.mkdtemp(prefix="culver-ctl-"))
    try:
        furnish(top)
        tap.check("wrong words: 64, and what is accepted",
                  list(wrong_words(top)))
        tap.check("a change is logged with the caller's uid",
                  list(changes(top)))
        tap.check("unknown ids: 1, and named", list(unknown_ids(top)))
        tap.check("what cannot be opened, or takes no backup, says why",
                  list(unopened(top)))
        tap.check("verbs that need a relay: 69", list(need_a_relay(top)))
    finally:
        shutil.rmtree(top)
    print(f"1..{tap.number}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
