#!/usr/bin/env python3
"""Members that are removed from the cluster: while they run, while they are down, and the leader by itself."""
import os
import shutil
import sys

from cluster import Gateway, run, serving, wait_for
from etcd_flags_test import TEMPORARY, Member

REMOVED = 3  # the exit status


def ids(at):
    """Of the members by name, or by peer URL where they never started."""
    listed = Gateway(at.endpoint).call('/v3/cluster/member/list', {})['members']
    return {m.get('name') or m['peerURLs'][0]: m['ID'] for m in listed}


def remove(at, member):
    Gateway(at.endpoint, 10).call('/v3/cluster/member/remove', {'ID': ids(at)[member.name]})


def add(at, member):
    Gateway(at.endpoint, 10).call('/v3/cluster/member/add', {'peerURLs': [member.peer_url]})


def ends_as_removed(member, says):
    assert member.process.wait(20) == REMOVED, member.log()
    assert says in member.log(), member.log()


def refuses_its_directory(member, everyone):
    member.start(everyone)
    ends_as_removed(member, 'is of no more use to it')


def members_that_go(protocol):
    a, b, c, d = (Member(f'{protocol}-{name}') for name in 'abcd')
    everyone = [a, b, c]
    arguments = ('serve', '--protocol', protocol)
    try:
        for member in everyone:
            member.start(everyone, verb=arguments)
        wait_for('a first write', lambda: Gateway(a.endpoint).put('key', 'one'))
        wait_for('all to have said their names', lambda: set(ids(a)) == {m.name for m in everyone})

        remove(a, c)  # it runs, and sees it in the log
        ends_as_removed(c, 'stopped: the cluster has removed this member')
        refuses_its_directory(c, everyone)
        wait_for('the rest to go on', lambda: Gateway(b.endpoint).put('key', 'two'))

        add(a, d)  # a new member is not taken for a former one
        d.start([*everyone, d], state='existing', verb=arguments)
        wait_for('the new member to serve', lambda: Gateway(d.endpoint).get('key') == 'two', 60)

        b.process.kill()  # it is down, and so misses it; the others start anew meanwhile
        b.process.wait()
        wait_for('the removal of who is down', lambda: remove(a, b) or True)
        wait_for('it to be gone', lambda: b.name not in ids(a))
        for member in (a, d):
            member.stop()
        a.start(everyone, verb=arguments)
        d.start([*everyone, d], state='existing', verb=arguments)
        wait_for('the others to be back', lambda: Gateway(a.endpoint).put('key', 'three'), 60)
        b.start(everyone, verb=arguments)
        ends_as_removed(b, 'says so')
        refuses_its_directory(b, everyone)

        leader = int(wait_for('a leader', lambda: Gateway(a.endpoint).status().get('leader')))
        first, last = (a, d) if int(ids(a)[a.name]) == leader else (d, a)
        remove(first, first)  # answered, although the one that answers goes
        ends_as_removed(first, 'the cluster has removed this member')
        wait_for('the last one to serve', lambda: Gateway(last.endpoint).put('key', 'four'), 60)
        assert Gateway(last.endpoint).get('key') == 'four'
        assert last.process.poll() is None, last.log()
    finally:
        for member in (a, b, c, d):
            member.stop()


def members_of_raft_that_go():
    members_that_go('raft')


def members_of_paxos_that_go():
    members_that_go('paxos')


def a_member_whose_data_is_gone():
    members = a, b, c = [Member(f'gone-{name}') for name in 'abc']
    late = Member('gone-late')
    try:
        for member in members:
            member.start(members)
        wait_for('all to have said their names', lambda: set(ids(a)) == {m.name for m in members})
        Gateway(a.endpoint).put('key', 'one')
        serving(*(m.endpoint for m in members))
        add(a, late)
        late.start([*members, late], state='existing')
        wait_for('the joined one to have said its name', lambda: late.name in ids(a))

        # It has voted, and may not vote again: with its identity and nothing else, and with nothing at all, as
        # one of the first members and as one that joins.
        def refuses(member, state):
            member.start([*members, late] if member is late else members, state=state)
            assert member.process.wait(20) == 1, member.log()
            assert f'member {ids(a)[member.name]} has already been bootstrapped' in member.log(), member.log()

        c.stop()
        for lost in ('log', 'state'):
            shutil.rmtree(os.path.join(c.data, lost))
        refuses(c, 'new')
        for member, state in ((c, 'new'), (late, 'existing')):
            member.stop()
            shutil.rmtree(member.data)
            refuses(member, state)
            assert not os.path.exists(os.path.join(member.data, 'identity'))
            wait_for('it to be removed', lambda member=member: remove(a, member) or True)

        add(a, c)  # as another member it may come
        c.start([*members], state='existing')
        wait_for('it to serve', lambda: Gateway(c.endpoint).get('key') == 'one', 60)
    finally:
        for member in (*members, late):
            member.stop()


def main():
    try:
        return run([members_of_raft_that_go, members_of_paxos_that_go, a_member_whose_data_is_gone])
    finally:
        shutil.rmtree(TEMPORARY, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
