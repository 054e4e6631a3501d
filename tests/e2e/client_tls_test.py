#!/usr/bin/env python3
"""Clients over TLS: certificates at both ends, renewed while the nodes run, and what is told when they are not right."""
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from certificates import Folder  # noqa: E402
from cluster import QUORATE, free_port, run, stop, wait_for  # noqa: E402

FOLDER = tempfile.mkdtemp(prefix='client-tls-')
MADE = Folder(FOLDER)
FILE = MADE.file


class Nodes:
    """Members configured by etcd's flags; links between them are TLS too."""

    def __init__(self, tag, count, *flags, scheme='https'):
        self.tag, self.flags, self.scheme = tag, flags, scheme
        self.clients = [free_port() for _ in range(count)]
        self.peers = [free_port() for _ in range(count)]
        self.initial = ','.join(f'{tag}{i}=https://127.0.0.1:{port}' for i, port in enumerate(self.peers))
        self.processes = [self.start(i) for i in range(count)]

    def start(self, i):
        name = f'{self.tag}{i}'
        client, peer = f'{self.scheme}://127.0.0.1:{self.clients[i]}', f'https://127.0.0.1:{self.peers[i]}'
        with open(FILE(name + '.log'), 'wb') as log:
            return subprocess.Popen(
                [QUORATE, '--name', name, '--data-dir', FILE(name + '.data'), '--listen-client-urls', client,
                 '--advertise-client-urls', client, '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer,
                 '--initial-cluster', self.initial, '--peer-cert-file', FILE('peer.pem'), '--peer-key-file',
                 FILE('peer.key'), '--peer-trusted-ca-file', FILE('ca.pem'), '--peer-client-cert-auth', *self.flags],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def endpoint(self, i=0):
        return f'{self.scheme}://127.0.0.1:{self.clients[i]}'

    def log(self, i=0):
        with open(FILE(f'{self.tag}{i}.log'), encoding='utf-8', errors='replace') as file:
            return file.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(*self.processes)


MUTUAL = ['--cert-file', FILE('server.pem'), '--key-file', FILE('server.key'), '--trusted-ca-file', FILE('ca.pem'),
          '--client-cert-auth']
IDENTIFIED = ['--cacert', FILE('ca.pem'), '--cert', FILE('client.pem'), '--key', FILE('client.key')]


def command(program, endpoint, *arguments, **variables):
    """(exit status, standard output, standard error)."""
    environment = {'PATH': os.environ['PATH'], 'ETCDCTL_API': '3', 'HOME': FOLDER, **variables}
    done = subprocess.run([*program, '--endpoints', endpoint, '--command-timeout=3s', '--dial-timeout=3s', *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, cwd=FOLDER,
                          env=environment)
    return done.returncode, done.stdout, done.stderr


def etcdctl(endpoint, *arguments):
    return command(['etcdctl'], endpoint, *arguments)


def quorate(endpoint, *arguments, **variables):
    """The verb comes first."""
    verb, *rest = arguments
    return command([QUORATE, verb], endpoint, *rest, **variables)


def works(result):
    assert result[0] == 0, result
    return result[1]


def served(nodes, *identity):
    wait_for('a first put', lambda: etcdctl(nodes.endpoint(), *identity, 'put', 'k', 'v')[0] == 0)


def served_by(nodes, i):
    status, answer, _ = etcdctl(nodes.endpoint(i), *IDENTIFIED, 'get', 'k')
    return answer if status == 0 else None


def presented(port):
    """The common name of the certificate that a server shows."""
    context = ssl.create_default_context(cafile=FILE('ca.pem'))
    context.load_cert_chain(FILE('client.pem'), FILE('client.key'))
    with socket.create_connection(('127.0.0.1', port), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname='127.0.0.1') as secured:
            return dict(pair[0] for pair in secured.getpeercert()['subject'])['commonName']


def three_nodes_serve_etcdctl_with_tls_on_both_ports():
    with Nodes('three', 3, *MUTUAL) as nodes:
        served(nodes, *IDENTIFIED)
        for i in range(3):  # two are enough for the put: the third may be starting yet
            answer = wait_for(f'node {i}', lambda i=i: served_by(nodes, i))
            assert answer == 'k\nv\n', answer
        everywhere = ','.join(nodes.endpoint(i) for i in range(3))
        assert works(etcdctl(everywhere, *IDENTIFIED, 'endpoint', 'health')) == ''  # 3.4 says it on standard error
        listed = works(etcdctl(everywhere, *IDENTIFIED, 'member', 'list'))
        assert listed.count('https://') == 6, listed


def who_shows_no_certificate_of_the_authority_is_turned_away():
    with Nodes('strict', 1, *MUTUAL) as nodes:
        served(nodes, *IDENTIFIED)
        assert etcdctl(nodes.endpoint(), '--cacert', FILE('ca.pem'), 'get', 'k')[0] != 0
        wait_for('the reason', lambda: 'shows no certificate' in nodes.log())
        alien = ['--cacert', FILE('ca.pem'), '--cert', FILE('alien.pem'), '--key', FILE('alien.key')]
        assert etcdctl(nodes.endpoint(), *alien, 'get', 'k')[0] != 0
        wait_for('the reason', lambda: 'not signed by' in nodes.log())
        distrustful = ['--cacert', FILE('other.pem'), '--cert', FILE('client.pem'), '--key', FILE('client.key')]
        assert etcdctl(nodes.endpoint(), *distrustful, 'get', 'k')[0] != 0
        assert etcdctl(nodes.endpoint(), *IDENTIFIED, 'get', 'k')[0] == 0


def our_client_speaks_tls_and_says_what_is_wrong():
    with Nodes('ours', 1, *MUTUAL) as nodes:
        served(nodes, *IDENTIFIED)
        secure, bare = nodes.endpoint(), f'127.0.0.1:{nodes.clients[0]}'
        assert works(quorate(secure, 'get', 'k', *IDENTIFIED)) == 'k\nv\n'
        assert works(quorate(bare, 'get', 'k', *IDENTIFIED)) == 'k\nv\n', 'a certificate is named: TLS'
        assert works(quorate(secure, 'get', 'k', '--insecure-skip-tls-verify', *IDENTIFIED[2:])) == 'k\nv\n'
        assert 'healthy' in works(quorate(bare, 'endpoint', 'health', '--cluster', *IDENTIFIED))

        def measured(bench=('bench', '--duration', '200ms', '--warm-up', '0s', '--json', *IDENTIFIED)):
            status, told, _ = quorate(secure, *bench)
            assert '"errors":{}' in told.replace(' ', ''), told
            return status == 0  # something was done in that time
        wait_for('a measurement', measured)
        for prefix in ('ETCDCTL_', 'QUORATE_'):
            variables = {prefix + 'CACERT': FILE('ca.pem'), prefix + 'CERT': FILE('client.pem'),
                         prefix + 'KEY': FILE('client.key')}
            assert works(quorate(bare, 'get', 'k', **variables)) == 'k\nv\n'
            variables['QUORATE_CERT'], variables['QUORATE_KEY'] = FILE('alien.pem'), FILE('alien.key')
            assert quorate(bare, 'get', 'k', **variables)[0] == 1, 'our own variable counts first'
        assert works(quorate(bare, 'get', 'k', '--user', 'root:x', *IDENTIFIED)) == 'k\nv\n', 'nobody is asked'

        def refused(endpoint, *identity):
            status, _, error = quorate(endpoint, 'get', 'k', *identity)
            assert status in (1, 128), status
            return error
        trust, own = IDENTIFIED[:2], IDENTIFIED[2:]
        assert 'does it speak TLS' in refused(bare)
        assert 'not signed by any CA of this system' in refused(secure, *own)
        assert 'not signed by --cacert' in refused(secure, '--cacert', FILE('other.pem'), *own)
        assert 'set --cert and --key' in refused(secure, *trust)
        assert 'does not trust' in refused(secure, *trust, '--cert', FILE('alien.pem'), '--key', FILE('alien.key'))
        assert 'expired' in refused(secure, *trust, '--cert', FILE('expired.pem'), '--key', FILE('expired.key'))
        assert 'not valid for the address' in refused(secure.replace('127.0.0.1', 'localhost'), *IDENTIFIED)
        assert 'can not be read' in refused(secure, '--cacert', '/none.pem')
        assert '--cert and --key go together' in refused(secure, *trust, '--cert', FILE('client.pem'))


def certificates_are_renewed_while_the_node_runs():
    MADE.certificate('renewing', 'ca', common_name='first')
    flags = ['--cert-file', FILE('renewing.pem'), '--key-file', FILE('renewing.key'), '--trusted-ca-file',
             FILE('ca.pem'), '--client-cert-auth']
    with Nodes('renew', 1, *flags) as nodes:
        served(nodes, *IDENTIFIED)
        assert presented(nodes.clients[0]) == 'first'
        MADE.certificate('next', 'ca', common_name='second', to='renewing')
        assert presented(nodes.clients[0]) == 'second'
        assert etcdctl(nodes.endpoint(), *IDENTIFIED, 'get', 'k')[0] == 0
        with open(FILE('renewing.pem'), 'w', encoding='ascii') as broken:  # half written: the last good one stays
            broken.write('-----BEGIN CERT')
        assert presented(nodes.clients[0]) == 'second'
        assert 'make no sense' in nodes.log(), nodes.log()


def plain_text_to_a_tls_port_and_the_reverse():
    with Nodes('mixed', 1, *MUTUAL) as nodes:
        served(nodes, *IDENTIFIED)
        plain = http.client.HTTPConnection('127.0.0.1', nodes.clients[0], timeout=10)
        plain.request('GET', '/health')
        answer = plain.getresponse()
        assert (answer.status, answer.read()) == (400, b'This port speaks TLS: use https.\n')
        assert etcdctl(f'http://127.0.0.1:{nodes.clients[0]}', 'get', 'k')[0] != 0
        wait_for('the reason', lambda: 'speaks plain text where TLS is expected' in nodes.log())
    with Nodes('plain', 1, scheme='http') as nodes:
        served(nodes)
        assert etcdctl(f'https://127.0.0.1:{nodes.clients[0]}', '--cacert', FILE('ca.pem'), 'get', 'k')[0] != 0
        wait_for('the reason', lambda: 'it speaks TLS, and this port does not' in nodes.log())
        status, _, error = quorate(f'https://127.0.0.1:{nodes.clients[0]}', 'get', 'k', '--cacert', FILE('ca.pem'))
        assert status == 1 and 'speaks plain text where TLS is expected' in error, error


def unusable_certificates_stop_the_start():
    def attempt(*flags):
        done = subprocess.run(
            [QUORATE, '--name', 'n', '--data-dir', FILE('unusable.data'), '--listen-client-urls',
             f'https://127.0.0.1:{free_port()}', '--listen-peer-urls', f'http://127.0.0.1:{free_port()}', *flags],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
        assert done.returncode != 0, done.stdout
        return done.stdout
    assert '--cert-file: /none.pem can not be read' in attempt('--cert-file', '/none.pem', '--key-file', '/none.key')
    wrong = attempt('--cert-file', FILE('server.pem'), '--key-file', FILE('client.key'))
    assert '--key-file' in wrong and 'does not belong to' in wrong, wrong
    assert 'https needs --cert-file' in attempt(), 'without any'


def main():
    try:
        MADE.authority('ca')
        MADE.authority('other')
        for name in ('server', 'peer', 'client'):
            MADE.certificate(name, 'ca')
        MADE.certificate('alien', 'other')
        MADE.certificate('expired', 'ca', days=-1)
        return run([three_nodes_serve_etcdctl_with_tls_on_both_ports,
                    who_shows_no_certificate_of_the_authority_is_turned_away,
                    our_client_speaks_tls_and_says_what_is_wrong,
                    certificates_are_renewed_while_the_node_runs, plain_text_to_a_tls_port_and_the_reverse,
                    unusable_certificates_stop_the_start])
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
