#!/usr/bin/env python3
"""Three nodes whose links are TLS, certificates checked at both ends; and what is told when they are not right."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from certificates import Folder  # noqa: E402
from cluster import QUORATE, Gateway, free_port, run, stop, wait_for  # noqa: E402

FOLDER = tempfile.mkdtemp(prefix='peer-tls-')
MADE = Folder(FOLDER)
NODES = ('n1', 'n2', 'n3')


class Cluster:
    def __init__(self, tag, signers):
        ports = [free_port() for _ in range(6)]
        self.tag, self.clients, self.peers = tag, ports[:3], ports[3:]
        for name, signer in zip(NODES, signers):
            MADE.certificate(f'{tag}-{name}', signer)
        initial = ','.join(f'{n}=https://127.0.0.1:{p}' for n, p in zip(NODES, self.peers))
        self.processes = [self.start(i, initial) for i in range(3)]

    def start(self, i, initial):
        name, file = NODES[i], os.path.join(FOLDER, f'{self.tag}-{NODES[i]}')
        client, peer = f'http://127.0.0.1:{self.clients[i]}', f'https://127.0.0.1:{self.peers[i]}'
        with open(file + '.log', 'wb') as log:
            return subprocess.Popen(
                [QUORATE, '--name', name, '--data-dir', file + '.data', '--listen-client-urls', client,
                 '--advertise-client-urls', client, '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer,
                 '--initial-cluster', initial, '--peer-cert-file', file + '.pem', '--peer-key-file', file + '.key',
                 '--peer-trusted-ca-file', os.path.join(FOLDER, 'ca.pem'), '--peer-client-cert-auth'],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def log(self, i):
        with open(os.path.join(FOLDER, f'{self.tag}-{NODES[i]}.log'), encoding='utf-8', errors='replace') as file:
            return file.read()

    def put(self, i, key, value):
        Gateway(f'127.0.0.1:{self.clients[i]}').put(key, value)
        return True

    def get(self, i, key):
        return Gateway(f'127.0.0.1:{self.clients[i]}').get(key)

    def stop(self):
        stop(*self.processes)


def three_nodes_replicate_over_tls():
    cluster = Cluster('good', ['ca', 'ca', 'ca'])
    try:
        wait_for('a put', lambda: cluster.put(0, 'k', 'sealed'))
        for i in range(3):  # two are enough for the put: the third may be starting yet
            assert wait_for(f'node {i + 1} to answer', lambda i=i: cluster.get(i, 'k')) == 'sealed'
        with socket.create_connection(('127.0.0.1', cluster.peers[0]), timeout=10) as plain:
            plain.sendall(b'GET / HTTP/1.1\r\n\r\n')
            answer = plain.recv(100)
            assert not answer.startswith((b'HTTP', b'QUORATE')), answer
    finally:
        cluster.stop()


def a_node_of_another_authority_stays_outside():
    cluster = Cluster('alien', ['ca', 'ca', 'other'])
    try:
        wait_for('a put', lambda: cluster.put(0, 'k', 'v'))
        wait_for('a word about the certificate', lambda: 'certificate' in cluster.log(0) + cluster.log(2))
        outside = Gateway(f'127.0.0.1:{cluster.clients[2]}')
        try:
            outside.get('k')
            raise AssertionError('the node was let in')
        except (ValueError, OSError):
            pass
    finally:
        cluster.stop()


def a_missing_file_is_named():
    done = subprocess.run(
        [QUORATE, '--name', 'n1', '--data-dir', os.path.join(FOLDER, 'none.data'), '--listen-peer-urls',
         'https://127.0.0.1:1', '--initial-advertise-peer-urls', 'https://127.0.0.1:1', '--peer-cert-file', '/none.pem',
         '--peer-key-file', '/none.key', '--peer-trusted-ca-file', '/none-ca.pem'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    assert done.returncode != 0
    assert '/none' in done.stdout, done.stdout


def main():
    try:
        MADE.authority('ca')
        MADE.authority('other')
        return run([three_nodes_replicate_over_tls, a_node_of_another_authority_stays_outside, a_missing_file_is_named])
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
