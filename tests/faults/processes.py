"""Faults of processes: killed, stopped, frozen; and leadership handed on."""
import http.client

from harm import BESIDE, NoEffect, fault, others, pause, up_again, victim
from nodes import PATIENCE, Trouble, call


def kill(node, rng, stretch):
    node.kill()
    pause(rng, 0.05, 1.5, stretch)
    node.start()
    up_again(node)


@fault(BESIDE)
def kill_leader(cluster, rng, stretch):
    with victim(cluster, rng, 'leader', moving=True) as leader:
        cluster.change_begins(2)
        leader.kill()
        cluster.note_if_changing('leaders killed within a change of members')
        kill(leader, rng, stretch)


@fault(BESIDE)
def kill_follower(cluster, rng, stretch):
    with victim(cluster, rng, 'follower', moving=True) as node:
        kill(node, rng, stretch)


@fault()
def kill_each_leader(cluster, rng, stretch):
    for _ in range(4):
        leader = cluster.leader()
        leader.kill()
        cluster.note_if_changing('leaders killed within a change of members')
        kill(leader, rng, 0.1)


@fault()
def kill_all(cluster, rng, stretch):
    nodes = list(cluster.nodes)
    for node in nodes:
        node.kill()
    pause(rng, 0, 0.5, stretch)
    for node in nodes:
        node.start()
    for node in nodes:
        up_again(node)


@fault(BESIDE)
def stop_leader(cluster, rng, stretch):
    """As an operator does it: SIGTERM, with its handing over of leadership."""
    with victim(cluster, rng, 'leader') as leader:
        leader.process.terminate()
        leader.process.wait(PATIENCE)
        if leader.process.returncode != 0:
            raise Trouble(f'{leader.name} ended with {leader.process.returncode} on SIGTERM: {leader.last_words()}')
        pause(rng, 0, 0.5, stretch)
        leader.start()
        up_again(leader)


def freeze(node, rng, low, high, stretch):
    node.pause()
    pause(rng, low, high, stretch)
    node.resume()


@fault(BESIDE)
def freeze_leader(cluster, rng, stretch):
    with victim(cluster, rng, 'leader', moving=True) as leader:
        freeze(leader, rng, 0.3, 4, stretch)


@fault(BESIDE)
def freeze_follower(cluster, rng, stretch):
    with victim(cluster, rng, 'follower', moving=True) as node:
        freeze(node, rng, 0.3, 4, stretch)


@fault()
def freeze_for_100_ms(cluster, rng, stretch):
    for _ in range(5):
        freeze(cluster.leader(), rng, 0.1, 0.1, 1)
        pause(rng, 0.1, 0.5)


@fault()
def freeze_all(cluster, rng, stretch):
    nodes = list(cluster.nodes)
    for node in nodes:
        node.pause()
    pause(rng, 0.3, 2, stretch)
    for node in nodes:
        node.resume()


@fault()
def transfer(cluster, rng, stretch):
    done = 0
    for _ in range(3):
        leader = cluster.leader()
        heir = rng.choice(others(cluster, leader))
        try:
            call(leader.endpoint, '/v3/maintenance/transfer-leadership', {'targetID': heir.status()['header']['member_id']})
            done += 1
        except (OSError, http.client.HTTPException, ValueError):
            pass  # refused, or leader no more: the cluster goes on either way
        pause(rng, 0.1, 0.6)
    if not done:
        raise NoEffect('each transfer was refused')
