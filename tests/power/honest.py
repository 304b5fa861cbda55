"""Would the torture see it if mail were lost?

A series whose queue program believes that it flushes, and does not (fault.c
says that each flush went well and makes none). A power cut behind its last
250, kind to nothing, must lose mail; if none is missed, nothing that the
torture finds means anything.
"""

from . import disk, fault, series

FOR_EVER = 1 << 40


class Liar(series.Series):
    def __init__(self, seed, folder, tools):
        super().__init__(0, seed, folder + "/liar", tools)
        self.seed = f"{seed}.liar"

    def prepare(self, one):
        fault.Fault(one).arm(fault.SYNC, fault.LIE, 1, FOR_EVER)

    def plan(self):
        """Nobody is killed."""
        return lambda sending: None


def lies(seed, folder, tools):
    """What is wrong with the torture itself, in words, or None."""
    one = Liar(seed, folder, tools)
    try:
        one.play()
        taken = one.taken()
        if not taken:
            return "a relay whose flushes are swallowed took no mail"
        outcome = one.judge(0, taken[-1], disk.Nothing())
        if not any(wrong.startswith(("lost", "no start"))
                   for wrong in outcome.faults):
            return (f"flushes were swallowed, and after a power cut none of "
                    f"{outcome.acknowledged} messages is lost")
        return None
    finally:
        one.close()
