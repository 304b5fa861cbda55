"""Which namespaces does a world live in, and who cleans up after it?

A world is a process tree in network, mount, pid, ipc and uts namespaces of
its own. Its first process is a reaper; when that ends, or whoever started it,
the kernel kills everything inside and drops every mount. So nothing is left
behind, whatever happened, and several worlds can run at once.

Called by run.py and demo.py, as the first thing they do. Does not know what
runs inside.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile

SKIP = 77			# the exit status for "not here", as automake's

INSIDE = "CULVER_WORLD_DIR"	# set inside: the world's folder on disk

MNT = "/mnt"			# covered inside by a file system of our own
PEERS = MNT + "/peers"		# the servers' root
WORLD = MNT + "/world"		# this world's folder; /world in the servers' root
BUILD = MNT + "/build"		# culver's build folder

MS_RDONLY, MS_NOSUID, MS_BIND, MS_REC, MS_REMOUNT = 1, 2, 4096, 16384, 32
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """For preexec_fn, outside: the child gets SIGKILL when we are gone.

    Inside nothing needs it: the pid namespace ends with its first process.
    """
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def mount(source, target, kind=None, flags=0, data=None):
    encode = lambda text: text.encode() if text is not None else None
    if libc.mount(encode(source), encode(target), encode(kind), flags,
                  encode(data)) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"mount {target}: {os.strerror(error)}")


def bind(source, target):
    os.makedirs(target, exist_ok=True)
    mount(source, target, None, MS_BIND | MS_REC)


def cover_file(path, text):
    """Lets everybody inside read this text at PATH instead of the real one."""
    if not os.path.exists(path):
        return
    name = MNT + "/etc" + path.replace("/", ".")
    os.makedirs(MNT + "/etc", exist_ok=True)
    with open(name, "w") as out:
        out.write(text)
    mount(name, path, None, MS_BIND)


def why_not():
    """What keeps us from making a world? None when nothing does."""
    if os.geteuid() != 0:
        return "it needs root for its network namespace (try sudo)"
    for tool in ("unshare", "chroot"):
        if not shutil.which(tool):
            return f"the program {tool} is missing"
    names = {21: "CAP_SYS_ADMIN", 12: "CAP_NET_ADMIN", 18: "CAP_SYS_CHROOT",
             27: "CAP_MKNOD"}
    with open("/proc/self/status") as status:
        caps = next(int(line.split()[1], 16) for line in status
                    if line.startswith("CapEff"))
    lacking = [name for bit, name in names.items() if not caps >> bit & 1]
    if lacking:
        return ("it needs namespaces of its own, and this container lacks "
                + ", ".join(lacking))
    attempt = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork",
         "--mount-proc", "true"], capture_output=True, text=True)
    if attempt.returncode != 0:
        return "no namespace can be made: " + attempt.stderr.strip()
    return None


def inside():
    return INSIDE in os.environ


def run(argv, base, keep=False):
    """Runs ARGV again in namespaces of its own and ends with its status.

    BASE is where the world's folder is made; it goes when all is over,
    unless KEEP says that its remains are of interest.
    """
    os.makedirs(base, exist_ok=True)
    _sweep(base)
    folder = tempfile.mkdtemp(prefix=f"world.{os.getpid()}.", dir=base)
    os.chmod(folder, 0o755)
    env = dict(os.environ, **{INSIDE: folder})
    command = ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts",
               "--fork", "--kill-child=KILL", "--mount-proc",
               sys.executable or "/usr/bin/python3", *argv]
    # Also where a shell started us with the signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        child = subprocess.Popen(command, env=env, preexec_fn=die_with_parent)
        # unshare itself ignores SIGTERM; its child dies with it.
        signal.signal(signal.SIGTERM, lambda *_: child.kill())
        while True:
            try:
                status = child.wait()
                break
            except KeyboardInterrupt:	# the terminal told the child as well
                continue
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
            try:
                os.rmdir(base)		# only when ours was the last one
            except OSError:
                pass
    return status if status >= 0 else 128 - status


def _sweep(base):
    """Folders of worlds whose starter was killed before it could clean up."""
    for name in os.listdir(base):
        pid = name.split(".")[1:2]
        if name.startswith("world.") and not os.path.exists(f"/proc/{pid[0]}"):
            shutil.rmtree(os.path.join(base, name), ignore_errors=True)


def reap():
    """Forks: returns in the child; the parent stays as the world's init."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        pid, status = os.wait()
        if pid == child:
            sys.stdout.flush()
            os._exit(os.waitstatus_to_exitcode(status) & 255)


PASSWD = """\
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
culver:x:64001:64001:culver:/nonexistent:/usr/sbin/nologin
culver-net:x:64002:64002:culver network:/nonexistent:/usr/sbin/nologin
alice:x:64003:64003:Alice:/nonexistent:/bin/sh
"""
GROUP = """\
root:x:0:
nogroup:x:65534:
culver:x:64001:
culver-net:x:64002:
alice:x:64003:
"""


def furnish(peers_root, build):
    """Mounts what a world needs and brings its network up. Inside only."""
    # Nothing of ours may be written into the machine's own folders.
    mount("world", MNT, "tmpfs", MS_NOSUID, "mode=755")
    bind(os.environ[INSIDE], WORLD)
    # The programs as they are now: a make beside us changes nothing here.
    for part in ("bin", "libexec", "tests/preload"):
        if build and os.path.isdir(f"{build}/{part}"):
            shutil.copytree(f"{build}/{part}", f"{BUILD}/{part}")

    # The servers' root is shared by all worlds and stays as it is; what they
    # write lies in file systems of this world.
    bind(peers_root, PEERS)
    mount(None, PEERS, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
    for place in ("/dev", "/run", "/tmp", "/var", "/etc/postfix"):
        mount("world", PEERS + place, "tmpfs", 0, "mode=755")
    for device, minor in (("null", 3), ("zero", 5), ("random", 8),
                          ("urandom", 9)):
        os.mknod(f"{PEERS}/dev/{device}", 0o20666, os.makedev(1, minor))
        os.chmod(f"{PEERS}/dev/{device}", 0o666)
    os.chmod(PEERS + "/tmp", 0o1777)
    mount("/proc", PEERS + "/proc", None, MS_BIND | MS_REC)
    mount(WORLD, PEERS + "/world", None, MS_BIND | MS_REC)

    cover_file("/etc/passwd", PASSWD)
    cover_file("/etc/group", GROUP)
    cover_file("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    cover_file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"
               "203.0.113.1 relay.world.example relay\n")
    cover_file("/etc/mailname", "world.example\n")
    libc.sethostname(b"relay", 5)
    network()


# Every address of these networks is this machine, whoever listens there.
LOCAL = ("198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15")
# Packets for these vanish: nothing answers, nothing refuses.
SILENT = ("192.0.2.0/24",)
LOCAL6 = ("2001:db8::/32",)


def network():
    lines = ["link set lo up", "address add 203.0.113.1/32 dev lo",
             "address add 203.0.113.25/32 dev lo",	# Postfix insists
             "-6 address add 2001:db8::1/128 dev lo nodad"]
    lines += [f"route add local {net} dev lo" for net in LOCAL]
    lines += [f"route add {net} dev lo" for net in SILENT]
    lines += [f"-6 route add local {net} dev lo" for net in LOCAL6]
    # A listener may sit on an address that no interface names.
    for version in ("ipv4", "ipv6"):
        with open(f"/proc/sys/net/{version}/ip_nonlocal_bind", "w") as knob:
            knob.write("1")
    # ip -batch knows no -6 in a line, so the families go apart.
    four = "\n".join(line for line in lines if not line.startswith("-6"))
    six = "\n".join(line[3:] for line in lines if line.startswith("-6"))
    chroot(["ip", "-batch", "-"], input=four)
    chroot(["ip", "-6", "-batch", "-"], input=six)


def chroot(command, **options):
    """Runs a program of the servers' root to its end; its standard output."""
    done = subprocess.run(["chroot", PEERS, *command], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def serve(command, log, **options):
    """Starts a server of the servers' root; it dies with the world."""
    out = open(log, "ab")
    return subprocess.Popen(["chroot", PEERS, *command], stdout=out,
                            stderr=out, stdin=subprocess.DEVNULL, **options)
