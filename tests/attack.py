#!/usr/bin/python3
"""What can somebody do who has taken over one of our programs?

    tests/attack.py [BUILD]

Loads tests/preload/attack.c into smtpd, queue, policy and a worker of a relay
in a private world, in turn, and lets mail pass: from inside each program,
confined as it is, every way to a file or process is tried, and to another
host (policy may connect: it must not be connected to), and all must fail. The plain build, with the system call filter enforced. TAP on standard
output; 77 where no namespace can be made.
"""

import os
import subprocess
import sys
import time

TESTS = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)

from world import client, space			# noqa: E402
from world.world import World			# noqa: E402

PEERS = os.path.join(TOP, "build/peers")
RESULTS = 65536			# octets, as in attack.c
PROGRAMS = ("culver-smtpd", "culver-queue", "culver-policy", "culver-worker")


def attack(world, program):
    """The TAP lines of the attack from inside this program."""
    relay = world.culver(program)
    log = relay.folder + "/attack"
    with open(log, "wb") as out:
        out.write(bytes(RESULTS))
    os.chmod(log, 0o666)
    relay.environment.update(
        CULVER_ATTACK=program, CULVER_ATTACK_LOG=log,
        LD_PRELOAD=f"{relay.build}/tests/preload/attack.so")
    relay.start()
    mail = client.compose("attack", "alice@home.example",
                          ["bob@attack.example"])
    try:
        with relay.client() as peer:
            peer.command("EHLO x")
            peer.send(mail.sender, mail.recipients, mail.data)
    except (OSError, client.Refused):
        pass			# the attack turned the client's own socket
    deadline = time.monotonic() + 20
    text = ""
    while "\n1.." not in text and time.monotonic() < deadline:
        time.sleep(0.1)
        with open(log, "rb") as results:
            text = results.read().rstrip(b"\0").decode()
    relay.kill_everything()
    if "\n1.." not in text:
        return [f"not ok - {program}: the attack never ran to its end"]
    return [line for line in text.splitlines() if not line.startswith("1..")]


def inside(build):
    world = World(build)
    world.dns.add_zone("attack.example", "unsigned")
    world.dns.add("attack.example", "MX 10 mx.attack.example.")
    world.add_host("mx.attack.example")
    world.start(strangers=())
    lines = [line for program in PROGRAMS for line in attack(world, program)]
    print(f"1..{len(lines)}")
    for number, line in enumerate(lines, 1):
        word, _, what = line.partition(" - ")
        print(f"{'ok' if word.startswith('ok') else 'not ok'} {number} - "
              f"{what}")
    return 0 if all(line.startswith("ok") for line in lines) else 1


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    if not space.inside():
        why = space.why_not()
        if why:
            print(f"1..0 # SKIP {why}")
            return space.SKIP
        if subprocess.run([TESTS + "/peers.sh", PEERS]).returncode:
            return 1
        return space.run(sys.argv, os.path.join(TOP, "build/world"))
    space.reap()
    space.furnish(PEERS + "/root", build)
    return inside(build)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
