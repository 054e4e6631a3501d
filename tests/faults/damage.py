"""Damage to what a stopped member has on its disk: its log, in the middle and at the end, and its state."""
import dataclasses
import glob
import os
import shutil
import time

from harm import BESIDE, LOSING, NoEffect, fault, must_end, up_again, victim
from membership import replace
from nodes import Trouble, wait_for

SECTOR = 512
HEADER = 48  # of a batch


@dataclasses.dataclass
class Batch:
    """As docs/design/formats.md has it."""
    at: int
    length: int  # of its body
    plain: bool  # holds no record

    def body(self, rng):
        return self.at + HEADER + rng.randrange(self.length)

    def header(self, rng):
        return self.at + rng.randrange(4, HEADER)

    def whole(self, rng):
        return self.at + rng.randrange(4, HEADER + self.length)

    def one_sector(self):
        return HEADER + self.length <= SECTOR


class Segment:
    """The newest segment of a log and its batches, the first of which is the checkpoint."""

    def __init__(self, node):
        folder = os.path.join(node.data, 'log')
        self.name = max(f for f in os.listdir(folder) if f.startswith('wal-'))
        self.path = os.path.join(folder, self.name)
        number = int(self.name[4:])
        with open(self.path, 'rb') as file:
            content = file.read()
        self.batches = []
        at = SECTOR
        while content[at:at + 4] == b'WABT' and int.from_bytes(content[at + 8:at + 16], 'little') == number and (
                int.from_bytes(content[at + 24:at + 32], 'little') == at):
            batch = Batch(at, int.from_bytes(content[at + 32:at + 40], 'little'), content[at + 45] & 1 == 1)
            self.batches.append(batch)
            at += -(-(HEADER + batch.length) // SECTOR) * SECTOR

    def flip(self, rng, at):
        with open(self.path, 'r+b') as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << rng.randrange(8))]))


def refuses_since_there_were_two(cluster, node):
    """A node whose state was last flushed while it was one of two voters knows of no quorum without it, and says so.
    That can be only for a while after there were so few."""
    if time.monotonic() - cluster.narrow > 30:
        return False
    wait_for(f'{node.name} to answer or to refuse', lambda: not node.running() or node.status(2))
    return not node.running() and 'without this node there is no quorum' in node.last_words()


def must_repair(cluster, node, where, repaired):
    """The damage hit no vote: the node must go on, say that it repairs, and have again what it lost."""
    if refuses_since_there_were_two(cluster, node):
        replace(cluster, node)
        return
    up_again(node)
    if not node.times_said(where, 'REPAIR'):
        raise Trouble(f'{node.name} does not tell that it repairs {where}: {node.last_words()}')
    wait_for(f'{node.name} to have again what it lost in {where}',
             lambda: node.times_said('has again what it lost') > repaired)


def must_refuse(cluster, node, where):
    """A vote may be lost: the node must not start, and say where its log is damaged, or that it is gone. It is replaced."""
    must_end(node, f'the damage in {where}')
    if where not in node.last_words() and f'the log in {node.data}/log is gone' not in node.last_words():
        raise Trouble(f'{node.name} does not name {where}: {node.last_words()}')
    replace(cluster, node)


@fault(BESIDE, LOSING)
def damaged_log(cluster, rng, stretch):
    """A flipped bit in the middle of the log: neither in the checkpoint nor in the last batch."""
    with victim(cluster, rng, 'follower') as node:
        node.kill()
        repaired = node.times_said('has again what it lost')
        segment = Segment(node)
        if len(segment.batches) < 4:
            node.start()
            up_again(node)
            raise NoEffect('fewer than four batches')
        batch = rng.choice(segment.batches[1:-1])
        segment.flip(rng, batch.whole(rng))
        node.start()
        if batch.plain and cluster.protocol == 'raft':
            must_repair(cluster, node, f'{segment.name}, offset {batch.at}', repaired)
        else:
            must_refuse(cluster, node, segment.name)


def damage_tail(segment, rng):
    """Damages the end of a log, one of five ways. Tells which, and what must come of it: `repair`, `refuse`, or `cut`,
    which is all that can be told of the body of the very last batch where it is longer than a sector."""
    before, last = segment.batches[-2:]
    way = rng.choice(('header', 'body', 'two batches', 'file cut short', 'file lost'))
    if way == 'body' and not last.plain and not last.one_sector():
        way = 'header'  # a vote within a long last batch: docs/design/formats.md
    if way == 'two batches' and not (before.plain and last.plain):
        way = 'header'
    if way == 'header':
        segment.flip(rng, last.header(rng))
    elif way == 'body':
        segment.flip(rng, last.body(rng))
        return way, 'cut' if not last.one_sector() else 'repair' if last.plain else 'refuse'
    elif way == 'two batches':
        segment.flip(rng, before.body(rng))
        segment.flip(rng, last.body(rng))
        return way, 'repair'
    elif way == 'file cut short':
        os.truncate(segment.path, last.at + rng.randrange(HEADER + last.length))
    else:
        os.remove(segment.path)
    return way, 'refuse'


@fault(BESIDE, LOSING)
def damaged_tail(cluster, rng, stretch):
    """The end of the log is damaged, which the member had acknowledged. What can be told from a torn write must stop the
    node or be brought back by the others; what can not is cut, and the others must bring it as well. So that nothing
    acknowledged is only there, they first acknowledge a write without this member."""
    with victim(cluster, rng, 'follower') as node:
        node.kill()
        wait_for('a write without the stopped member', lambda: cluster.call('/v3/kv/put', {'key': 'ZmF1bHRz'}))
        repaired, cuts = node.times_said('has again what it lost'), node.times_said('of an unfinished write from its end')
        segment = Segment(node)
        if len(segment.batches) < 3:
            node.start()
            up_again(node)
            raise NoEffect('fewer than three batches')
        way, outcome = damage_tail(segment, rng)
        cluster.note(f'ends of logs damaged: {way}, {outcome}')
        node.start()
        if outcome == 'repair' and cluster.protocol == 'raft':
            must_repair(cluster, node, segment.name, repaired)
        elif outcome == 'cut':
            up_again(node)
            if node.times_said('of an unfinished write from its end') == cuts:
                raise Trouble(f'{node.name} does not tell that it cut the end of {segment.name}: {node.last_words()}')
        else:
            must_refuse(cluster, node, segment.name)


def damage_state(node, rng):
    """Takes from the state of a keyspace what shows when it is opened. Tells what; None: there is no table yet."""
    states = glob.glob(os.path.join(node.data, 'state', '*', 'live-*'))
    manifests = glob.glob(os.path.join(states[0], 'MANIFEST-*')) if states else []
    tables = glob.glob(os.path.join(states[0], '*.sst')) if states else []
    if not manifests or not tables:
        return None
    what = rng.choice(('manifest', 'table', 'directory'))
    if what == 'manifest':
        with open(manifests[0], 'r+b') as file:
            file.write(os.urandom(64))
    elif what == 'table':
        os.remove(rng.choice(tables))
    else:
        shutil.rmtree(os.path.join(node.data, 'state'))
    return what


@fault(BESIDE, LOSING)
def damaged_state(cluster, rng, stretch):
    """The state below the log is damaged or gone. Where the log was cut behind it the node must say that it repairs, and
    have again what it lost (protocols that can not: refuse to start; then it is replaced); where it was not, go on."""
    with victim(cluster, rng, 'follower') as node:
        node.kill()
        repairs, repaired = node.times_said('REPAIR'), node.times_said('has again what it lost')
        what = damage_state(node, rng)
        node.start()
        wait_for(f'{node.name} to answer or to end', lambda: not node.running() or node.status(2))
        if node.running():
            if node.times_said('REPAIR') > repairs:
                wait_for(f'{node.name} to have again what it lost with the {what} of its state',
                         lambda: node.times_said('has again what it lost') > repaired)
            if what is None:
                raise NoEffect('no table was written yet')
            return
        excused = (refuses_since_there_were_two(cluster, node) if cluster.protocol == 'raft' else
                   'can not go on without its entries' in node.last_words())
        if what is None or not excused:
            raise Trouble(f'{node.name} ended; the {what} of its state was damaged: {node.last_words()}')
        replace(cluster, node)
