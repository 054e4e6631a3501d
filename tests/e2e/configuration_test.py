#!/usr/bin/env python3
"""docs/guide/configuration.md against the program, and every setting of a server seen from outside."""
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import QUORATE, ROOT, Gateway, Server, b64, free_port, run, stop, wait_for  # noqa: E402

FOLDER = tempfile.mkdtemp(prefix='configuration-')
DOCUMENT = os.path.join(ROOT, 'docs', 'guide', 'configuration.md')
EXAMPLE = '[node]\nid = 1\ndata = "d"\n[[keyspace]]\nname = "k"\nlisten = "127.0.0.1:1"\n'


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def refusal(*arguments, **variables):
    done = subprocess.run([QUORATE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30,
                          cwd=FOLDER, env={**os.environ, **variables})
    assert done.returncode == 2, done
    return done.stdout


def Node(tag, *flags, **variables):
    return Server(FOLDER, tag, *flags, **variables)


def page(port, path, host=None, origin=None, method='GET', body=None):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
    fields = {'Host': host or f'127.0.0.1:{port}', **({'Origin': origin} if origin else {})}
    connection.request(method, path, body, fields)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}


def every_key_of_the_file_is_documented():
    """The program names its keys when it meets one it does not know."""
    def keys(table, text):
        with open(os.path.join(FOLDER, 'keys.toml'), 'w', encoding='utf-8') as file:
            file.write(text)
        told = refusal('serve', '--config', 'keys.toml')
        assert ': unknown key' in told, told
        return {table + key for key in re.search(r'allowed: (.*)', told)[1].strip().split(', ')}
    tls = '[keyspace.tls]\ncertificate = "c"\nkey = "k"\nnonsense = 1\n'
    known = (keys('', EXAMPLE.replace('[node]', 'nonsense = 1\n[node]')) | keys('node.', EXAMPLE.replace(
        'id = 1', 'id = 1\nnonsense = 1')) | keys('keyspace.', EXAMPLE + 'nonsense = 1\n') | keys('', EXAMPLE + tls))
    known -= {'node', 'keyspace'}
    documented = set(re.findall(r'^\| `([a-z0-9_.]+)` \|', read(DOCUMENT), re.M))
    assert known == documented, (sorted(known - documented), sorted(documented - known))


def every_flag_is_documented():
    sources = read(os.path.join(ROOT, 'src/cli/etcd_options.cc')) + read(os.path.join(ROOT, 'src/cli/serve.cc'))
    code = re.sub(r'R"\(.*?\)"', '', sources, flags=re.S)
    known = set(re.findall(r'[({]"(--[a-z0-9-]+)', code))
    documented = set(re.findall(r'`(--[a-z0-9-]+)`', ''.join(re.findall(r'^\| (`--[^|]*)\|', read(DOCUMENT), re.M))))
    assert known - {'--config'} == documented - {'--version'}, (sorted(known - documented), sorted(documented - known))
    of_etcd = set(read(os.path.join(ROOT, 'tests/e2e/etcd-3.4.23-flags.txt')).split())  # of its --help
    assert len(of_etcd) > 50 and of_etcd <= documented, sorted(of_etcd - documented)


def limits_on_requests():
    with Node('limits', '--max-request-bytes', '4096', '--max-txn-ops', '2', '--max-concurrent-streams', '17') as node:
        def answer(path, request):
            status, text, _ = page(node.client, path, method='POST', body=json.dumps(request))
            return status, text
        assert answer('/v3/kv/put', {'key': b64('k'), 'value': b64('x' * 3000)})[0] == 200
        status, text = answer('/v3/kv/put', {'key': b64('k'), 'value': b64('x' * 5000)})
        assert status == 400 and 'request is too large' in text, text
        put = {'requestPut': {'key': b64('a'), 'value': b64('1')}}
        other = {'requestPut': {'key': b64('b'), 'value': b64('1')}}
        assert answer('/v3/kv/txn', {'success': [put, other]})[0] == 200
        third = {'requestPut': {'key': b64('c'), 'value': b64('1')}}
        status, text = answer('/v3/kv/txn', {'success': [put, other, third]})
        assert status == 400 and 'too many operations' in text, text
        with socket.create_connection(('127.0.0.1', node.client), timeout=10) as raw:
            raw.sendall(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + b'\0\0\0\4\0\0\0\0\0')
            settings = b'\0\3' + (17).to_bytes(4, 'big')  # SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113, 6.5.2)
            heard = b''
            while settings not in heard:
                piece = raw.recv(1000)
                assert piece, heard
                heard += piece


def who_may_use_the_gateway_from_where():
    with Node('access', '--cors', 'https://good.example', '--host-whitelist', '127.0.0.1,db.example') as node:
        assert page(node.client, '/version')[0] == 200
        assert page(node.client, '/version', host='db.example:2379')[0] == 200
        assert page(node.client, '/version', host='evil.example')[0] == 421
        fields = page(node.client, '/version', origin='https://good.example')[2]
        assert fields['access-control-allow-origin'] == 'https://good.example', fields
        assert 'access-control-allow-origin' not in page(node.client, '/version', origin='https://other.example')[2]


def metrics_on_a_port_of_their_own():
    port = free_port()
    with Node('metrics', '--listen-metrics-urls', f'http://127.0.0.1:{port}') as node:
        assert 'etcd_server_has_leader 1' in page(port, '/metrics')[1]
        assert page(port, '/health')[0] == 200
        assert page(port, '/v3/kv/range', method='POST', body='{"key":"aw=="}')[0] == 404, 'no keys there'
        assert page(node.client, '/metrics')[0] == 200


def the_gateway_can_be_left_out():
    client = free_port()
    with open(os.path.join(FOLDER, 'bare.toml'), 'w', encoding='utf-8') as file:
        file.write(f'[node]\nid = 1\ndata = "bare"\n[[keyspace]]\nname = "k"\nlisten = "127.0.0.1:{client}"\n'
                   'gateway = false\n')
    process = subprocess.Popen([QUORATE, 'serve', '--config', 'bare.toml'], cwd=FOLDER, stderr=subprocess.DEVNULL)
    try:
        wait_for('a healthy node', lambda: page(client, '/health')[0] == 200)
        assert page(client, '/v3/kv/range', method='POST', body='{"key":"aw=="}')[0] == 404
    finally:
        stop(process)


def clients_that_ping_too_often_or_say_nothing():
    def speak(node):
        raw = socket.create_connection(('127.0.0.1', node.client), timeout=20)
        raw.sendall(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + b'\0\0\0\4\0\0\0\0\0')
        return raw

    def everything(raw):
        heard = b''
        while True:
            piece = raw.recv(1000)
            if not piece:
                return heard
            heard += piece
    with Node('pings', '--grpc-keepalive-min-time', '1h', '--grpc-keepalive-interval', '300ms',
              '--grpc-keepalive-timeout', '300ms') as node:
        with speak(node) as eager:
            eager.sendall((b'\0\0\x08\6\0\0\0\0\0' + b'12345678') * 5)
            assert b'too_many_pings' in everything(eager)
        with speak(node) as silent:
            assert b'alive?' in everything(silent), 'asked, and then closed'
        assert node.gateway().get('k') == 'v'


def the_log_goes_where_it_is_told():
    elsewhere = os.path.join(FOLDER, 'elsewhere.log')
    with Node('logs', '--log-outputs', f'stderr,{elsewhere}', '--log-format', 'json', '--log-level', 'debug',
              '--wal-dir', os.path.join(FOLDER, 'walled')) as node:
        lines = [json.loads(line) for line in read(elsewhere).splitlines()]
        assert any('serving clients' in line['message'] for line in lines), lines
        assert len(node.log().splitlines()) >= len(lines), 'and to standard error'
    assert os.listdir(os.path.join(FOLDER, 'walled')), 'the log is there'
    assert not os.path.exists(os.path.join(node.data, 'log')), 'and not below the data directory'
    quiet = Node('quiet', '--log-level', 'error')
    with quiet:
        assert quiet.log() == '', quiet.log()


def history_is_forgotten():
    with Node('compacting', '--auto-compaction-mode', 'revision', '--auto-compaction-retention', '1') as node:
        assert node.gateway().get('k') == 'v'
    with Node('periodic', '--auto-compaction-retention', '1s') as node:
        gateway = node.gateway()
        for i in range(20):
            gateway.put('k', str(i))

        def forgotten():
            status, text, _ = page(node.client, '/v3/kv/range', method='POST',
                                   body=json.dumps({'key': b64('k'), 'revision': '3'}))
            return status != 200 and 'compacted' in text
        wait_for('a compaction', forgotten, 20)


def environment_and_flags():
    port = free_port()
    with Node('variables', ETCD_LISTEN_METRICS_URLS=f'http://127.0.0.1:{port}', ETCD_MAX_TXN_OPS='1',
              ETCD_CLIENT_CERT_AUTH='false', ETCD_ENABLE_V2='true', ETCD_AUTO_TLS='false') as node:
        assert page(port, '/health')[0] == 200
        put = {'requestPut': {'key': b64('a'), 'value': b64('1')}}
        other = {'requestPut': {'key': b64('b'), 'value': b64('1')}}
        assert page(node.client, '/v3/kv/txn', method='POST', body=json.dumps({'success': [put, other]}))[0] == 400
        assert '--enable-v2 changes nothing' in node.log(), node.log()
    assert '--auto-tls: makes a certificate that nobody signed' in refusal('--name', 'n', '--trusted-ca-file', 'ca.pem',
                                                                            ETCD_AUTO_TLS='true')
    assert '--discovery: name the members' in refusal('--name', 'n', '--discovery', 'https://discovery.example/x')
    assert '--force-new-cluster' in refusal('--name', 'n', '--force-new-cluster')
    assert '--max-txn-ops' in refusal('--name', 'n', '--max-txn-ops', 'many')
    assert '--name and --config do not go together' in refusal('serve', '--name', 'n', '--config', 'keys.toml')


def etcds_own_file():
    client, peer = free_port(), free_port()
    with open(os.path.join(FOLDER, 'etcd.conf.yml'), 'w', encoding='utf-8') as file:
        file.write(f"""# as etcd's sample has it
name: 'yaml'
data-dir: yaml.data
wal-dir:
listen-client-urls: http://127.0.0.1:{client}
advertise-client-urls: http://127.0.0.1:{client}
listen-peer-urls: http://127.0.0.1:{peer}
initial-advertise-peer-urls: http://127.0.0.1:{peer}
initial-cluster:
max-txn-ops: 1
strict-reconfig-check: false
proxy: 'off'
client-transport-security:
  auto-tls: false
log-outputs: [stderr]
""")
    process = subprocess.Popen([QUORATE, '--config-file', 'etcd.conf.yml'], cwd=FOLDER, stderr=subprocess.DEVNULL,
                               env={**os.environ, 'ETCD_MAX_TXN_OPS': '1000'})
    try:
        wait_for('a healthy node', lambda: page(client, '/health')[0] == 200)
        put = {'requestPut': {'key': b64('a'), 'value': b64('1')}}
        other = {'requestPut': {'key': b64('b'), 'value': b64('1')}}
        assert page(client, '/v3/kv/txn', method='POST', body=json.dumps({'success': [put, other]}))[0] == 400
    finally:
        stop(process)
    with open(os.path.join(FOLDER, 'bad.yml'), 'w', encoding='utf-8') as file:
        file.write('name: a\nlisten-clients: b\n')
    assert 'bad.yml:2: listen-clients: unknown key' in refusal('--config-file=bad.yml')
    assert 'can not be read' in refusal('serve', ETCD_CONFIG_FILE='nowhere.yml')


def leases_outlive_an_election():
    with Node('slow', '--heartbeat-interval', '400', '--election-timeout', '4000') as node:
        granted = node.gateway().call('/v3/lease/grant', {'TTL': 1})
        assert granted['TTL'] == '6', granted  # one and a half of the election time-out, as in etcd


def main():
    try:
        return run([every_key_of_the_file_is_documented, every_flag_is_documented, limits_on_requests,
                    who_may_use_the_gateway_from_where, metrics_on_a_port_of_their_own, the_gateway_can_be_left_out,
                    clients_that_ping_too_often_or_say_nothing, the_log_goes_where_it_is_told, history_is_forgotten,
                    environment_and_flags, etcds_own_file, leases_outlive_an_election])
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
