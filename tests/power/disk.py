"""A disk that remembers what it was told, and what a power cut leaves of it.

    disk = Disk(folder, recorder)     ext4 on a loop device on recorder.c
    disk.start()                      mounted on disk.root
    place = disk.records()            so many records are behind us
    record = disk.stop()

    replay = Replay(disk.base, record, folder)
    replay.state(cut, random.Random(seed), "image")   what a cut there left

What a disk owes at a cut: every write that a flush in front of the cut
covers. Of the others it may have any, in any order: each 4096-octet block is
old or new on its own, and a block of a log file of Berkeley DB may be torn
between its 512-octet sectors. Which blocks those are is asked of the kernel
(FIEMAP) in the state in which everything was kept. Blocks of other files, and
the file system's own, are never torn: culver-queue(7) says that the device
must write 4 KiB whole, ext4 says the same of its own.

Called by tests/torture.py, in namespaces of its own, as root.
"""

import ctypes
import fcntl
import glob
import mmap
import os
import shutil
import struct
import subprocess
import time

BLOCK, SECTOR = 4096, 512
MIB = 1 << 20
WRITE, FLUSH = 1, 2
HEAD = struct.Struct("=IIQQ")		# struct record of recorder.c
FIEMAP = 0xC020660B
FIEMAP_HEAD = struct.Struct("=QQIIII")
FIEMAP_EXTENT = struct.Struct("=QQQQQIIII")
FIEMAP_EXTENTS = 512
FIEMAP_SYNC = 1
# sync_file_range(2): begin to write; and wait until it is written.
BEGIN, WAIT = 2, 1 | 2 | 4
SPARSE = ("cp", "--sparse=auto", "--reflink=auto")


class Missing(Exception):
    """This machine cannot do it: what it lacks."""


def run(*words):
    """A program's standard output; RuntimeError with what it said."""
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def why_not():
    """What keeps this machine from it? None when nothing does."""
    for tool in ("mkfs.ext4", "losetup", "mount", "umount", "cp"):
        if not shutil.which(tool):
            return f"the program {tool} is missing"
    for device, what in (("/dev/fuse", "CONFIG_FUSE_FS"),
                         ("/dev/loop-control", "CONFIG_BLK_DEV_LOOP")):
        try:
            os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            return f"{device} cannot be opened ({error.strerror}): {what}"
    with open("/proc/filesystems") as kinds:
        known = kinds.read().split()
    if "ext4" not in known or "fuse" not in known:
        return "the kernel knows no ext4, or no fuse"
    return None


def unmount(folder, patience=20):
    """Something may hold it for a moment longer."""
    deadline = time.monotonic() + patience
    while True:
        done = subprocess.run(["umount", folder], capture_output=True,
                              text=True)
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"umount {folder}: {done.stderr.strip()}")
        time.sleep(0.05)


libc = ctypes.CDLL(None, use_errno=True)
libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64,
                                 ctypes.c_int64, ctypes.c_uint)


def write_back(path, how=BEGIN):
    """As the kernel does when it likes: to the device, without a flush."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    libc.sync_file_range(fd, 0, 0, how)
    os.close(fd)


class Disk:
    def __init__(self, folder, recorder, size_bytes=256 * MIB):
        self.folder, self.recorder = folder, recorder
        self.base, self.log = folder + "/base", folder + "/log"
        self.root = folder + "/root"
        self.size_bytes = size_bytes
        self.device = self.process = None
        for place in ("", "/fuse", "/root"):
            os.makedirs(folder + place, exist_ok=True)

    def start(self):
        self._format()
        with open(self.folder + "/page", "w+b") as page:
            page.write(bytes(4096))
            page.flush()
            self.page = mmap.mmap(page.fileno(), 4096)
        self.process = subprocess.Popen(
            [self.recorder, self.base, self.folder + "/fuse", self.log,
             self.folder + "/page"], stdout=subprocess.PIPE)
        if not self.process.stdout.readline():
            raise Missing("a FUSE file system cannot be mounted here")
        self._attach()
        run("mount", "-t", "ext4", "-o", "barrier=1,data=ordered,nodiscard",
            self.device, self.root)
        # It goes by itself with the mount, even if we are killed.
        run("losetup", "-d", self.device)
        os.chmod(self.root, 0o755)
        self._check_mount()

    def _format(self):
        with open(self.base, "wb") as base:
            base.truncate(self.size_bytes)
        # A small journal comes round often.
        run("mkfs.ext4", "-q", "-F", "-b", str(BLOCK), "-N", "4096",
            "-J", "size=4", "-m", "0", "-E",
            "nodiscard,lazy_itable_init=0,lazy_journal_init=0", self.base)

    def _attach(self):
        """Direct I/O: no cache may lie between the device and the record."""
        try:
            self.device = run("losetup", "-f", "--show", "--direct-io=on",
                              self.folder + "/fuse/disk").strip()
        except RuntimeError as error:
            raise Missing(f"no loop device can be had ({error})")
        name = os.path.basename(self.device)

        def told(path):
            with open(f"/sys/block/{name}/{path}") as text:
                return text.read().strip()
        if told("loop/dio") != "1":
            raise Missing("the loop device does not do direct I/O")
        if told("queue/write_cache") != "write back":
            raise Missing("the loop device passes no flush on")

    def _check_mount(self):
        with open("/proc/self/mountinfo") as mounts:
            line = next(line for line in mounts
                        if line.split()[4] == self.root)
        if "nobarrier" in line or "barrier=0" in line:
            raise Missing("ext4 is mounted without barriers")

    def _number(self, at):
        return struct.unpack_from("=Q", self.page, 8 * at)[0]

    def records(self):
        return self._number(0)

    def flushes(self):
        return self._number(2)

    def detach(self):
        """Unmounts whatever is there; the record is complete then."""
        if os.path.ismount(self.root):
            unmount(self.root)
        # The loop device holds it for a moment longer.
        if os.path.ismount(self.folder + "/fuse"):
            unmount(self.folder + "/fuse")
        if self.process:
            self.process.wait(20)
            self.process = None

    def stop(self):
        self.detach()
        return Record(self.log)


class Record:
    """What the recorder wrote, in order."""

    def __init__(self, path):
        self.file = open(path, "rb")
        size = os.fstat(self.file.fileno()).st_size
        self.octets = mmap.mmap(self.file.fileno(), size,
                                prot=mmap.PROT_READ) if size else b""
        self.kinds, self.lens, self.offsets = [], [], []
        self.covers, self.data = [], []
        at = 0
        while at + HEAD.size <= size:
            kind, length, offset, covers = HEAD.unpack_from(self.octets, at)
            at += HEAD.size
            self.kinds.append(kind)
            self.lens.append(length)
            self.offsets.append(offset)
            self.covers.append(covers)
            self.data.append(at)
            if kind == WRITE:
                at += length

    def __len__(self):
        return len(self.kinds)

    def is_write(self, number):
        return self.kinds[number] == WRITE

    def flushes(self):
        return [number for number, kind in enumerate(self.kinds)
                if kind == FLUSH]

    def durable(self, cut):
        """Writes before this one are owed to whoever cuts there."""
        for number in range(cut - 1, -1, -1):
            if self.kinds[number] == FLUSH:
                return self.covers[number]
        return 0

    def loose(self):
        """For each cut, from 0 to all: blocks that no flush covers."""
        before = [0]			# blocks written in front of a place
        for kind, length in zip(self.kinds, self.lens):
            before.append(before[-1] + (
                -(-length // BLOCK) if kind == WRITE else 0))
        durable, found = 0, [0]
        for number, kind in enumerate(self.kinds):
            if kind == FLUSH:
                durable = self.covers[number]
            found.append(before[number + 1] - before[durable])
        return found

    def blocks(self, number):
        """[(offset, octets)…] of a write, block by block."""
        offset, at = self.offsets[number], self.data[number]
        end = at + self.lens[number]
        found = []
        while at < end:
            length = min(BLOCK - offset % BLOCK, end - at)
            found.append((offset, self.octets[at:at + length]))
            offset, at = offset + length, at + length
        return found


class Replay:
    """States of a record; cuts come in rising order."""

    def __init__(self, base, record, folder):
        self.record, self.folder = record, folder
        self.image = folder + "/durable"
        self.root = folder + "/look"
        os.makedirs(self.root, exist_ok=True)
        run(*SPARSE, base, self.image)
        self.done = 0

    def state(self, cut, rng, image):
        """Makes IMAGE; what was done, in words, for the ledger."""
        durable = self.record.durable(cut)
        if durable < self.done:
            raise ValueError("cuts must rise")
        with open(self.image, "r+b") as out:
            for number in range(self.done, durable):
                self._keep(out.fileno(), number)
        self.done = durable
        loose = [number for number in range(durable, cut)
                 if self.record.is_write(number)]
        logs = self._log_blocks(loose)
        run(*SPARSE, self.image, image)
        with open(image, "r+b") as out:
            return Cut(self.record, loose, logs, rng).apply(out.fileno())

    def everything(self, cut, image):
        """Makes IMAGE as a cut leaves it that was kind to all writes."""
        run(*SPARSE, self.image, image)
        with open(image, "r+b") as out:
            for number in range(self.done, cut):
                self._keep(out.fileno(), number)

    def _keep(self, fd, number):
        record = self.record
        if record.is_write(number):
            at = record.data[number]
            os.pwrite(fd, record.octets[at:at + record.lens[number]],
                      record.offsets[number])

    def _log_blocks(self, loose):
        """Offsets of the blocks of the stores' log files, all writes kept."""
        if not loose:
            return set()
        image = self.folder + "/kept"
        self.everything(loose[-1] + 1, image)
        run("mount", "-t", "ext4", "-o", "loop", image, self.root)
        try:
            return {block for path in
                    glob.glob(self.root + "/spool/*/log.??????????")
                    for block in blocks_of(path)}
        finally:
            unmount(self.root)
            os.unlink(image)


def blocks_of(path):
    """Offsets on the device of a file's blocks."""
    with open(path, "rb") as file:
        asked = bytearray(FIEMAP_HEAD.size
                          + FIEMAP_EXTENTS * FIEMAP_EXTENT.size)
        FIEMAP_HEAD.pack_into(asked, 0, 0, (1 << 64) - 1, FIEMAP_SYNC, 0,
                              FIEMAP_EXTENTS, 0)
        fcntl.ioctl(file.fileno(), FIEMAP, asked)
    mapped = FIEMAP_HEAD.unpack_from(asked)[3]
    found = []
    for number in range(mapped):
        _, physical, length, *_ = FIEMAP_EXTENT.unpack_from(
            asked, FIEMAP_HEAD.size + number * FIEMAP_EXTENT.size)
        found += range(physical, physical + length, BLOCK)
    return found


class Cut:
    """What is left of the writes that nobody was promised."""

    WAYS = ("dropped", "kept", "first", "last", "some", "one-missing",
            "only-one", "halved", "blocks", "blocks")

    def __init__(self, record, loose, logs, rng):
        self.record, self.loose, self.logs, self.rng = (record, loose, logs,
                                                        rng)
        self.written = self.torn = 0

    def apply(self, fd):
        way = self.rng.choice(self.WAYS)
        chosen = self._chosen(way)
        order = "in order"
        if self.rng.random() < 0.5:
            self.rng.shuffle(chosen)
            order = "shuffled"
        tears = self.rng.random() < 0.8
        for offset, octets in chosen:
            if tears and offset - offset % BLOCK in self.logs \
                    and self.rng.random() < 0.7:
                self._tear(fd, offset, octets)
            else:
                os.pwrite(fd, octets, offset)
            self.written += 1
        return (f"{way} {order}: {self.written} of {self._all()} blocks of "
                f"{len(self.loose)} writes, {self.torn} torn")

    def _all(self):
        return sum(-(-self.record.lens[number] // BLOCK)
                   for number in self.loose)

    def _chosen(self, way):
        """[(offset, octets)…] to write, in the order of the record."""
        rng, loose, parts = self.rng, self.loose, self.record.blocks
        some = {
            "dropped": lambda: [],
            "kept": lambda: loose,
            "first": lambda: loose[:rng.randint(0, len(loose))],
            "last": lambda: loose[rng.randint(0, len(loose)):],
            "some": self._some,
            "one-missing": lambda: self._but_one(),
            "only-one": lambda: rng.sample(loose, min(1, len(loose))),
            "halved": lambda: loose, "blocks": lambda: loose,
        }[way]()
        if way == "halved":
            return [part for number in some
                    for part in self._half(parts(number))]
        found = [part for number in some for part in parts(number)]
        if way == "blocks":
            share = rng.random()
            found = [part for part in found if rng.random() < share]
        return found

    def _some(self):
        share = self.rng.random()
        return [number for number in self.loose if self.rng.random() < share]

    def _but_one(self):
        if not self.loose:
            return []
        missing = self.rng.choice(self.loose)
        return [number for number in self.loose if number != missing]

    def _half(self, parts):
        """A write of several blocks, cut somewhere; front or back is left."""
        at = self.rng.randint(0, len(parts))
        return parts[:at] if self.rng.random() < 0.5 else parts[at:]

    def _tear(self, fd, offset, octets):
        """Some sectors of a block: a front, a back, or any."""
        sectors = range(0, len(octets), SECTOR)
        at = self.rng.randint(0, len(sectors))
        kept = self.rng.choice((
            sectors[:at], sectors[at:],
            [one for one in sectors if self.rng.random() < 0.5]))
        for one in kept:
            os.pwrite(fd, octets[one:one + SECTOR], offset + one)
        self.torn += 1


def write(path, octets, sync=True):
    with open(path, "wb") as out:
        out.write(octets)
        out.flush()
        if sync:
            os.fsync(out.fileno())


def overwrite(path, octets):
    """In place, as far as the device, never flushed."""
    with open(path, "r+b") as out:
        out.write(octets)
    write_back(path, WAIT)


OLD, NEW = b"old." * 4096, b"new." * 4096


def self_test(disk, folder):
    """Does the recorder tell what was flushed from what was not?

    One file is synced, one is not, one is synced and then written anew without
    a flush. A cut right behind that keeps nothing it need not keep must have
    the first, lack the second and have the old third; one that keeps
    everything has the new third.
    """
    before = disk.flushes()
    write(disk.root + "/synced", OLD)
    write(disk.root + "/anew", OLD)
    folder_fd = os.open(disk.root, os.O_RDONLY)
    os.fsync(folder_fd)
    os.close(folder_fd)
    if disk.flushes() == before:
        return "the recorder saw no flush for an fsync"
    flushes = disk.flushes()
    write(disk.root + "/loose", NEW, sync=False)
    overwrite(disk.root + "/anew", NEW)
    if disk.flushes() != flushes:
        return None		# the kernel flushed on its own: no proof now
    cut = disk.records()
    replay = Replay(disk.base, Record(disk.log), folder)
    return (_proof(replay, cut, False, (OLD, None, OLD))
            or _proof(replay, cut, True, (OLD, None, NEW)))


def _proof(replay, cut, keep, expected):
    """Compares a state's three files; what is wrong, in words."""
    image, root = replay.folder + "/proof", replay.folder + "/proof.root"
    os.makedirs(root, exist_ok=True)
    replay.state(cut, Nothing(), image)
    if keep:
        replay.everything(cut, image)
    run("mount", "-t", "ext4", "-o", "loop", image, root)
    try:
        for name, octets in zip(("synced", "loose", "anew"), expected):
            if _octets(f"{root}/{name}") != octets:
                return (f"the file {name} is not what it must be in a state "
                        f"that keeps {'all' if keep else 'nothing'}")
    finally:
        unmount(root)
        os.unlink(image)
    return None


def _octets(path):
    """None: not there, or empty."""
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        return file.read() or None


class Nothing:
    """A random source that keeps nothing."""

    @staticmethod
    def choice(_):
        return "dropped"

    @staticmethod
    def random():
        return 1.0
