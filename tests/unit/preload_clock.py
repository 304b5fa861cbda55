#!/usr/bin/python3
"""The clock that jumps (tests/preload/clock.c), seen through Python's calls.

Each test runs a small program under the preload with a page of its own, tells
it things through a pipe and moves its clock while it waits.  TAP.
"""
import os
import struct
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("BUILD", "build")
LIBRARY = os.path.abspath(BUILD + "/tests/preload/clock.so")
DAY = 86400

PRELUDE = """
import ctypes, os, select, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def say(*what):
    print(*what, flush=True)
def took(call, *arguments):
    wall, mono = time.time(), time.monotonic()
    result = call(*arguments)
    say(round(time.monotonic() - mono, 3), result)
def ready():
    say("ready")
"""


class Program:
    def __init__(self, text, page=True, prefix=()):
        self.folder = tempfile.TemporaryDirectory()
        self.page = self.folder.name + "/clock"
        with open(self.page, "wb") as out:
            out.write(bytes(4096))
        os.chmod(self.folder.name, 0o755)
        environment = dict(os.environ, LD_PRELOAD=LIBRARY)
        environment.pop("CULVER_CLOCK", None)
        if page:
            environment["CULVER_CLOCK"] = self.page
        self.process = subprocess.Popen(
            [*prefix, "/usr/bin/python3", "-S", "-c", PRELUDE + text],
            env=environment, stdout=subprocess.PIPE, text=True,
            stdin=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stdin.close()
        self.folder.cleanup()

    def jump(self, seconds):
        with open(self.page, "r+b") as page:
            page.write(struct.pack("=q", int(seconds * 10**9)))

    def line(self):
        return self.process.stdout.readline().strip()

    def wait_ready(self):
        assert self.line() == "ready"
        time.sleep(0.15)        # let it get into its call

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def near(value, expected, room=1.5):
    assert abs(float(value) - expected) < room, f"{value}, not {expected}"


def test_every_clock():
    clocks = "REALTIME MONOTONIC MONOTONIC_RAW BOOTTIME TAI".split()
    text = """
for turn in range(2):
    for name in %r:
        say(time.clock_gettime(getattr(time, "CLOCK_" + name)))
    for coarse in (5, 6):
        say(time.clock_gettime(coarse))
    say(libc.time(None))
    pair = (ctypes.c_long * 2)()
    libc.gettimeofday(pair, None)
    say(pair[0])
    say(time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID))
    sys.stdin.readline()
""" % (clocks,)
    with Program(text) as program:
        count = len(clocks) + 5
        before = [float(program.line()) for _ in range(count)]
        near(before[0], time.time())
        program.jump(3 * DAY)
        program.go_on()
        after = [float(program.line()) for _ in range(count)]
        for old, new in zip(before[:-1], after[:-1]):
            near(new - old, 3 * DAY)
        near(after[-1], before[-1])


def test_without_page():
    with Program("say(time.time())", page=False) as program:
        near(program.line(), time.time())


def test_missing_page():
    with Program("say(time.time())", page=False) as program:
        program.line()
    environment = dict(os.environ, LD_PRELOAD=LIBRARY,
                       CULVER_CLOCK="/nowhere/clock")
    done = subprocess.run(["/bin/echo", "on"], env=environment,
                          capture_output=True, text=True)
    assert done.stdout == "on\n" and "/nowhere/clock" in done.stderr


WAITS = {
    "epoll_wait": "e = select.epoll(); wait = lambda t: e.poll(t)",
    "poll": "p = select.poll(); wait = lambda t: p.poll(t * 1000)",
    "select": "wait = lambda t: select.select([], [], [], t)",
    "sleep": "wait = lambda t: time.sleep(t)",
    "epoll_pwait": """
e = select.epoll(); events = (ctypes.c_char * 12)()
wait = lambda t: libc.epoll_pwait(e.fileno(), events, 1, int(t * 1000), None)
""",
    "epoll_pwait2": """
e = select.epoll(); events = (ctypes.c_char * 12)()
wait = lambda t: libc.epoll_pwait2(e.fileno(), events, 1,
    (ctypes.c_long * 2)(int(t), int(t % 1 * 10**9)), None)
""",
    "ppoll": """
wait = lambda t: libc.ppoll(None, 0,
    (ctypes.c_long * 2)(int(t), int(t % 1 * 10**9)), None)
""",
    "pselect": """
wait = lambda t: libc.pselect(0, None, None, None,
    (ctypes.c_long * 2)(int(t), int(t % 1 * 10**9)), None)
""",
    "nanosleep": """
wait = lambda t: libc.nanosleep(
    (ctypes.c_long * 2)(int(t), int(t % 1 * 10**9)), None)
""",
    "clock_nanosleep": """
wait = lambda t: libc.clock_nanosleep(1, 0,
    (ctypes.c_long * 2)(int(t), int(t % 1 * 10**9)), None)
""",
    "clock_nanosleep to a time": """
wait = lambda t: libc.clock_nanosleep(0, 1,
    (ctypes.c_long * 2)(int(time.time() + t), 0), None)
""",
    "usleep": "wait = lambda t: libc.usleep(int(t * 10**6))",
    "C sleep": "wait = lambda t: libc.sleep(int(t))",
}


def check_wait(name):
    with Program(WAITS[name] + """
ready()
took(wait, 1800)
ready()
took(wait, 1800)
took(wait, 1.0)
ready()
took(wait, 1800)
""") as program:
        program.wait_ready()
        start = time.monotonic()
        program.jump(DAY)               # more than it waits for
        took = program.line().split()[0]
        near(took, DAY)
        program.wait_ready()
        program.jump(DAY + 900)         # half of it: it goes on
        time.sleep(0.2)
        program.jump(DAY + 1900)
        near(program.line().split()[0], 1900)
        near(program.line().split()[0], 1.0, 1.01)  # without any jump
        program.wait_ready()
        program.jump(DAY)               # backwards: it ends
        program.line()
        assert time.monotonic() - start < 12


def test_ready_at_once():
    """What is ready ends a wait at once, with its result."""
    with Program("""
r, w = os.pipe(); os.write(w, b"x")
e = select.epoll(); e.register(r, select.EPOLLIN)
p = select.poll(); p.register(r, select.POLLIN)
took(e.poll, 100)
took(p.poll, 100000)
took(select.select, [r], [], [], 100)
os.read(r, 1)
if os.fork() == 0:
    time.sleep(0.3)
    os.write(w, b"x")
    os._exit(0)
took(select.select, [r, w], [], [w], 100)
took(select.select, [r], [], [], 100)
""") as program:
        for expected in ("[(", "[(", "([", "([", "(["):
            took, result = program.line().split(" ", 1)
            near(took, 0, 1.0)
            assert result.startswith(expected) and "3" in result, result


def test_no_time():
    """A time-out of nothing does not wait, one without end does."""
    with Program("""
e = select.epoll()
took(e.poll, 0)
took(select.select, [], [], [], 0)
signal.signal(signal.SIGALRM, lambda *unused: 1 / 0)
ready()
signal.alarm(1)
try:
    e.poll(-1)
except ZeroDivisionError:
    say("alarm")
""") as program:
        near(program.line().split()[0], 0, 0.5)
        near(program.line().split()[0], 0, 0.5)
        program.wait_ready()
        program.jump(DAY)
        assert program.line() == "alarm"


def test_interrupted():
    """A signal ends a sleep, which says what is left."""
    with Program("""
signal.signal(signal.SIGALRM, lambda *unused: None)
signal.alarm(1)
left = (ctypes.c_long * 2)()
say(libc.nanosleep((ctypes.c_long * 2)(100, 0), left), ctypes.get_errno())
say(left[0])
""") as program:
        assert program.line() == "-1 4"
        near(program.line(), 99)


def test_children():
    with Program("""
import subprocess
sys.stdin.readline()
if os.fork() == 0:
    say(time.time())
    os._exit(0)
os.wait()
subprocess.run(["/bin/date", "+%s"])
""") as program:
        program.jump(DAY)
        program.go_on()
        near(program.line(), time.time() + DAY, 3)
        near(program.line(), time.time() + DAY, 3)


def test_chroot():
    with Program("""
empty = os.environ["CULVER_CLOCK"] + ".root"
os.mkdir(empty)
os.chroot(empty)
os.chdir("/")
os.setuid(65534)
e = select.epoll()
ready()
took(e.poll, 100)
""") as program:
        program.wait_ready()
        program.jump(DAY)
        near(program.line().split()[0], DAY)


def tests():
    yield "every clock is shifted, processor time is not", test_every_clock
    yield "without the variable nothing changes", test_without_page
    yield "a page that is missing is said", test_missing_page
    for name in WAITS:
        yield (f"{name} ends when its time has come",
               lambda name=name: check_wait(name))
    yield "what is ready ends a wait", test_ready_at_once
    yield "no time, and time without end", test_no_time
    yield "a signal ends a sleep", test_interrupted
    yield "children see the same page", test_children
    if os.geteuid() == 0:
        yield "a chroot keeps the page", test_chroot


def main():
    failed = number = 0
    for number, (name, test) in enumerate(tests(), 1):
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Exception as problem:    # any: the next test still runs
            failed += 1
            print(f"not ok {number} - {name}", flush=True)
            print(f"{name}: {problem!r}", file=sys.stderr)
    print(f"1..{number}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
