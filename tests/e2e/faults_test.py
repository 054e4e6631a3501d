#!/usr/bin/env python3
"""Real nodes under load and faults: the bounded part of tests/soak. Each test is rounds of faults whose history is
judged (tests/faults/README.md). A failure names the directory that holds history, logs and data."""
import os
import signal
import sys
import tempfile

from cluster import ROOT, run

sys.path.insert(0, os.path.join(ROOT, 'tests', 'faults'))
from campaign import Campaign  # noqa: E402
from nodes import Cluster, Trouble, disks_can_fail  # noqa: E402

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


if __name__ == '__main__':
    tests = [processes_die_and_stop, links_fail_one_way_and_in_part, members_come_and_go,
             replicas_that_differ_are_found]
    if disks_can_fail():
        tests.append(disks_fail)
    else:
        print('1 skipped: disks_fail, since this build (with a sanitizer?) can not be preloaded with a failing disk')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the nodes end too
    sys.exit(run(tests))
