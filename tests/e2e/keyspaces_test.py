#!/usr/bin/env python3
"""Nodes of two keyspaces: members that come to one or both of them, and go from one or both."""
import os
import shutil
import subprocess
import sys
import tempfile

from cluster import QUORATE, Gateway, free_port, run, serving, stop, wait_for

TEMPORARY = tempfile.mkdtemp(prefix='quorate-e2e-')
KEYSPACES = ('one', 'two')
REMOVED = 3  # the exit status


class Node:
    """Those of a number are first members; the others join."""

    def __init__(self, folder, name, number=None):
        self.name, self.number, self.peer, self.process = name, number, free_port(), None
        self.clients = {keyspace: f'127.0.0.1:{free_port()}' for keyspace in KEYSPACES}
        self.path = os.path.join(TEMPORARY, folder, name)

    @property
    def peer_url(self):
        return f'http://127.0.0.1:{self.peer}'

    def start(self, first):
        peers = ', '.join(f'"{m.number}=127.0.0.1:{m.peer}"' for m in first)
        who = f'id = {self.number}' if self.number else f'join = true\nlisten = "127.0.0.1:{self.peer}"'
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path + '.toml', 'w', encoding='utf-8') as file:
            file.write(f'[node]\nname = "{self.name}"\n{who}\ndata = "{self.path}"\npeers = [{peers}]\n')
            for keyspace, client in self.clients.items():
                file.write(f'[[keyspace]]\nname = "{keyspace}"\nlisten = "{client}"\n')
        with open(self.path + '.log', 'ab') as log:
            self.process = subprocess.Popen([QUORATE, 'serve', '--config', self.path + '.toml'], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)

    def log(self):
        with open(self.path + '.log', encoding='utf-8') as file:
            return file.read()

    def at(self, keyspace):
        return Gateway(self.clients[keyspace], 10)

    def serves(self, keyspace):
        assert self.process.poll() is None, self.log()
        return self.at(keyspace).put(self.name, keyspace)


def ids(at, keyspace):
    listed = at.at(keyspace).call('/v3/cluster/member/list', {})['members']
    return {m['peerURLs'][0]: m['ID'] for m in listed}


def add(at, keyspace, node):
    return at.at(keyspace).call('/v3/cluster/member/add', {'peerURLs': [node.peer_url]})['member']['ID']


def remove(at, keyspace, node):
    at.at(keyspace).call('/v3/cluster/member/remove', {'ID': ids(at, keyspace)[node.peer_url]})


def three(folder):
    first = [Node(folder, f'n{number}', number) for number in (1, 2, 3)]
    for node in first:
        node.start(first)
    for keyspace in KEYSPACES:
        serving(*(node.clients[keyspace] for node in first))
    return first


def one_keyspace_moves_to_another_node():
    """That node knows nothing of the other keyspace, and must end none of its members."""
    late = Node('moves', 'late')
    first = []
    try:
        first = three('moves')
        a, b, c = first
        add(a, 'one', late)
        late.start(first)
        wait_for('the new member to serve', lambda: late.serves('one'), 60)

        for leaving, at in ((c, a), (b, a), (a, late)):
            remove(at, 'one', leaving)
            wait_for('it to be known where it left',
                     lambda: leaving.process.poll() is not None or 'it goes on with the others' in leaving.log())
        wait_for('the last member to serve alone', lambda: late.serves('one'))
        for node in first:
            wait_for('the other keyspace to be served', lambda: node.serves('two'))
        stop(c.process)
        c.start(first)
        wait_for('it to serve again after a restart', lambda: c.serves('two'))

        add(a, 'two', late)  # by those whom it knows as removed from the first
        wait_for('the other keyspace at the new member', lambda: late.serves('two'), 60)
        remove(a, 'two', c)
        assert c.process.wait(20) == REMOVED, c.log()  # now it is a member of none
    finally:
        stop(late.process, *(node.process for node in first))


def both_keyspaces_grow():
    late = Node('grows', 'late')
    first = []
    try:
        first = three('grows')
        a, b, _ = first
        late.start(first)
        one = add(a, 'one', late)
        wait_for('it to be known elsewhere', lambda: late.peer_url in ids(b, 'one'))
        assert add(b, 'two', late) == one, (ids(a, 'one'), ids(b, 'two'))
        for keyspace in KEYSPACES:
            wait_for('the new member to serve', lambda: late.serves(keyspace), 60)
    finally:
        stop(late.process, *(node.process for node in first))


def main():
    try:
        return run([one_keyspace_moves_to_another_node, both_keyspaces_grow])
    finally:
        shutil.rmtree(TEMPORARY, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
