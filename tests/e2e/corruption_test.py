#!/usr/bin/env python3
"""A replica whose state differs from the others': the CORRUPT alarm, what it stops, and the way back."""
import os
import shutil
import subprocess
import sys

from cluster import ROOT, STEADY, Gateway, b64, run, wait_for
from etcd_flags_test import TEMPORARY, Member

BUILD = os.environ.get('QUORATE_BUILD', os.path.join(ROOT, 'build', 'release'))
TOOL = os.path.join(BUILD, 'tests', 'faults', 'fault_tool')
REFUSED = 'etcdserver: corrupt cluster'


def alarms(at):
    answer = Gateway(at.endpoint).call('/v3/maintenance/alarm', {'action': 'GET'})
    return {(a['alarm'], a.get('memberID', '0')) for a in answer.get('alarms', [])}


def a_state_that_differs_raises_the_alarm():
    members = [Member(name) for name in ('x', 'y', 'z')]
    spare = Member('spare')
    try:
        for member in members:
            member.start(members, verb=('serve', *STEADY))
        wait_for('a first write', lambda: Gateway(members[0].endpoint).put('damaged', 'right'))
        Gateway(members[0].endpoint).put('sound', 'as it was')
        leader = wait_for('a leader', lambda: Gateway(members[0].endpoint).status().get('leader'))

        def all_named():
            listed = Gateway(members[0].endpoint).call('/v3/cluster/member/list', {})['members']
            ids = {m.get('name'): m['ID'] for m in listed}
            return ids if set(ids) == {'x', 'y', 'z'} else None
        ids = wait_for('all to have said their names', all_named)
        bad = next(m for m in members if ids[m.name] != leader)
        good = [m for m in members if m is not bad]

        bad.stop()
        subprocess.run([TOOL, 'diverge', '--state', os.path.join(bad.data, 'state', 'default'), '--key', 'damaged'],
                       check=True)
        bad.start(members, verb=('serve', *STEADY))
        wait_for('the wrong value', lambda: Gateway(bad.endpoint).get('damaged', serializable=True) == 'righu')
        assert Gateway(good[0].endpoint).get('damaged') == 'right'
        assert alarms(good[0]) == set(), 'nothing has shown the difference yet'

        Gateway(good[0].endpoint).put('damaged', 'new')  # its old value goes out of the digest
        wait_for('the alarm', lambda: ('CORRUPT', ids[bad.name]) in alarms(good[0]))
        # Nobody is named while one of the three is late.
        assert alarms(good[0]) <= {('CORRUPT', ids[bad.name]), ('CORRUPT', '0')}, (alarms(good[0]), ids, bad.name)
        for member in members:
            wait_for('the alarm at all', lambda: alarms(member))
            try:
                Gateway(member.endpoint).put('sound', 'changed')
                raise AssertionError('a put was taken')
            except ValueError as error:
                assert REFUSED in str(error), error
            assert Gateway(member.endpoint).get('sound') == 'as it was'
        assert any('differs from that of the others' in m.log() for m in good)
        if shutil.which('etcdctl'):
            done = subprocess.run(['etcdctl', '--endpoints', good[0].endpoint, 'alarm', 'list'], text=True,
                                  stdout=subprocess.PIPE, env={**os.environ, 'ETCDCTL_API': '3'}, timeout=30)
            assert f'memberID:{ids[bad.name]} alarm:CORRUPT \n' in done.stdout, done.stdout

        gateway = Gateway(good[0].endpoint, 10)  # as docs/guide/space.md says
        gateway.call('/v3/cluster/member/remove', {'ID': ids[bad.name]})
        bad.process.wait(20)
        gateway.call('/v3/cluster/member/add', {'peerURLs': [spare.peer_url]})
        spare.start([*members, spare], state='existing', verb=('serve', *STEADY))
        for alarm, member in alarms(good[0]):
            gateway.call('/v3/maintenance/alarm', {'action': 'DEACTIVATE', 'memberID': member, 'alarm': alarm})
        wait_for('a put', lambda: Gateway(good[1].endpoint).put('damaged', 'newer'), 60)
        wait_for('the new member', lambda: Gateway(spare.endpoint).get('damaged', serializable=True) == 'newer', 60)
        gateway.call('/v3/kv/deleterange', {'key': b64('damaged')})
        assert alarms(good[0]) == set()
    finally:
        for member in [*members, spare]:
            member.stop()


def main():
    if not os.path.exists(TOOL):
        print(f'{TOOL} is missing: tools/build fault_tool')
        return 1
    try:
        return run([a_state_that_differs_raises_the_alarm])
    finally:
        shutil.rmtree(TEMPORARY, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
