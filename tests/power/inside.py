"""The namespaces in which relays are tortured: smaller than a world.

Its own network with nothing but 127.0.0.0/8, its own mounts (all of them go
with it, whatever happened), culver's accounts, and the programs as they are
when it begins. Called by tests/torture.py; space.py makes the namespaces.
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess

from world import space

SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x49
HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY_BYTES = 4 << 30
RECORDER = space.BUILD + "/recorder"


def why_not():
    """What keeps us from having any? None when nothing does."""
    reason = space.why_not()
    for tool in ("openssl", "gcc"):
        if reason is None and not shutil.which(tool):
            reason = f"the program {tool} is missing"
    return reason


def available_bytes():
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) << 10 for line in lines
                    if line.startswith("MemAvailable"))


def furnish(build):
    """Inside only, once. The programs stay as they are now."""
    space.mount("torture", space.MNT, "tmpfs", space.MS_NOSUID, "mode=755")
    # Images are copied a lot: in memory, if there is plenty of it.
    if available_bytes() > MEMORY_BYTES:
        os.makedirs(space.WORLD)
    else:
        space.bind(os.environ[space.INSIDE], space.WORLD)
    for part in ("bin", "libexec", "tests/preload"):
        shutil.copytree(f"{build}/{part}", f"{space.BUILD}/{part}")
    space.cover_file("/etc/passwd", space.PASSWD)
    space.cover_file("/etc/group", space.GROUP)
    space.cover_file("/etc/hosts", "127.0.0.1 localhost\n")
    space.cover_file("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket.fileno(), SIOCSIFFLAGS,
                    struct.pack("16sH14x", b"lo", IFF_UP_RUNNING))
    subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-o", RECORDER,
                    HERE + "/recorder.c"], check=True)
