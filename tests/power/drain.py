"""Does a relay that was only just started give away everything it owes?

Called after a cut and after a kill, with a server that takes everything now.
"""

import time

# Past every back-off that a load can have brought about.
LATER_S = 7200
SOON_S = 2


def drain(relay, server, patience=60):
    """Waits until the queue is empty; what is still there, in words."""
    server.patient = True
    deadline = time.monotonic() + patience
    hurried = time.monotonic() - 2
    left = []
    try:
        while time.monotonic() < deadline:
            left = listing(relay)
            if left == []:
                return None
            if left and all(one["state"] == "held" for message in left
                            for one in message["recipients"]):
                break			# it will not leave by itself
            idle = not under_way(left, relay.now() + SOON_S)
            if time.monotonic() - hurried > (2 if idle else 10):
                relay.pass_time(LATER_S)
                hurried = time.monotonic()
            time.sleep(0.03)
    finally:
        server.patient = False
    if left is None:
        return "the queue cannot be listed"
    return f"{len(left)} messages do not leave: " + "; ".join(
        str(one)[:300] for one in left[:2])


def under_way(left, now):
    """A clock that leaps now would end what is being delivered."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    return left is None or any(
        recipient["state"] == "active"
        or (recipient["next"] or "9") <= stamp
        for message in left for recipient in message["recipients"])


def listing(relay):
    try:
        return relay.queue()
    except (RuntimeError, OSError, ValueError):
        return None


def takes_mail(relay, server, book, seed):
    """One more letter goes in and comes out; what is wrong, in words."""
    letter = book.compose(f"proof.{seed}")
    server.patient = True
    try:
        with relay.client() as peer:
            peer.demand("EHLO client.test.example", 2)
            peer.send(letter.sender, letter.recipients, letter.data)
    except (OSError, RuntimeError, ValueError) as error:
        return f"it takes no mail: {error}"
    book.acknowledge(letter)
    return drain(relay, server)
