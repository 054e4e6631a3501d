#!/usr/bin/env python3
"""The surface of etcd by name, at a real node: its RPCs, gateway paths, pages and metrics. What they do is tested
beside their code (src/api, src/models/etcd) and in tests/conformance."""
import http.client
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

from cluster import Gateway, Server, b64, run, wait_for

FOLDER = tempfile.mkdtemp(prefix='drop-in-')
OK, UNIMPLEMENTED = '0', '12'

SERVED = {
    'etcdserverpb.KV': 'Range RangeStream Put DeleteRange Txn Compact',
    'etcdserverpb.Lease': 'LeaseGrant LeaseRevoke LeaseKeepAlive LeaseTimeToLive LeaseLeases',
    'etcdserverpb.Watch': 'Watch',
    'etcdserverpb.Cluster': 'MemberAdd MemberRemove MemberUpdate MemberList MemberPromote',
    'etcdserverpb.Maintenance': 'Alarm Status Defragment Hash HashKV Snapshot MoveLeader Downgrade',
    'etcdserverpb.Auth': 'AuthDisable AuthStatus Authenticate',
    'v3lockpb.Lock': 'Unlock',
    'v3electionpb.Election': 'Proclaim Leader Resign',
    'grpc.health.v1.Health': 'Check',
}
LATER = {
    'etcdserverpb.Auth': 'AuthEnable UserAdd UserGet UserList UserDelete UserChangePassword UserGrantRole '
                         'UserRevokeRole RoleAdd RoleGet RoleList RoleDelete RoleGrantPermission RoleRevokePermission',
    'etcdserverpb.Nonsense': 'Nothing',
    'etcdserverpb.KV': 'Nothing',
}
GATEWAY = {
    '/v3/kv/': 'range put deleterange txn compaction lease/revoke lease/timetolive lease/leases',
    '/v3/': 'watch',
    '/v3/lease/': 'grant revoke keepalive timetolive leases',
    '/v3/cluster/member/': 'add remove update list promote',
    '/v3/maintenance/': 'alarm status defragment hash hashkv snapshot transfer-leadership downgrade',
    '/v3/auth/': 'enable disable status authenticate user/add user/get user/list user/delete user/changepw user/grant '
                 'user/revoke role/add role/get role/list role/delete role/grant role/revoke',
    '/v3/lock/': 'lock unlock',
    '/v3/election/': 'campaign proclaim leader observe resign',
}
METRICS = '''
    etcd_server_has_leader etcd_server_leader_changes_seen_total etcd_server_proposals_committed_total
    etcd_server_proposals_applied_total etcd_server_proposals_failed_total etcd_server_proposals_pending
    etcd_server_quota_backend_bytes etcd_mvcc_db_total_size_in_bytes etcd_mvcc_db_total_size_in_use_in_bytes
    etcd_disk_wal_fsync_duration_seconds_bucket etcd_disk_backend_commit_duration_seconds_bucket
    etcd_network_peer_sent_bytes_total etcd_network_peer_received_bytes_total
    etcd_network_peer_sent_failures_total etcd_network_peer_round_trip_time_seconds_bucket
    etcd_network_client_grpc_sent_bytes_total etcd_network_client_grpc_received_bytes_total
    grpc_server_started_total grpc_server_handled_total grpc_server_handling_seconds_bucket
    process_resident_memory_bytes'''.split()


def paths(names, join='/'):
    return [service + join + name for service, methods in names.items() for name in methods.split()]


def grpc(node, path, message=b'', seconds=60):
    """The gRPC status of a call, or '' if it goes on without an answer after these seconds."""
    with open(os.path.join(FOLDER, 'message'), 'wb') as file:
        file.write(b'\0' + struct.pack('>I', len(message)) + message)
    command = ['curl', '-s', '-D', '-', '-o', '/dev/null', '--max-time', str(seconds), '--http2-prior-knowledge', '-X', 'POST', '-H',
               'content-type: application/grpc', '-H', 'te: trailers', '--data-binary',
               '@' + os.path.join(FOLDER, 'message'), f'http://127.0.0.1:{node.client}/{path}']
    for _ in range(100):
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=2 * seconds + 20)
        # What is refused by its head is answered before the body has come, and the rest is not wanted (RFC 9113 8.1):
        # this curl then forgets the answer if it was about to send the body.
        if done.returncode != 92:
            break
    head = done.stdout.decode(errors='replace')
    assert 'HTTP/2 200' in head or done.returncode == 28, f'{path}: curl ended with {done.returncode}: {head}'
    for line in head.splitlines():
        if line.startswith('grpc-status: '):
            return line.removeprefix('grpc-status: ').strip()
    return ''


def page(node, method, path, body=None):
    connection = http.client.HTTPConnection('127.0.0.1', node.client, timeout=20)
    connection.request(method, path, body)
    answer = connection.getresponse()
    if method == 'POST' and answer.getheader('transfer-encoding') == 'chunked':
        text = ''  # a stream: it may have no end
    else:
        text = answer.read().decode()
    connection.close()
    return answer.status, text


def missing_metrics(node):
    text = page(node, 'GET', '/metrics')[1]
    return [name for name in METRICS if f'\n{name}{{' not in text and f'\n{name} ' not in text]


def every_rpc(node):
    """An empty message is answered, or refused for what it lacks: never as a method that nobody knows."""
    for path in paths(SERVED):
        assert grpc(node, path, seconds=1) != UNIMPLEMENTED, path
    for path in paths(LATER):
        assert grpc(node, path) == UNIMPLEMENTED, path
    assert grpc(node, 'etcdserverpb.Cluster/MemberList') == OK
    assert grpc(node, 'etcdserverpb.KV/RangeStream', b'\x0a\x01k') == OK
    assert grpc(node, 'etcdserverpb.KV/RangeStream', b'\x0a\x01k\x28\x01\x30\x03') == UNIMPLEMENTED  # sorted


def every_gateway_path(node):
    for path in paths(GATEWAY, ''):
        # Not an object: no call is made. The gateway answers all the same.
        status, text = page(node, 'POST', path, '[]')
        assert status == 400 and 'malformed JSON' in text, f'{path}: {status} {text}'
        assert page(node, 'GET', path)[0] == 405, path
    status, text = page(node, 'POST', '/v3/auth/enable', '{}')
    assert status == 501 and json.loads(text)['code'] == 12, text
    assert page(node, 'POST', '/v3/nonsense', '{}')[0] == 404


def every_page(node):
    assert page(node, 'GET', '/health') == (200, '{"health":"true","reason":""}')
    for query in '?serializable=true', '?exclude=NOSPACE', '?exclude=NOSPACE&exclude=CORRUPT&serializable=true':
        assert page(node, 'GET', '/health' + query)[0] == 200, query
    assert page(node, 'POST', '/health')[0] == 405
    checks = {'/livez': ['serializable_read'],
              '/readyz': ['data_corruption', 'serializable_read', 'linearizable_read', 'non_learner']}
    for path, names in checks.items():
        assert page(node, 'GET', path) == (200, 'ok\n')
        assert page(node, 'GET', path + '?verbose')[1] == ''.join(f'[+]{name} ok\n' for name in names) + 'ok\n'
        assert f'[+]{names[0]} ' not in page(node, 'GET', f'{path}?verbose&exclude={names[0]}')[1]
        for name in names:
            assert page(node, 'GET', f'{path}/{name}') == (200, 'ok\n')
        assert page(node, 'GET', path + '/nonsense')[0] == 404
    assert set(json.loads(page(node, 'GET', '/version')[1])) == {'etcdserver', 'etcdcluster', 'storage'}
    assert json.loads(page(node, 'GET', '/debug/vars')[1])['raft.status']['lead'] != 0
    missing = missing_metrics(node)
    assert all(name.startswith('etcd_network_peer_') for name in missing), missing


def an_alarm_is_seen_everywhere(node):
    gateway = node.gateway()
    member = gateway.status()['header']['member_id']
    gateway.call('/v3/maintenance/alarm', {'action': 'ACTIVATE', 'memberID': member, 'alarm': 'NOSPACE'})
    assert page(node, 'GET', '/health') == (503, '{"health":"false","reason":"ALARM NOSPACE"}')
    assert page(node, 'GET', '/health?exclude=NOSPACE')[0] == 200
    assert page(node, 'GET', '/readyz')[0] == 200
    try:
        gateway.put('k', 'v')
        raise AssertionError('a put without space')
    except ValueError as error:
        assert 'etcdserver: mvcc: database space exceeded' in str(error), error
    gateway.call('/v3/maintenance/alarm', {'action': 'DEACTIVATE', 'memberID': member, 'alarm': 'NOSPACE'})
    gateway.call('/v3/maintenance/alarm', {'action': 'ACTIVATE', 'memberID': member, 'alarm': 'CORRUPT'})
    status, text = page(node, 'GET', '/readyz')
    assert status == 503 and '[-]data_corruption failed: alarm activated: CORRUPT' in text, text
    assert page(node, 'GET', '/livez')[0] == 200
    gateway.call('/v3/maintenance/alarm', {'action': 'DEACTIVATE', 'memberID': member, 'alarm': 'CORRUPT'})
    gateway.put('k', 'v')


def a_learner(node):
    """It serves serializable reads, status and snapshots; the rest and streams it refuses, and says so."""
    url = node.gateway()
    joining = Server(FOLDER, 'learner', '--initial-cluster-state', 'existing', start=False)
    url.call('/v3/cluster/member/add', {'peerURLs': [f'http://127.0.0.1:{joining.peer}'], 'isLearner': True})
    unstarted = [m for m in url.call('/v3/cluster/member/list', {})['members'] if m.get('isLearner')]
    assert len(unstarted) == 1 and 'name' not in unstarted[0] and 'clientURLs' not in unstarted[0], unstarted
    joining.begin('--initial-cluster', f'alone=http://127.0.0.1:{node.peer},learner=http://127.0.0.1:{joining.peer}')
    try:
        wait_for('the learner', lambda: Gateway(f'127.0.0.1:{joining.client}').get('k', serializable=True) == 'v')
        assert Gateway(f'127.0.0.1:{joining.client}').status()['isLearner'] is True
        read, serializable = b'\x0a\x01k', b'\x0a\x01k\x38\x01'
        assert grpc(joining, 'etcdserverpb.KV/Range', serializable) == OK
        assert grpc(joining, 'etcdserverpb.Maintenance/Snapshot') == OK
        for path, message in {'etcdserverpb.KV/Range': read, 'etcdserverpb.KV/Put': read,
                              'etcdserverpb.KV/RangeStream': serializable, 'etcdserverpb.Watch/Watch': b'',
                              'etcdserverpb.Lease/LeaseKeepAlive': b'', 'etcdserverpb.Lease/LeaseGrant': b''}.items():
            assert grpc(joining, path, message) == '9', path  # failed precondition: not supported for learner
        assert page(joining, 'GET', '/readyz/non_learner')[0] == 503
        assert page(joining, 'GET', '/livez')[0] == 200
        wait_for('the metrics of peers', lambda: not missing_metrics(node))
    finally:
        joining.__exit__()


def main():
    try:
        with Server(FOLDER, 'alone') as node:
            node.gateway().call('/v3/kv/put', {'key': b64('k'), 'value': b64('v')})

            def of(test):
                def named():
                    test(node)
                named.__name__ = test.__name__
                return named
            return run([of(test) for test in (every_rpc, every_gateway_path, every_page, an_alarm_is_seen_everywhere,
                                              a_learner)])
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
