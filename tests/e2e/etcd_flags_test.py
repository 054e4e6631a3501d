#!/usr/bin/env python3
"""Command lines written for etcd: a cluster by flags, a member that joins it, mistakes."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

from cluster import QUORATE, Gateway, free_port, run, serving, stop, wait_for

TEMPORARY = tempfile.mkdtemp(prefix='quorate-e2e-')


class Member:
    def __init__(self, name, automatic_tls=False):
        self.name, self.automatic_tls = name, automatic_tls
        self.scheme = 'https' if automatic_tls else 'http'
        self.client, self.peer = free_port(), free_port()
        self.data = os.path.join(TEMPORARY, name)
        self.process = None

    @property
    def endpoint(self):
        return f'127.0.0.1:{self.client}'

    @property
    def peer_url(self):
        return f'{self.scheme}://127.0.0.1:{self.peer}'

    def start(self, members, state='new', verb=()):
        client = f'{self.scheme}://{self.endpoint}'
        cluster = ','.join(f'{m.name}={m.peer_url}' for m in members)
        with open(self.data + '.log', 'ab') as log:
            self.process = subprocess.Popen(
                [QUORATE, *verb, '--name', self.name, '--data-dir', self.data, '--listen-client-urls', client,
                 '--advertise-client-urls', client, '--listen-peer-urls', self.peer_url,
                 '--initial-advertise-peer-urls', self.peer_url, '--initial-cluster', cluster,
                 '--initial-cluster-token', 'e2e', '--initial-cluster-state', state,
                 '--quota-backend-bytes', str(16 << 30),
                 *(['--auto-tls', '--peer-auto-tls'] if self.automatic_tls else [])], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def stop(self):
        stop(self.process)

    def log(self):
        with open(self.data + '.log', encoding='utf-8') as file:
            return file.read()


def a_cluster_by_flags_and_a_member_that_joins():
    members = [Member('a'), Member('b'), Member('c')]
    late = Member('late')
    try:
        for member in members:
            member.start(members, verb=('serve',) if member.name == 'a' else ())
        wait_for('a first write', lambda: Gateway(members[0].endpoint).put('before', 'join'))
        serving(*(m.endpoint for m in members))
        late.start([*members, late], state='existing')
        wait_for('the joining node to wait', lambda: 'waiting to be a member' in late.log())
        added = Gateway(members[1].endpoint, 10).call('/v3/cluster/member/add', {'peerURLs': [late.peer_url]})
        assert added['member']['peerURLs'] == [late.peer_url], added
        wait_for('the joined node to serve what was there', lambda: Gateway(late.endpoint).get('before') == 'join', 60)
        Gateway(late.endpoint).put('after', 'join')

        def names():
            listed = Gateway(late.endpoint).call('/v3/cluster/member/list', {})['members']
            return sorted(m.get('name', '') for m in listed) == ['a', 'b', 'c', 'late']
        wait_for('all members to be named', names)

        late.stop()
        late.start([*members, late], state='existing')  # a restart finds its identity, whatever the flags say
        wait_for('the restarted node', lambda: Gateway(late.endpoint).get('after') == 'join', 60)
    finally:
        for member in [*members, late]:
            member.stop()


def certificates_made_by_the_members():
    members = [Member(name, automatic_tls=True) for name in ('auto1', 'auto2', 'auto3')]

    def quorate(member, *words):
        own = os.path.join(member.data, 'fixtures', 'client', 'cert.pem')
        return subprocess.run([QUORATE, *words, '--endpoints', 'https://' + member.endpoint, '--cacert', own], text=True,
                              timeout=30, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.strip()

    try:
        for member in members:
            member.start(members)
        wait_for('a first write', lambda: quorate(members[0], 'put', 'greeting', 'hello') == 'OK')
        wait_for('another member', lambda: quorate(members[1], 'get', 'greeting') == 'greeting\nhello')
        members[2].stop()
        members[2].start(members)  # with the certificate it has
        wait_for('the restarted member', lambda: quorate(members[2], 'get', 'greeting') == 'greeting\nhello')
    finally:
        for member in members:
            member.stop()


def mistakes_are_told():
    def attempt(*arguments):
        done = subprocess.run([QUORATE, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=30, cwd=TEMPORARY)
        return done.returncode, done.stdout

    code, said = attempt('--name', 'x', '--initial-cluster', 'y=http://127.0.0.1:1')
    assert code == 2 and "--initial-cluster: does not hold this node's --name 'x'" in said, said
    code, said = attempt('--name', 'x', '--no-such-flag', '1')
    assert code == 2 and '--no-such-flag' in said, said
    code, said = attempt('serve')
    assert code == 2 and '--config FILE' in said, said
    with open(os.path.join(TEMPORARY, 'bad.toml'), 'w', encoding='utf-8') as file:
        file.write('[node]\nid = 1\ndata = "d"\n[[keyspace]]\nname = "k"\nlisten = "127.0.0.1:1"\nprotocl = "raft"\n')
    code, said = attempt('serve', '--config', 'bad.toml')
    assert code == 2 and 'bad.toml:7: keyspace.protocl: unknown key (did you mean protocol?)' in said, said
    code, said = attempt('frobnicate')
    assert code == 2 and 'frobnicate' in said, said


def a_directory_is_not_shared_nor_mistaken():
    member, other = Member('own'), Member('other')
    try:
        member.start([member])
        wait_for('a first write', lambda: Gateway(member.endpoint).put('k', 'v'))
        other.data = member.data
        other.start([other])
        assert other.process.wait(20) == 1
        assert str(member.process.pid) in other.log() or 'lock' in other.log().lower(), other.log()
        member.stop()
        other.start([other])
        assert other.process.wait(20) == 1
        assert 'belongs to node' in other.log(), other.log()
    finally:
        member.stop()
        other.stop()


def version_is_json():
    said = json.loads(subprocess.run([QUORATE, 'version', '--json'], stdout=subprocess.PIPE, check=True).stdout)
    assert 'raft' in said['protocols'] and 'etcd' in said['models'], said


def main():
    try:
        return run([a_cluster_by_flags_and_a_member_that_joins, certificates_made_by_the_members, mistakes_are_told,
                    a_directory_is_not_shared_nor_mistaken, version_is_json])
    finally:
        shutil.rmtree(TEMPORARY, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
