"""Lets calls of a relay's programs fail, or programs die there.

The other end of tests/preload/fault.c.
"""

import mmap
import os
import struct

WRITE, SYNC, CREATE, MEMORY, UNLINK = 1, 2, 4, 8, 16
FAIL, DIE, DIE_HALF, LIE = 0, 1, 2, 3
EIO = 5
# The fields of struct fault.
PROGRAM, CALLS, NTH, TIMES, SEEN, FAILED, ACTION = 0, 32, 40, 48, 56, 64, 72


class Fault:
    """The page that tests and programs share."""

    ANY, DIE = WRITE | SYNC | CREATE | UNLINK, DIE

    def __init__(self, relay):
        """For this relay's programs, from its next start on."""
        path = relay.folder + "/fault"
        with open(path, "wb") as out:
            out.write(bytes(4096))
        os.chmod(path, 0o666)
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)
        preloads = f"{relay.build}/tests/preload"
        relay.environment.update(
            CULVER_FAULT=path,
            LD_PRELOAD=f"{preloads}/clock.so:{preloads}/fault.so")

    def arm(self, calls, action, nth, times=1, program="culver-queue"):
        """From now on: the nth of these calls, and `times - 1` more."""
        self.disarm()
        self.page[PROGRAM:PROGRAM + 32] = program.encode().ljust(32, b"\0")
        self.page[CALLS:CALLS + 8] = struct.pack("=II", calls, EIO)
        self.page[TIMES:TIMES + 8] = struct.pack("=Q", times)
        self.page[SEEN:SEEN + 16] = bytes(16)
        self.page[ACTION:ACTION + 4] = struct.pack("=I", action)
        self.page[NTH:NTH + 8] = struct.pack("=Q", nth)

    def disarm(self):
        self.page[NTH:NTH + 8] = bytes(8)

    def failed(self):
        return struct.unpack_from("=Q", self.page, FAILED)[0]
