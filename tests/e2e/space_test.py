#!/usr/bin/env python3
"""Running out of space: etcd's quota and its alarm, and a disk that fills up (a small tmpfs; needs root)."""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from cluster import QUORATE, STEADY, Gateway, b64, free_port, run, stop, wait_for
from etcd_flags_test import TEMPORARY as MEMBERS
from etcd_flags_test import Member

TEMPORARY = tempfile.mkdtemp(prefix='quorate-e2e-')
EXCEEDED = 'etcdserver: mvcc: database space exceeded'
MIB = 1 << 20


class Server:
    """One node, of flags or of a file."""

    def __init__(self, name, *flags):
        self.client, self.peer = free_port(), free_port()
        self.endpoint = f'127.0.0.1:{self.client}'
        self.directory = os.path.join(TEMPORARY, name)
        self.flags = flags
        self.process = None

    def start(self):
        client, peer = f'http://{self.endpoint}', f'http://127.0.0.1:{self.peer}'
        self.run(['--name', 'a', '--data-dir', self.directory, '--listen-client-urls', client,
                  '--advertise-client-urls', client, '--listen-peer-urls', peer,
                  '--initial-advertise-peer-urls', peer, *self.flags])

    def start_on(self, disk):
        config = os.path.join(TEMPORARY, 'node.toml')
        with open(config, 'w') as file:
            file.write(f'[node]\nid = 1\ndata = "{disk}/data"\nlog_segment = "4MiB"\n'
                       f'[[keyspace]]\nname = "k"\nlisten = "{self.endpoint}"\n')
        self.run(['serve', '--config', config])

    def run(self, arguments):
        with open(os.path.join(TEMPORARY, 'log'), 'ab') as log:
            self.process = subprocess.Popen([QUORATE, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for('a leader', lambda: int(Gateway(self.endpoint).status().get('leader', 0)))

    def stop(self):
        stop(self.process)

    def call(self, path, request):
        return Gateway(self.endpoint, 60).call(path, request)

    def health(self, query=''):
        try:
            with urllib.request.urlopen(f'http://{self.endpoint}/health{query}', timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def fill(self, most, value_bytes=100_000):
        """Puts of fresh random values until one is refused; how many there were before."""
        gateway = Gateway(self.endpoint, 30)
        for i in range(most):
            try:
                gateway.put(f'fill{i:06}', os.urandom(value_bytes // 2).hex())
            except ValueError as error:
                assert EXCEEDED in str(error), error
                return i
        raise AssertionError(f'{most} puts and no end of space')

    def make_room(self):
        """As etcd's documentation says: delete, compact, defragment, disarm."""
        self.call('/v3/kv/deleterange', {'key': b64('fill'), 'range_end': b64('film')})
        revision = self.call('/v3/kv/range', {'key': b64('k')})['header']['revision']
        with contextlib.suppress(ValueError):  # of an attempt before
            self.call('/v3/kv/compaction', {'revision': revision})
        wait_for('the compaction', lambda: int(Gateway(self.endpoint).status().get('dbSize', 0)) < MIB)
        self.call('/v3/maintenance/defragment', {})
        alarms = self.call('/v3/maintenance/alarm', {'action': 'GET'}).get('alarms', [])
        for alarm in alarms:
            self.call('/v3/maintenance/alarm', {**alarm, 'action': 'DEACTIVATE'})
        return alarms


def a_quota_raises_the_alarm_and_room_is_made():
    server = Server('quota', '--quota-backend-bytes', str(8 * MIB))
    try:
        server.start()
        Gateway(server.endpoint).put('k', 'kept')
        puts = server.fill(1000)
        assert 60 <= puts <= 84, puts
        # The first refusal raises the alarm, through the log: it is in force a moment later.
        wait_for('the alarm', lambda: server.health()['reason'] == 'ALARM NOSPACE')
        status = Gateway(server.endpoint).status()
        assert status['errors'] == [f"memberID:{status['header']['member_id']} alarm:NOSPACE "], status
        assert status['dbSizeQuota'] == str(8 * MIB), status
        assert server.health() == {'health': 'false', 'reason': 'ALARM NOSPACE'}
        assert server.health('?exclude=NOSPACE')['health'] == 'true'
        server.stop()
        server.start()
        try:
            Gateway(server.endpoint).put('k', 'small')
            raise AssertionError('the alarm did not outlive the restart')
        except ValueError as error:
            assert EXCEEDED in str(error), error
        assert len(server.make_room()) == 1
        Gateway(server.endpoint).put('k', 'again')
        assert server.health()['health'] == 'true'
    finally:
        server.stop()


def a_disk_that_fills_up_costs_new_data_only():
    disk = os.path.join(TEMPORARY, 'disk')
    os.mkdir(disk)
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256m', 'tmpfs', disk], stderr=subprocess.DEVNULL).returncode:
        print('skipped: a file system can not be mounted here')
        return
    server = Server('disk')
    try:
        server.start_on(disk)
        Gateway(server.endpoint).put('k', 'kept')
        puts = server.fill(4000)
        assert puts > 300, puts
        wait_for('the alarm', lambda: server.health()['reason'] == 'ALARM NOSPACE')
        # Somebody else takes the rest.
        try:
            with open(os.path.join(disk, 'ballast'), 'wb', buffering=0) as ballast:
                while ballast.write(b'x' * 4096):
                    pass
        except OSError:
            pass
        gateway = Gateway(server.endpoint)
        assert gateway.get('k') == 'kept'
        for i in range(200):
            gateway.call('/v3/kv/deleterange', {'key': b64(f'fill{i:06}')})
        assert gateway.get('fill000000') is None
        assert server.process.poll() is None, 'the node stopped'
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(disk, 'ballast'))
        # Disarmed before the node has looked at the disk again, the alarm is raised anew.
        wait_for('a put', lambda: server.make_room() is not None and Gateway(server.endpoint).put('k', 'again'))
        server.stop()
        server.start_on(disk)
        assert Gateway(server.endpoint).get('k') == 'again'
        assert server.health()['health'] == 'true'
    finally:
        try:
            server.stop()
        finally:
            subprocess.run(['umount', disk])


def a_state_that_does_not_fit_is_taken_once_it_does():
    a, b, small = members = [Member(name) for name in ('a', 'b', 'small')]
    os.mkdir(small.data)
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', small.data],
                      stderr=subprocess.DEVNULL).returncode:
        print('skipped: a file system can not be mounted here')
        return
    flags = ('serve', '--snapshot-count', '50', *STEADY)
    try:
        for member in members:
            member.start(members, verb=flags)
        wait_for('a first write', lambda: Gateway(a.endpoint).put('k', 'first'))
        wait_for('it at the small one', lambda: Gateway(small.endpoint).get('k') == 'first')
        small.stop()
        for i in range(330):
            wait_for('a put', lambda: Gateway(a.endpoint, 30).put(f'fill{i:06}', os.urandom(250_000).hex()))
        Gateway(a.endpoint).put('k', 'last')
        small.start(members, verb=flags)
        wait_for('it to be told', lambda: 'there is no room for it' in small.log(), 120)
        assert Gateway(a.endpoint).get('k') == 'last'
        assert Gateway(small.endpoint).get('k', serializable=True) == 'first'
        subprocess.run(['mount', '-o', 'remount,size=1g', small.data], check=True)
        wait_for('the state', lambda: Gateway(small.endpoint).get('k', serializable=True) == 'last', 90)
        assert small.process.poll() is None, small.log()
        for alarm in Gateway(a.endpoint).call('/v3/maintenance/alarm', {'action': 'GET'}).get('alarms', []):
            Gateway(a.endpoint).call('/v3/maintenance/alarm', {**alarm, 'action': 'DEACTIVATE'})
        wait_for('a put', lambda: Gateway(small.endpoint).put('k', 'again'))
    finally:
        try:
            stop(*(member.process for member in members))
        finally:
            subprocess.run(['umount', small.data])


def main():
    try:
        return run([a_quota_raises_the_alarm_and_room_is_made, a_disk_that_fills_up_costs_new_data_only,
                    a_state_that_does_not_fit_is_taken_once_it_does])
    finally:
        if not os.environ.get('KEEP'):
            shutil.rmtree(TEMPORARY, ignore_errors=True)
            shutil.rmtree(MEMBERS, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
