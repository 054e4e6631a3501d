"""What the faults have in common: their registry, whom they strike, and when they have had no effect.

A fault takes (cluster, rng, stretch), does its harm, and takes it back. It waits with pause(), so that a run can be ended
early; `stretch` scales how long harm lasts. It raises Trouble when a node reacts to harm as it must not, and NoEffect
when the harm was not done or struck nothing: then it does not count.
"""
import contextlib
import time

from nodes import Trouble, wait_for

FAULTS = {}
OF_DISKS = []   # need the preloaded disk
BACKDROPS = []  # may last while others happen
BESIDE = []     # strike one member, which they keep to themselves: two of them may happen at once
LOSING = []     # of those, the ones that take from a member what it has acknowledged


class NoEffect(Exception):
    pass


def fault(*kinds):
    def register(function):
        FAULTS[function.__name__] = function
        for kind in kinds:
            kind.append(function.__name__)
        return function
    return register


def pause(rng, low, high, stretch=1.0):
    time.sleep(rng.uniform(low, high) * stretch)


def others(cluster, node):
    return [n for n in list(cluster.nodes) if n is not node]


def follower(cluster, rng):
    leader = cluster.leader()
    return rng.choice(others(cluster, leader))


@contextlib.contextmanager
def victim(cluster, rng, role='any', moving=False):
    """A member that no other fault strikes and that nobody removes for as long. `moving`: it may be one that joins, or
    one that leaves."""
    leader = cluster.leader() if role != 'any' else None
    with cluster.lock:
        free = [n for n in cluster.nodes if not n.struck and (moving or not (n.joining or n.leaving)) and
                (role == 'any' or (n is leader) == (role == 'leader'))]
        if not free:
            raise NoEffect(f'no {"member" if role == "any" else role} that nobody else is at')
        node = rng.choice(free)
        node.struck = True
    try:
        yield node
    finally:
        node.struck = False


def up_again(node):
    """A started node must come to answer; if it ends instead, that is Trouble, unless it is killed or removed meanwhile."""
    def answers():
        if node.leaving:
            return True
        if not node.running() and not node.down:
            raise Trouble(f'{node.name} ended after its start: {node.last_words()}')
        return node.status(2)
    wait_for(f'{node.name} to answer after its start', answers)


def must_end(node, why):
    wait_for(f'{node.name} to stop because of {why}', lambda: not node.running())
    if node.process.returncode <= 0:
        raise Trouble(f'{node.name} ended with {node.process.returncode} because of {why}: {node.last_words()}')
