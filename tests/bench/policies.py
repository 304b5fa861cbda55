"""What do 100,000 kept policies cost: a look-up, the disk, the memory?

A part of bench.py. policies.c fills a cache and looks policies up in it; then
a relay starts with that cache, and with an empty one, and culver-policy's
memory is compared once it has planned all refreshes.

What a delivery under a kept policy asks of others (nothing but its MX) is not
measured but counted: tests/scenario/hundred-deliveries.scn.
"""

import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests"))

from world import culver, space			# noqa: E402

POLICIES, LOOKUPS = 100_000, 20_000
LIBRARIES = ("-levent_core", "-ldb-5.3", "-lidn2", "-lseccomp")


def built(build):
    program = space.WORLD + "/policies"
    subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", f"-I{TOP}",
                    "-o", program, HERE + "/policies.c",
                    build + "/libculver.a", *LIBRARIES], check=True)
    return program


def said(*words):
    """A program's key=value words."""
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return dict(word.split("=") for word in done.stdout.split())


def give(folder):
    """To the relay's owner."""
    for path, _, names in os.walk(folder):
        for name in (path, *(os.path.join(path, name) for name in names)):
            os.chown(name, culver.UID, culver.UID)


def grown(relay, pss):
    """KiB of culver-policy, when it grows no more."""
    before, deadline = -1, time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(2)
        now = max(pss(pid) for pid, name in relay.programs()
                  if name == "policy")
        if now == before:
            break
        before = now
    return before


def measure(world, build, pss):
    """pss(pid): KiB."""
    program = built(build)
    memory = {}
    for name in ("empty", "full"):
        relay = world.culver("policies-" + name, ["workers 0"])
        relay.environment.pop("LD_PRELOAD", None)
        store = relay.folder + "/spool/policy"
        if name == "full":
            os.makedirs(store)
            filled = said(program, "fill", store, str(POLICIES))
            found = said(program, "look", store, str(POLICIES), str(LOOKUPS))
            size = sum(os.lstat(os.path.join(path, file)).st_size
                       for path, _, files in os.walk(store) for file in files)
            give(store)
        relay.start()
        memory[name] = grown(relay, pss)
        relay.stop()
    print(f"\n{POLICIES} policies kept: filled in {filled['seconds']} s, "
          f"{size / 1e6:.0f} MB on disk")
    print(f"look-up    {found['median_us']} us (median), "
          f"{found['p99_us']} us (99 of 100), over {LOOKUPS}")
    print(f"memory     {memory['full'] / 1024:.1f} MiB (PSS of culver-policy), "
          f"{memory['empty'] / 1024:.1f} MiB with none", flush=True)
