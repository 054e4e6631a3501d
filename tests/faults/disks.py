"""Faults of disks that say what they do: slow, failing, full, gone within a write."""
import os
import shutil
import subprocess
import time

from harm import BACKDROPS, BESIDE, OF_DISKS, NoEffect, fault, must_end, pause, up_again, victim
from nodes import Trouble, wait_for


def up_with_room(node):
    """Whether a node stops or waits on a full disk is its choice; once there is room it must work, after a start if it
    stopped. Ending may take a moment."""
    time.sleep(0.2)
    wait_for(f'{node.name} to answer or to end on a full disk', lambda: not node.running() or node.status(2))
    if not node.running():
        if node.process.returncode < 0:
            raise Trouble(f'{node.name} died of signal {-node.process.returncode} on a full disk: {node.last_words()}')
        node.start()
    up_again(node)


def disarm(cluster, node):
    """Clears the alarms that a full disk raised, once the node has seen that there is room again."""
    wait_for(f'{node.name} to have room again', lambda: node.metric('quorate_low_on_space') == 0)
    for alarm in cluster.call('/v3/maintenance/alarm', {}).get('alarms', []):
        cluster.call('/v3/maintenance/alarm', {**alarm, 'action': 'DEACTIVATE'})


@fault(OF_DISKS, BESIDE)
def slow_disk_of_leader(cluster, rng, stretch):
    with victim(cluster, rng, 'leader') as leader:
        leader.disk.set(sync_delay_us=rng.randint(20_000, 800_000))
        pause(rng, 1, 4, stretch)
        felt = leader.disk.felt()
        leader.disk.heal()
        if not felt:
            raise NoEffect('nothing was written')


@fault(OF_DISKS, BACKDROPS)
def slow_disks(cluster, rng, stretch):
    nodes = list(cluster.nodes)
    for node in nodes:
        node.disk.set(sync_delay_us=rng.randint(1_000, 30_000))
    pause(rng, 1, 4, stretch)
    felt = sum(node.disk.felt() for node in nodes)
    for node in nodes:
        node.disk.heal()
    if not felt:
        raise NoEffect('nothing was written')


@fault(OF_DISKS, BESIDE)
def failed_sync(cluster, rng, stretch):
    """EIO of fdatasync: nothing that was not synced before is to be trusted, so the node must stop, and say why."""
    with victim(cluster, rng) as node:
        node.disk.set(fail_sync=1)
        must_end(node, 'a failed fdatasync')
        if 'fdatasync' not in node.last_words() and 'fsync' not in node.last_words():
            raise Trouble(f'{node.name} does not tell of the failed sync: {node.last_words()}')
        node.disk.heal()
        node.start()
        up_again(node)


@fault(OF_DISKS, BESIDE)
def full_disk(cluster, rng, stretch):
    with victim(cluster, rng) as node:
        node.disk.set(full=1)
        pause(rng, 0.5, 3, stretch)
        felt = node.disk.felt()
        node.disk.heal()
        up_with_room(node)
        if not felt:
            raise NoEffect('nothing was written')


@fault(BESIDE)
def full_file_system(cluster, rng, stretch):
    """The same with a file system that is really full, and takes part of a write: a small one in memory."""
    with victim(cluster, rng, 'follower') as node:
        node.kill()
        aside = node.data + '.aside'
        os.rename(node.data, aside)
        os.mkdir(node.data)
        mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64m', 'quorate-faults', node.data],
                                 stderr=subprocess.DEVNULL).returncode == 0
        try:
            if mounted:
                fill(node, aside, rng, stretch)
        finally:
            node.kill()
            if mounted:
                shutil.rmtree(aside)
                shutil.copytree(node.data, aside)
                subprocess.run(['umount', node.data], check=True)
            shutil.rmtree(node.data)
            os.rename(aside, node.data)
        node.start()
        up_again(node)
        if not mounted:
            raise NoEffect('no right to mount a file system')
        disarm(cluster, node)


def fill(node, aside, rng, stretch):
    shutil.copytree(aside, node.data, dirs_exist_ok=True)
    node.start()
    up_again(node)
    filler = os.path.join(node.data, 'filler')
    with open(filler, 'wb', buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
    pause(rng, 0.5, 3, stretch)
    os.remove(filler)
    up_with_room(node)


@fault(OF_DISKS, BESIDE)
def torn_write(cluster, rng, stretch):
    """The node dies within a write to its log; some of the sectors got to the disk. That is no damage."""
    with victim(cluster, rng) as node:
        node.disk.set(tear_seed=rng.randrange(1 << 32), tear=rng.randint(1, 40))
        wait_for(f'{node.name} to die within a write', lambda: not node.running())
        node.disk.heal()
        node.start()
        up_again(node)
