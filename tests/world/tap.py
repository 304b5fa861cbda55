"""How are results written down? The Test Anything Protocol, version 13.

A file per scenario with a line for every step, and one stream with a line
for every scenario. The ids of conformance.tsv stand in a line's name, so a
rule counts as shown only by a line that was ok in this run.
"""

import threading


class Tap:
    def __init__(self, stream, plan=None):
        self.stream, self.count, self.failed = stream, 0, 0
        self.lock = threading.Lock()
        self.planned = plan is not None
        if plan is not None:
            self._write(f"1..{plan}")

    def ok(self, name):
        self._result("ok", name)

    def not_ok(self, name, why=""):
        self.failed += 1
        self._result("not ok", name, why)

    def comment(self, text):
        with self.lock:
            self._comment(text)

    def close(self):
        if not self.planned:
            self._write(f"1..{self.count}")

    def _result(self, word, name, why=""):
        with self.lock:
            self.count += 1
            self._write(f"{word} {self.count} - {name.replace('#', '')}")
            self._comment(why)

    def _comment(self, text):
        for line in text.splitlines():
            self._write(f"# {line}")

    def _write(self, line):
        print(line, file=self.stream, flush=True)
