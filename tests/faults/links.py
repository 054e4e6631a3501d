"""Faults of the links between members, made by the proxy."""
import time

from harm import BACKDROPS, NoEffect, fault, follower, others, pause
from nodes import Trouble, wait_for


def cut(cluster, pairs, rng, stretch):
    cluster.links('block', pairs)
    pause(rng, 0.5, 4, stretch)
    cluster.links('pass', pairs)


def both_ways(node, rest):
    return {(node, n) for n in rest} | {(n, node) for n in rest}


@fault()
def isolate_leader(cluster, rng, stretch):
    leader = cluster.leader()
    cut(cluster, both_ways(leader, others(cluster, leader)), rng, stretch)


def term(node):
    return int(node.status(2)['raftTerm'])


def leader_of(node):
    """The id of the leader that it follows; 0 where it knows none, which is not told."""
    return int(node.status(2).get('leader', 0))


def rejoin(cluster, rng, stretch):
    """Cuts a follower off and lets it come back. Tells whether the leader stayed; where nobody else disturbs it, it does:
    a follower that hears nobody asks before it goes to a later term, and is told that there is a leader."""
    leader = cluster.leader()
    node = rng.choice(others(cluster, leader))
    before = wait_for(f'{node.name} to have heard of the leader',
                      lambda: term(leader) if leader_of(node) == leader.id else None)
    pairs = both_ways(node, others(cluster, node))
    cluster.links('block', pairs)
    time.sleep(0.2)  # what was under way has arrived
    first = wait_for(f'{node.name} to answer while it is cut off', lambda: term(node))
    pause(rng, 1 / stretch, 4, stretch)  # many time-outs of an election
    alone = wait_for(f'{node.name} to answer while it is cut off', lambda: term(node))
    cluster.links('pass', pairs)
    if alone > first:
        raise Trouble(f'{node.name}, cut off, went from term {first} to {alone} with nobody to vote for it')
    wait_for(f'{node.name} to hear a leader again', lambda: leader_of(node) != 0 and cluster.answers(node))
    now = cluster.leader()
    return now is leader and term(now) == before


@fault()
def isolate_follower(cluster, rng, stretch):
    """A member that comes back unseats nobody. An election for another reason, such as a machine without a moment for
    the leader, is no matter: it does not happen each time."""
    if not cluster.alone:
        node = follower(cluster, rng)
        cut(cluster, both_ways(node, others(cluster, node)), rng, stretch)
        return
    with cluster.changing:
        for _ in range(4):
            if rejoin(cluster, rng, stretch):
                cluster.note('rejoined under the same leader')
                return
    raise Trouble('each of four followers that were cut off and came back found another leader or term')


@fault()
def leader_hears_nothing(cluster, rng, stretch):
    leader = cluster.leader()
    cut(cluster, {(n, leader) for n in others(cluster, leader)}, rng, stretch)


@fault()
def leader_is_not_heard(cluster, rng, stretch):
    leader = cluster.leader()
    cut(cluster, {(leader, n) for n in others(cluster, leader)}, rng, stretch)


@fault()
def one_link_cut(cluster, rng, stretch):
    """The leader and one follower do not hear each other; others hear both."""
    leader = cluster.leader()
    node = rng.choice(others(cluster, leader))
    cut(cluster, {(leader, node), (node, leader)}, rng, stretch)


@fault()
def halves(cluster, rng, stretch):
    nodes = list(cluster.nodes)
    rng.shuffle(nodes)
    a, b = nodes[:len(nodes) // 2], nodes[len(nodes) // 2:]
    cut(cluster, {(x, y) for x in a for y in b} | {(y, x) for x in a for y in b}, rng, stretch)


@fault()
def flapping_link(cluster, rng, stretch):
    leader = cluster.leader()
    node = rng.choice(others(cluster, leader))
    pairs = {(leader, node), (node, leader)} if rng.random() < 0.5 else {(leader, node)}
    for _ in range(8):
        cluster.links('block', pairs)
        pause(rng, 0.05, 0.4)
        cluster.links('pass', pairs)
        pause(rng, 0.02, 0.2)


@fault(BACKDROPS)
def slow_links(cluster, rng, stretch):
    cluster.links(f'slow {rng.uniform(1, 15):.1f} {rng.uniform(0, 10):.1f} 0 0')
    pause(rng, 1, 4, stretch)
    cluster.links('pass')


@fault(BACKDROPS)
def lossy_links(cluster, rng, stretch):
    """A lost packet is sent again after TCP's shortest time-out: 200 ms, in which nothing behind it arrives."""
    cluster.links(f'slow 0.2 0.5 {rng.randint(1, 5)} 200')
    pause(rng, 1, 4, stretch)
    cluster.links('pass')


@fault()
def corrupted_links(cluster, rng, stretch):
    """Bits change under way: a frame's checksum tells, and the connection is made anew. No node may end of it."""
    before = cluster.proxy.say('flipped')
    cluster.links(f'corrupt {rng.choice((1, 10, 100))}')
    pause(rng, 1, 4, stretch)
    cluster.links('pass')
    for node in list(cluster.nodes):
        if not node.running() and not node.leaving and not node.joining:
            raise Trouble(f'{node.name} ended of corrupted links: {node.last_words()}')
    flipped = cluster.proxy.say('flipped') - before
    if not flipped:
        raise NoEffect('no bit changed')
    cluster.note('bits changed between members', flipped)


@fault()
def broken_connections(cluster, rng, stretch):
    broken = 0
    for _ in range(10):
        a, b = rng.sample(list(cluster.nodes), 2)
        broken += cluster.proxy.say('reset', a.name, b.name)
        pause(rng, 0.01, 0.3)
    if not broken:
        raise NoEffect('no connection stood')
