"""How much one visitor may ask for: a share that refills, so that nobody keeps the queue full alone."""

import ipaddress
import math
import os
import threading
import time

BURST = 30  # requests in a row: a class of thirty behind one address presses Speak once
RATE = 30  # requests a minute after that: about what two cores can speak in a minute
MANY = 10_000  # visitors that are remembered before those with a full share are forgotten
GROUP_BITS = 64  # of an IPv6 address that belong to one household


class Pace:
    """A share of `burst` requests for each visitor, which refills by `rate` a minute.  clock: in seconds.

    rate: by default VOICE_ATLAS_RATE, else RATE; 0 sets no limit."""

    def __init__(self, rate=None, clock=time.monotonic, burst=BURST):
        self.rate = float(os.environ.get("VOICE_ATLAS_RATE", RATE)) if rate is None else rate
        self.clock = clock
        self.burst = burst
        self.shares = {}  # visitor: (requests left, when that was)
        self._lock = threading.Lock()

    def wait(self, visitor):
        """Seconds that `visitor` has to wait; 0 lets one request in and takes it off the share."""
        if visitor is None or not self.rate:
            return 0.0
        now, refill = self.clock(), self.rate / 60
        with self._lock:
            left, then = self.shares.get(visitor, (self.burst, now))
            left = min(self.burst, left + (now - then) * refill)
            if left < 1:
                return (1 - left) / refill
            self.shares[visitor] = (left - 1, now)
            if len(self.shares) > MANY:
                self.forget(now, refill)
        return 0.0

    def forget(self, now, refill):
        """Forget visitors whose share is full again."""
        for visitor, (left, then) in list(self.shares.items()):
            if left + (now - then) * refill >= self.burst:
                del self.shares[visitor]


def words(seconds):
    """What a visitor is told who has to wait."""
    return (
        f"That was more than one visitor's share ({BURST} requests in a row): "
        f"wait {math.ceil(seconds)} s, then go on."
    )


def visitor_of(peer, forwarded):
    """Who asks, by address: None for this machine itself, which is not limited.

    peer: address that the connection comes from.  forwarded: X-Forwarded-For, believed only where the peer is
    a proxy of this network; of its addresses the last public one, as those before it may be invented."""
    address = parsed(peer)
    if address is None or address.is_global:
        return grouped(address)
    for part in reversed(forwarded.split(",")):
        behind = parsed(part.strip())
        if behind is not None and behind.is_global:
            return grouped(behind)
    return None if address.is_loopback else grouped(address)


def parsed(text):
    """An IP address, or None."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def grouped(address):
    """An address as it is counted: of IPv6 the network of a household.  None stays None."""
    if address is not None and address.version == 6:
        return str(ipaddress.ip_network((address, GROUP_BITS), strict=False))
    return None if address is None else str(address)
