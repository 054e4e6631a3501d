"""Members that come and go: as faults, and all the time beside them (Churn)."""
import random
import threading
import time

from harm import BESIDE, LOSING, NoEffect, fault, pause, up_again, victim
from nodes import PATIENCE, wait_for


def members(cluster):
    listed = cluster.call('/v3/cluster/member/list', {'linearizable': True}).get('members')
    if not listed:
        raise ValueError('an empty list of members')
    return listed


def change(cluster, what, path, request, done):
    """Asks for a change until the list of members shows it: answers get lost, and refusals are for trying again."""
    def one():
        if done():
            return True
        cluster.under_way.set()
        cluster.call(path, request)
        return done()
    try:
        wait_for(what, one, 2 * PATIENCE, every=0.2)
    finally:
        cluster.under_way.clear()


def remove(cluster, node):
    node.leaving = True
    with cluster.changing:
        change(cluster, f'{node.name} to be removed', '/v3/cluster/member/remove', {'ID': str(node.id)},
               lambda: all(int(m['ID']) != node.id for m in members(cluster)))
        with cluster.lock:
            cluster.nodes.remove(node)
        cluster.changed()
        node.retire()


def add(cluster):
    """A learner that catches up and is promoted, as a running cluster should grow."""
    node = cluster.new_node()
    node.joining = True
    url = f'http://{node.address}'

    def entry():
        return next((m for m in members(cluster) if url in m.get('peerURLs', [])), None)
    with cluster.changing:
        change(cluster, f'{node.name} to be added', '/v3/cluster/member/add', {'peerURLs': [url], 'isLearner': True}, entry)
        node.id = int(wait_for(f'the id of {node.name}', entry)['ID'])
        node.join = True
        with cluster.lock:
            cluster.nodes.append(node)
        node.start()
        up_again(node)
        change(cluster, f'{node.name} to be promoted', '/v3/cluster/member/promote', {'ID': str(node.id)},
               lambda: not entry().get('isLearner', False))
        node.joining = False
        cluster.changed()
    return node


def replace(cluster, node):
    remove(cluster, node)
    add(cluster)


@fault()
def grow_and_shrink(cluster, rng, stretch):
    add(cluster)
    with victim(cluster, rng) as node:
        remove(cluster, node)


@fault()
def shrink_and_grow(cluster, rng, stretch):
    if len(cluster.nodes) < 3:
        raise NoEffect('fewer than three members')
    with victim(cluster, rng) as node:
        replace(cluster, node)


@fault(BESIDE, LOSING)
def wiped_member(cluster, rng, stretch):
    """A disk was lost: the member is removed, and another takes its place."""
    with victim(cluster, rng, 'follower') as node:
        node.kill()
        replace(cluster, node)


class Churn:
    """Adds and removes members, one after the other, whatever else happens: between `least` and `most` of them."""

    def __init__(self, cluster, seed, least, most, stretch):
        self.cluster, self.least, self.most, self.stretch = cluster, least, most, stretch
        self.rng = random.Random(seed)
        self.ending = threading.Event()
        self.trouble = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        cluster.churned = True
        self.thread.start()

    def run(self):
        try:
            while not self.ending.is_set():
                with self.cluster.changing:
                    self.step()
                pause(self.rng, 0.1, 1, self.stretch)
        except Exception as trouble:  # told by end()
            self.trouble = trouble

    def step(self):
        count = len(self.cluster.nodes)
        if count <= self.least or (count < self.most and self.rng.random() < 0.5):
            add(self.cluster)
            self.cluster.note('members added beside other faults')
            return
        try:
            with victim(self.cluster, self.rng) as node:
                node.leaving, node.struck = True, False  # it may be killed while it is removed
            remove(self.cluster, node)
            self.cluster.note('members removed beside other faults')
        except NoEffect:
            time.sleep(0.1)  # faults have them all

    def stop(self):
        """Behind the last change."""
        self.ending.set()
        self.thread.join()
        self.cluster.churned = False

    def end(self):
        self.stop()
        if self.trouble:
            raise self.trouble
