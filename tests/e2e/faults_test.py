#!/usr/bin/env python3
"""Real nodes under load and faults: the bounded part of tests/soak. Each test is rounds of faults whose history is
judged (tests/faults/README.md). A failure names the directory that holds history, logs and data."""
import concurrent.futures
import glob
import http.client
import os
import random
import signal
import sys
import tempfile

from cluster import ROOT, b64, run

sys.path.insert(0, os.path.join(ROOT, 'tests', 'faults'))
from campaign import Campaign  # noqa: E402
from damage import Segment  # noqa: E402
from nodes import Cluster, Trouble, call, disks_can_fail, wait_for  # noqa: E402

SEED = 1


def campaign(name, faults, rounds, **options):
    # Not in the scratch directory of the test, which is removed: what a failure leaves must stay.
    directory = tempfile.mkdtemp(prefix=f'faults-{name}-', dir=os.path.join(ROOT, 'build'))
    one = Campaign(directory, SEED, faults, stretch=0.4, pause_ms=8, **options)
    good = one.run(rounds)
    print(one.text(), end='')
    if good:
        one.forget(everything=True)
    assert good, f'seed {SEED}; history, logs and data are in {directory}'


def processes_die_and_stop():
    campaign('processes', ['kill_leader', 'kill_follower', 'kill_all', 'freeze_leader', 'stop_leader', 'freeze_for_100_ms'],
             rounds=2, faults_a_round=3, churn=True)


def links_fail_one_way_and_in_part():
    campaign('links', ['isolate_leader', 'isolate_follower', 'leader_hears_nothing', 'leader_is_not_heard', 'one_link_cut',
                       'lossy_links', 'flapping_link', 'corrupted_links'], rounds=2, faults_a_round=4)


def disks_fail():
    campaign('disks', ['failed_sync', 'full_disk', 'torn_write', 'slow_disk_of_leader', 'damaged_log', 'damaged_tail',
                       'damaged_state', 'power_loss', 'power_loss_of_all'], rounds=1, faults_a_round=9, beside=0.5, flush_after=200)


def members_come_and_go():
    campaign('members', ['kill_each_leader', 'wiped_member', 'transfer', 'grow_and_shrink'], rounds=1, faults_a_round=4,
             size=5, churn=True)


def replicas_that_differ_are_found():
    """The judge of the hashes is shown what it must not let pass: members with different histories of the same length."""
    with tempfile.TemporaryDirectory() as directory:
        clusters = []
        try:
            for value in ('b25l', 'b25l', 'dHdv'):
                cluster = Cluster(os.path.join(directory, str(len(clusters))), 1, SEED)
                clusters.append(cluster)
                cluster.settle()
                cluster.call('/v3/kv/put', {'key': 'a2V5', 'value': value})
            same, other, different = clusters
            same.nodes, nodes = same.nodes + other.nodes, same.nodes
            same.equal_hashes()
            same.nodes = nodes + different.nodes
            try:
                same.equal_hashes()
            except Trouble as trouble:
                assert 'the replicas differ' in str(trouble), trouble
            else:
                raise AssertionError('different histories pass for equal')
            same.nodes = nodes
        finally:
            for cluster in clusters:
                cluster.end()


def nobody_serves(cluster, acknowledged):
    """No member that runs takes a write or answers a linearizable read, and none shows what was not acknowledged."""
    running = [node for node in cluster.nodes if node.running()]
    asked = [(node, path, request) for node in running for path, request in (
        ('/v3/kv/put', {'key': b64('key'), 'value': b64('too much')}), ('/v3/kv/range', {'key': b64('key')}))]

    def ask(node, path, request):
        try:
            return node.name, path, call(node.endpoint, path, request, timeout=2)  # a dozen election time-outs
        except (OSError, http.client.HTTPException, ValueError):
            return None

    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        answers = [answer for answer in pool.map(lambda each: ask(*each), asked) if answer]
    assert not answers, f'served without a quorum that is whole: {answers}'
    for node in running:
        shown = call(node.endpoint, '/v3/kv/range', {'key': b64('key'), 'serializable': True}).get('kvs', [])
        assert all(kv['value'] in acknowledged for kv in shown), (node.name, shown)


def all_wait_where_logs_of_a_majority_are_damaged():
    """Bits flip in the middle of two logs of three, then in the third, while their nodes are down. What was acknowledged
    can not be proven any more: who is damaged says so and abstains, through restarts, and the others can do nothing."""
    rng = random.Random(SEED)
    acknowledged = [b64(f'value {number}') for number in range(40)]

    def damage(node):
        node.kill()
        segment = Segment(node)
        batch = rng.choice([b for b in segment.batches[1:-1] if b.plain])
        segment.flip(rng, batch.whole(rng))
        told = node.times_said('its log was damaged here')
        return lambda: node.times_said('its log was damaged here') > told

    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(directory, 3, SEED)
        try:
            cluster.settle()
            for value in acknowledged:
                cluster.call('/v3/kv/put', {'key': b64('key'), 'value': value})
            cluster.settle()
            first, second, third = cluster.nodes
            for node in cluster.nodes:
                node.kill()
            for bad in ((first, second), (third,)):
                says_so = [(node, damage(node)) for node in bad]
                for node in cluster.nodes:
                    node.start()
                for node, said in says_so:
                    wait_for(f'{node.name} to say that it was damaged', said)
                for node in cluster.nodes:
                    wait_for(f'{node.name} to run', lambda node=node: node.status(2))
                nobody_serves(cluster, acknowledged)
                for node in (first, second):
                    node.kill()
                nobody_serves(cluster, acknowledged)  # the third alone
                for node in (first, second):
                    node.start()
                    wait_for(f'{node.name} to run again', lambda node=node: node.status(2))
                nobody_serves(cluster, acknowledged)
            for node in cluster.nodes:
                assert node.running(), node.last_words()
                assert node.times_said('has again what it lost') == 0, node.last_words()
                assert glob.glob(os.path.join(node.data, 'log', 'damaged-*')), 'what an operator has'
        finally:
            cluster.end()


if __name__ == '__main__':
    tests = [processes_die_and_stop, links_fail_one_way_and_in_part, members_come_and_go,
             replicas_that_differ_are_found, all_wait_where_logs_of_a_majority_are_damaged]
    if disks_can_fail():
        tests.append(disks_fail)
    else:
        print('1 skipped: disks_fail, since this build (with a sanitizer?) can not be preloaded with a failing disk')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the nodes end too
    sys.exit(run(tests))
