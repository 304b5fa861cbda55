"""What happens to the relay's files and its clock?

Sentences on backups and their restore, damage of files, a disk that fills up,
and a wall clock that somebody sets.
"""

import glob
import os
import shutil
import struct
import subprocess

from . import space
from .culver import UID
from .language import LENGTH, seconds, sentence


def queue_folder(player):
    return player.culver.folder + "/spool/queue"


def backup_folder(player):
    return player.culver.folder + "/backup"


# Backups.

@sentence(r"a backup is made")
def backup_made(player, step):
    """With the relay up or down; the last one is forgotten."""
    shutil.rmtree(backup_folder(player), ignore_errors=True)
    done = player.culver.ctl("queue", "backup", backup_folder(player),
                             timeout=120)
    player.output = done
    if done.returncode != 0:
        player.fail(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    if os.path.exists(backup_folder(player) + "/incomplete"):
        player.fail("it says that it is incomplete")
    player.stash["before backup"] = [mail for mail in player.mails
                                     if mail.taken]


@sentence(r"a backup is begun and killed")
def backup_killed(player, step):
    folder = backup_folder(player)
    shutil.rmtree(folder, ignore_errors=True)
    culver = player.culver
    process = subprocess.Popen(
        [f"{culver.build}/bin/culverctl", "-c", culver.conf, "queue", "backup",
         folder], env=culver.environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    player.until(lambda: os.path.exists(folder + "/messages.db")
                 or process.poll() is not None, "it does not begin")
    process.kill()
    process.wait()
    if not os.path.exists(folder + "/incomplete"):
        player.fail("nothing says that it is incomplete")


@sentence(r"the backup is put back", relay=False)
def backup_put_back(player, step):
    """As the manual says: the relay is down, the old queue goes aside."""
    queue = queue_folder(player)
    aside = player.culver.folder + "/spool/queue-old"
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(queue, aside)
    shutil.copytree(backup_folder(player), queue)
    for place, folders, files in os.walk(queue):
        for name in [".", *folders, *files]:
            os.chown(os.path.join(place, name), UID, UID)


# The clock.

@sentence(rf"the clock is set (?P<length>{LENGTH}) (?P<way>ahead|back)",
          relay=False)
def clock_set(player, step, length, way):
    """The wall clock alone, to so much from what is right: no time has
    passed."""
    _set_wall(player, seconds(length) * (1 if way == "ahead" else -1))


@sentence(r"the clock is set right", relay=False)
def clock_right(player, step):
    _set_wall(player, 0)


def _set_wall(player, by):
    with open(player.culver.clock, "r+b") as clock:
        clock.seek(8)
        clock.write(struct.pack("=q", int(by * 1e9)))


# Damage.

def _flip(player, path, needle, bit=0x10):
    with open(path, "r+b") as file:
        octets = file.read()
        places = []
        at = octets.find(needle)
        while at != -1:
            places.append(at)
            at = octets.find(needle, at + 1)
        for at in places:
            file.seek(at)
            file.write(bytes([octets[at] ^ bit]))
    return len(places)


@sentence(r"a bit of the (?P<what>message|recipient|body|body file) of "
          r"(?P<name>\w+) is flipped", relay=False)
def bit_flipped(player, step, what, name):
    """In the table's file, or the body's own."""
    mail = player.named[name][0]
    if what == "message":
        count = _flip(player, queue_folder(player) + "/messages.db",
                      mail.sender.encode())
    elif what == "recipient":
        count = _flip(player, queue_folder(player) + "/recipients.db",
                      mail.recipients[0].encode())
    elif what == "body":
        count = _flip(player, queue_folder(player) + "/chunks.db",
                      mail.mark.encode())
    else:
        count = _flip(player, f"{queue_folder(player)}/bodies/{mail.id}",
                      mail.data[-40:-20])
    if count == 0:
        player.fail("it is not there")


@sentence(r"a bit of the log behind (?P<name>\w+) is flipped", relay=False)
def log_flipped(player, step, name):
    """Where the log speaks of this mail: records follow it."""
    mark = player.named[name][0].mark.encode()
    logs = sorted(glob.glob(queue_folder(player) + "/log.*"))
    if not sum(_flip(player, path, mark) for path in logs):
        player.fail("no log has it")


def crc32c(octets):
    crc = 0xffffffff
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


@sentence(r"the queue is of a newer culver", relay=False)
def newer(player, step):
    text = b"messages 99\nrecipients 3\n"
    with open(queue_folder(player) + "/format", "wb") as out:
        out.write(text + b"crc %08x\n" % crc32c(text))
    player.stash["files"] = _state(player)


@sentence(r"expect nothing of the queue changed", relay=False)
def unchanged(player, step):
    if player.stash["files"] != _state(player):
        player.fail("files changed")


def _state(player):
    """Of all but what a start that is refused may touch: the lock."""
    found = {}
    for path in glob.glob(queue_folder(player) + "/**", recursive=True):
        if os.path.isfile(path) and os.path.basename(path) != "lock":
            with open(path, "rb") as file:
                found[path] = hash(file.read())
    return found


@sentence(r"expect (?P<name>\w+) kept so that it is held")
def kept_held(player, step, name):
    mail = player.named[name][0]
    player.until(lambda: any(
        one["id"] == mail.id and all(to["state"] == "held"
                                     for to in one["recipients"])
        for one in player.culver.queue()), f"{mail.id} is not held")


# A disk of its own.

@sentence(r"the spool is on a disk of (?P<size>\d+)M", relay=False)
def small_disk(player, step, size):
    """Before the relay is started.  A file system in memory is full in the
    same way as any other."""
    spool = player.culver.folder + "/spool"
    space.mount("tmpfs", spool, "tmpfs", 0, f"size={size}M,mode=0755")
    os.chown(spool, UID, UID)


@sentence(r"the disk is full", relay=False)
def disk_full(player, step):
    """But for some pages, that nobody can do much with. Said again, also
    what was given back since is taken."""
    spool = player.culver.folder + "/spool"
    room = os.statvfs(spool)
    with open(spool + "/filler", "ab") as out:
        if room.f_bavail > 2:
            os.posix_fallocate(out.fileno(), os.fstat(out.fileno()).st_size,
                               (room.f_bavail - 2) * room.f_frsize)


@sentence(r"the disk has room again", relay=False)
def disk_empty(player, step):
    os.unlink(player.culver.folder + "/spool/filler")


@sentence(rf"expect (?P<no>no )?ballast(?: within (?P<within>{LENGTH}))?",
          relay=False)
def ballast(player, step, no, within):
    path = queue_folder(player) + "/ballast"
    player.until(lambda: os.path.exists(path) != bool(no),
                 "there is " + ("one" if no else "none"),
                 seconds(within) if within else None)
