#!/usr/bin/env python3
"""A backup, and new clusters that begin with it: revisions, history and leases as they were, old members forgotten."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

from cluster import QUORATE, Cluster, Gateway, free_port, run, stop, wait_for

TEMPORARY = tempfile.mkdtemp(prefix='quorate-e2e-')
BACKUP = os.path.join(TEMPORARY, 'backup.db')


def quorate(*arguments, endpoint=None, fails=False):
    """What a verb prints; with `fails`, what it complains of."""
    command = [QUORATE, *arguments]
    if endpoint:
        command += ['--endpoints', endpoint]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode != 0) == fails, f'{arguments}: {done.returncode}\n{done.stdout}{done.stderr}'
    return done.stderr if fails else done.stdout


class Restored:
    """Three members made from the backup, by configuration files."""

    def __init__(self, name, protocol):
        self.directory = os.path.join(TEMPORARY, name)
        self.protocol = protocol
        self.peers = {i: f'127.0.0.1:{free_port()}' for i in (1, 2, 3)}
        self.clients = {i: f'127.0.0.1:{free_port()}' for i in (1, 2, 3, 4)}
        self.processes = []

    def config(self, number, joins_at=None):
        """A first member, or one that joins and is reached by the others at an address of its own."""
        os.makedirs(self.directory, exist_ok=True)
        path = os.path.join(self.directory, f'n{number}.toml')
        who = f'join = true\nlisten = "{joins_at}"' if joins_at else f'id = {number}'
        peers = ', '.join(f'"{i}={address}"' for i, address in self.peers.items())
        with open(path, 'w', encoding='utf-8') as file:
            file.write(f'cluster = "restored"\n[node]\n{who}\ndata = "{self.data(number)}"\npeers = [{peers}]\n'
                       f'[[keyspace]]\nname = "k"\nprotocol = "{self.protocol}"\n'
                       f'listen = "{self.clients[number]}"\n')
        return path

    def data(self, number):
        return os.path.join(self.directory, f'n{number}')

    def restore(self, number):
        return quorate('snapshot', 'restore', BACKUP, '--config', self.config(number), '--json')

    def start(self, number, joins_at=None):
        with open(os.path.join(self.directory, 'log'), 'ab') as log:
            self.processes.append(subprocess.Popen(
                [QUORATE, 'serve', '--config', self.config(number, joins_at)], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL))

    def gateway(self, number):
        return Gateway(self.clients[number], 30)

    def up(self, number):
        return wait_for('a leader', lambda: int(self.gateway(number).status().get('leader', 0)))

    def end(self):
        stop(*self.processes)


def make_backup():
    old = Cluster(os.path.join(TEMPORARY, 'old'))
    try:
        endpoint = old.endpoints()[0]
        for i in range(50):
            quorate('put', f'key{i:02}', f'first {i}', endpoint=endpoint)
        quorate('put', 'key07', 'second', endpoint=endpoint)
        quorate('del', 'key08', endpoint=endpoint)
        lease = quorate('lease', 'grant', '3600', endpoint=endpoint).split()[1]
        quorate('put', '--lease', lease, 'leased', 'v', endpoint=endpoint)
        quorate('snapshot', 'save', BACKUP, endpoint=endpoint)
        quorate('put', 'key07', 'behind the backup', endpoint=endpoint)
    finally:
        old.end()


def check_state(cluster, number):
    endpoint = cluster.clients[number]
    assert quorate('get', 'key07', '--print-value-only', endpoint=endpoint) == 'second\n'
    assert quorate('get', 'key07', '--rev', '30', '--print-value-only', endpoint=endpoint) == 'first 7\n'
    assert quorate('get', 'key08', endpoint=endpoint) == ''
    count = quorate('get', '--prefix', 'key', '--count-only', '-w', 'fields', endpoint=endpoint)
    assert '"Count" : 49' in count, count
    leases = json.loads(quorate('lease', 'list', '--json', endpoint=endpoint))
    assert len(leases['leases']) == 1, leases


def a_new_cluster(protocol):
    cluster = Restored(protocol, protocol)
    try:
        told = [json.loads(cluster.restore(number)) for number in (1, 2, 3)]
        assert [t['member_id'] for t in told] == [1, 2, 3] and {t['revision'] for t in told} == {54}, told
        for number in (1, 2, 3):
            cluster.start(number)
        for number in (1, 2, 3):
            cluster.up(number)
            check_state(cluster, number)
        quorate('put', 'new', 'life', endpoint=cluster.clients[2])
        members = json.loads(quorate('member', 'list', '--json', endpoint=cluster.clients[1]))['members']
        assert sorted(m['ID'] for m in members) == [1, 2, 3], members
        a_member_joins(cluster)
    finally:
        cluster.end()


def a_member_joins(cluster):
    """Nothing of the backup is in the log: the state itself must come."""
    address = f'127.0.0.1:{free_port()}'
    quorate('member', 'add', 'n4', f'--peer-urls=http://{address}', endpoint=cluster.clients[1])
    cluster.start(4, joins_at=address)
    wait_for('the state', lambda: cluster.gateway(4).get('new', serializable=True) == 'life')
    check_state(cluster, 4)


def raft_goes_on_from_a_backup():
    a_new_cluster('raft')


def paxos_goes_on_from_a_backup():
    a_new_cluster('paxos')


def by_etcds_flags():
    data = os.path.join(TEMPORARY, 'flags')
    client, peer = f'http://127.0.0.1:{free_port()}', f'http://127.0.0.1:{free_port()}'
    flags = ['--name', 'a', '--data-dir', data, '--initial-cluster', f'a={peer}', '--initial-advertise-peer-urls', peer,
             '--initial-cluster-token', 'after']
    quorate('snapshot', 'restore', BACKUP, *flags)
    process = subprocess.Popen([QUORATE, *flags, '--listen-client-urls', client, '--advertise-client-urls', client,
                                '--listen-peer-urls', peer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        endpoint = client.removeprefix('http://')
        wait_for('a leader', lambda: int(Gateway(endpoint).status().get('leader', 0)))
        assert quorate('get', 'key07', '--print-value-only', endpoint=endpoint) == 'second\n'
    finally:
        stop(process)
    complaint = quorate('snapshot', 'restore', BACKUP, *flags, fails=True)
    assert 'already' in complaint and data in complaint, complaint


def what_is_in_it():
    status = json.loads(quorate('snapshot', 'status', BACKUP, '--json'))
    assert status['revision'] == 54 and status['totalKey'] == 50, status
    assert status['totalSize'] == os.path.getsize(BACKUP), status


def damage_is_named():
    damaged = BACKUP + '.damaged'
    with open(BACKUP, 'rb') as file:
        content = bytearray(file.read())
    content[len(content) // 2] ^= 1
    with open(damaged, 'wb') as file:
        file.write(content)
    complaint = quorate('snapshot', 'status', damaged, fails=True)
    assert 'SHA-256' in complaint, complaint
    data = os.path.join(TEMPORARY, 'never')
    complaint = quorate('snapshot', 'restore', damaged, '--name', 'a', '--data-dir', data, fails=True)
    assert 'SHA-256' in complaint, complaint
    assert not os.path.exists(os.path.join(data, 'identity'))
    complaint = quorate('snapshot', 'restore', BACKUP, fails=True)
    assert '--config' in complaint, complaint


def main():
    try:
        make_backup()
        return run([what_is_in_it, damage_is_named, by_etcds_flags, raft_goes_on_from_a_backup,
                    paxos_goes_on_from_a_backup])
    finally:
        if not os.environ.get('KEEP'):
            shutil.rmtree(TEMPORARY, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
