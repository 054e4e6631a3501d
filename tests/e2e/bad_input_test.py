#!/usr/bin/env python3
"""Whoever means harm, or is broken: the node goes on serving others, in bounded memory, and hangs up in bounded time."""
import http.client
import json
import os
import random
import resource
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from certificates import Folder  # noqa: E402
from cluster import QUORATE, Server, b64, free_port, run, wait_for  # noqa: E402

FOLDER = tempfile.mkdtemp(prefix='bad-input-')
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
MIB = 1 << 20


def h2_frame(kind, flags, stream, payload):
    return struct.pack('>I', len(payload))[1:] + struct.pack('>BBI', kind, flags, stream) + payload


SETTINGS = h2_frame(4, 0, 0, b'')


class Node(Server):
    def __init__(self, tag, *flags, scheme='http'):
        super().__init__(FOLDER, tag, *flags, scheme=scheme)

    def memory(self):
        if 'QUORATE_SANITIZED' in os.environ:  # it keeps what is freed: nothing to be judged
            return 0
        with open(f'/proc/{self.process.pid}/statm', encoding='ascii') as file:
            return int(file.read().split()[1]) * resource.getpagesize()


class Configured(Node):
    """A node with a configuration file; `lines` go into its [node] section."""

    def __init__(self, tag, lines):
        self.client, self.scheme = free_port(), 'http'
        self.log_file, file = os.path.join(FOLDER, tag + '.log'), os.path.join(FOLDER, tag + '.toml')
        with open(file, 'w', encoding='ascii') as config:
            config.write(f'[node]\nid = 1\ndata = "{os.path.join(FOLDER, tag)}"\n{lines}\n'
                         f'[[keyspace]]\nname = "main"\nlisten = "127.0.0.1:{self.client}"\n')
        with open(self.log_file, 'wb') as log:
            self.process = subprocess.Popen([QUORATE, 'serve', '--config', file], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=FOLDER)


def until_closed(connection, seconds):
    """What came before the node hung up; an AssertionError if it does not."""
    heard, end = b'', time.monotonic() + seconds
    while True:
        connection.settimeout(max(0.01, end - time.monotonic()))
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            raise AssertionError(f'still open after {seconds} s') from None
        except ConnectionResetError:
            return heard
        if not piece:
            return heard
        heard += piece


def trickle(connection, data, seconds):
    """A byte every 100 ms, until the node hangs up; whether it did within `seconds`."""
    end = time.monotonic() + seconds
    connection.settimeout(0.1)
    at = 0
    while time.monotonic() < end:
        try:
            connection.sendall(data[at % len(data):at % len(data) + 1])
            at += 1
            if connection.recv(1000) == b'':
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def together(attacks):
    """Runs all at once; the mistakes they found."""
    mistakes = []

    def attempt(name, attack):
        try:
            attack()
        except Exception as error:  # each is told at the end
            mistakes.append(f'{name}: {error!r}')
    threads = [threading.Thread(target=attempt, args=each) for each in attacks.items()]
    for thread in threads:
        thread.start()
    return threads, mistakes


def who_dawdles_is_cut_off():
    """Heads that never end, handshakes half done, silence: within ten seconds, while others are served."""
    def dawdle(node, words, seconds=25):
        def attack():
            with node.connect() as connection:
                assert trickle(connection, words, seconds), 'never cut off'
        return attack

    def say(node, words, seconds=25, port=None):
        def attack():
            with node.connect(port) as connection:
                connection.sendall(words)
                until_closed(connection, seconds)
        return attack
    made = Folder(FOLDER)
    made.authority('ca')
    made.certificate('server', 'ca')
    tls_flags = ['--cert-file', made.file('server.pem'), '--key-file', made.file('server.key')]
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    greeting = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname='x')
    try:
        greeting.do_handshake()
    except ssl.SSLWantReadError:
        pass
    client_hello = outgoing.read()
    with Node('dawdled') as node, Node('sealed', *tls_flags, scheme='https') as sealed:
        threads, mistakes = together({
            'silence': say(node, b''),
            'head, byte by byte': dawdle(node, b'GET /health HTTP/1.1\r\nx: ' + b'y' * 1000),
            'preface, byte by byte': dawdle(node, PREFACE + b'\0\0'),
            'preface, then nothing': say(node, PREFACE),
            'header block without end': say(node, PREFACE + SETTINGS + h2_frame(1, 0, 1, b'\x82')),
            'half a handshake': say(sealed, client_hello[:60]),
            'a handshake, byte by byte': dawdle(sealed, client_hello + b'\0' * 100),
            'a handshake, then nothing': say(sealed, client_hello),
            'silence at the TLS port': say(sealed, b''),
            'silence at the peer port': say(node, b'', 10, node.peer),
            'half a greeting at the peer port': say(node, b'QUORATE\x01', 10, node.peer),
        })
        while any(thread.is_alive() for thread in threads):
            assert node.serves()
            time.sleep(0.2)
        assert not mistakes, mistakes
        assert sealed.process.poll() is None


def thousands_that_say_nothing():
    """3000 clients that have introduced themselves and stay, as clients with a pool do."""
    count = 3000
    with Node('crowded') as node:
        before = node.memory()
        crowd = [node.connect() for _ in range(count)]
        try:
            for one in crowd:
                one.sendall(PREFACE + SETTINGS)
            wait_for('the node to see them', lambda: b'\0' in crowd[-1].recv(100))
            begun = time.monotonic()
            for _ in range(50):
                assert node.serves()
            assert time.monotonic() - begun < 30
            each = (node.memory() - before) / count
            assert each < 64 * 1024, f'{each} bytes a connection'
        finally:
            for one in crowd:
                one.close()
        assert node.serves()


def hundreds_over_tls_that_say_nothing():
    made = Folder(FOLDER)
    made.authority('ca')
    made.certificate('server', 'ca')
    flags = ['--cert-file', made.file('server.pem'), '--key-file', made.file('server.key')]
    trusting = ssl.create_default_context(cafile=made.file('ca.pem'))
    count = 500
    with Node('sealed-crowd', *flags, scheme='https') as node:
        def enter():
            secured = trusting.wrap_socket(node.connect(), server_hostname='127.0.0.1')
            secured.sendall(PREFACE + SETTINGS)
            return secured
        first = enter()
        before = node.memory()
        crowd = [enter() for _ in range(count)]
        assert crowd[-1].recv(100)
        each = (node.memory() - before) / count
        for one in [first, *crowd]:
            one.close()
        assert each < 64 * 1024, f'{each} bytes a connection'


def clients_that_never_read():
    """Each asks for tens of megabytes and reads nothing of them."""
    with Node('deaf') as node:
        gateway = node.gateway()
        for i in range(4):
            gateway.put(f'big/{i}', 'x' * MIB)
        before = node.memory()
        request = json.dumps({'key': b64('big/'), 'range_end': b64('big0')}).encode()
        head = f'POST /v3/kv/range HTTP/1.1\r\nhost: x\r\ncontent-length: {len(request)}\r\n\r\n'.encode()
        deaf = [node.connect() for _ in range(8)]
        for one in deaf:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall((head + request) * 10)
        for _ in range(50):
            assert node.serves()
        # One answer each, at most, waits in memory: what is asked behind it is not begun.
        assert node.memory() - before < len(deaf) * 16 * MIB, node.memory() - before
        for one in deaf:
            one.close()
        assert node.serves()


def grpc_request(path, message, stream=1):
    """HEADERS and DATA of a unary call; header fields as literals (RFC 7541 6.2.2)."""
    fields = {':method': 'POST', ':scheme': 'http', ':path': path, ':authority': 'x', 'te': 'trailers',
              'content-type': 'application/grpc'}
    block = b''.join(b'\0' + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
                     for name, value in fields.items())
    return h2_frame(1, 4, stream, block) + h2_frame(0, 1, stream, b'\0' + struct.pack('>I', len(message)) + message)


def hundreds_that_never_read():
    """200 clients ask for 8 MiB each and read nothing; over HTTP/2, where their windows are closed, and over HTTP/1.1.
    What waits for all of them together is an eighth of the node's memory; who takes nothing is cut off."""
    with Configured('deafened', 'memory = "256MiB"') as node:
        gateway = node.gateway()
        for i in range(8):
            gateway.put(f'big/{i}', 'x' * MIB)

        everything = {'key': b64('big/'), 'range_end': b64('big0')}

        def large_read():
            return len(node.gateway().call('/v3/kv/range', everything).get('kvs', [])) == 8
        assert large_read()
        before = node.memory()
        message = b'\x0a\x04big/\x12\x04big0'
        request = json.dumps(everything).encode()
        http1 = f'POST /v3/kv/range HTTP/1.1\r\nhost: x\r\ncontent-length: {len(request)}\r\n\r\n'.encode() + request
        http2 = PREFACE + SETTINGS + b''.join(grpc_request('/etcdserverpb.KV/Range', message, stream)
                                              for stream in (1, 3, 5))
        deaf, peak = [], 0
        for i in range(200):
            one = node.connect()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(http2 if i % 2 else http1)
            deaf.append(one)
            peak = max(peak, node.memory())
        for _ in range(50):
            assert node.serves()
            peak = max(peak, node.memory())
        assert peak - before < 160 * MIB, f'{(peak - before) >> 20} MiB more'
        wait_for('the deaf to be cut off', large_read, 30, 0.5)
        for one in deaf:
            one.close()
        assert node.serves()


def what_is_too_long():
    with Node('long') as node:
        gateway = node.gateway()

        def refused(path, request):
            try:
                gateway.call(path, request)
            except ValueError as error:
                return str(error)
            raise AssertionError('accepted')
        assert 'request is too large' in refused('/v3/kv/put', {'key': b64('k'), 'value': b64('x' * 2 * MIB)})
        assert 'request is too large' in refused('/v3/kv/put', {'key': b64('x' * 2 * MIB), 'value': ''})
        put = {'requestPut': {'key': b64('k'), 'value': ''}}
        assert 'too many operations' in refused('/v3/kv/txn', {'success': [put] * 200})
        gateway.close()
        cases = {
            b'GET / HTTP/1.1\r\nx: ' + b'y' * 100_000 + b'\r\n\r\n': b' 431 ',
            b'POST /v3/kv/put HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n': b' 413 ',
            b'POST /v3/kv/put HTTP/1.1\r\ncontent-length: -1\r\n\r\n': b' 400 ',
        }
        for words, answer in cases.items():
            with node.connect() as connection:
                connection.sendall(words)
                assert answer in until_closed(connection, 10), answer
        # A gRPC message that says it is 4 GiB long: told at once, nothing is allocated for it.
        before = node.memory()
        with open(os.path.join(FOLDER, 'huge'), 'wb') as file:
            file.write(b'\0\xff\xff\xff\xff' + b'x' * 1000)
        assert 'larger than max' in grpc(node, '/etcdserverpb.KV/Put', 'huge')
        assert node.memory() - before < 64 * MIB
        assert node.serves()


def grpc(node, path, file):
    """Head, body and trailers of a gRPC call whose body is the file's."""
    done = subprocess.run(
        ['curl', '-s', '-i', '--max-time', '10', '--http2-prior-knowledge', '-X', 'POST', '-H',
         'content-type: application/grpc', '-H', 'te: trailers', '--data-binary', '@' + os.path.join(FOLDER, file),
         f'http://127.0.0.1:{node.client}{path}'], stdout=subprocess.PIPE, check=False)
    return done.stdout.decode(errors='replace')


def nonsense_on_the_client_port():
    drawn = random.Random(17)
    with open(os.path.join(FOLDER, 'noise'), 'wb') as file:
        file.write(b'\0\0\0\0\3\xff\xff\xff')
    with Node('nonsense') as node:
        before = node.memory()
        for _ in range(100):
            body = drawn.randbytes(drawn.randrange(0, 400))
            with open(os.path.join(FOLDER, 'drawn'), 'wb') as file:
                file.write(b'\0' + struct.pack('>I', len(body)) + body)
            path = drawn.choice(['/etcdserverpb.KV/Txn', '/etcdserverpb.KV/Put', '/etcdserverpb.Watch/Watch',
                                 '/etcdserverpb.Lease/LeaseGrant', '/etcdserverpb.Maintenance/HashKV', '/nothing/here'])
            grpc(node, path, 'drawn')
        assert 'grpc-status: 13' in grpc(node, '/etcdserverpb.KV/Put', 'noise')
        for _ in range(300):
            with node.connect() as connection:
                connection.settimeout(5)
                start = drawn.choice([b'', PREFACE, PREFACE + SETTINGS, b'GET / HTTP/1.1\r\n', b'\x16\x03\x01'])
                connection.sendall(start + drawn.randbytes(drawn.randrange(1, 2000)))
                connection.shutdown(socket.SHUT_WR)
                until_closed(connection, 20)
        for _ in range(300):  # whole frames, of random kinds
            with node.connect() as connection:
                frames = b''.join(
                    h2_frame(drawn.randrange(12), drawn.randrange(256), drawn.choice([0, 1, 2, 3, 5, 0x7fffffff]),
                             drawn.randbytes(drawn.randrange(60))) for _ in range(20))
                connection.sendall(PREFACE + SETTINGS + frames)
                connection.shutdown(socket.SHUT_WR)
                until_closed(connection, 20)
        for words in ('{', '[]', '{"key":7}', '{"key":"no base64!"}', '{"a":' * 5000, '\0\xff', '"' * 1000):
            connection = http.client.HTTPConnection('127.0.0.1', node.client, timeout=10)
            connection.request('POST', '/v3/kv/put', words.encode('latin-1'))
            assert connection.getresponse().status == 400, words[:20]
            connection.close()
        assert node.serves()
        assert node.memory() - before < 64 * MIB


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def varint(number):
    out = b''
    while number > 0x7f:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def peer_frame(payload, keyspace=0, length=None):
    """docs/design/formats.md, "Between nodes"."""
    head = struct.pack('<I', len(payload) if length is None else length)
    space = struct.pack('<Q', keyspace)
    return head + struct.pack('<I', crc32c(head + space + payload)) + space + payload


def hello(cluster, sender, to, version=1):
    fields = b''.join(varint(n) for n in (version, cluster, sender, to, 1)) + varint(0)
    return b'QUORATE\x01' + peer_frame(varint(0) + varint(len(fields)) + fields)


def nonsense_on_the_peer_port():
    drawn = random.Random(18)
    with Node('peered') as node:
        header = node.gateway().put('k', 'v')['header']
        cluster, self_id = int(header['cluster_id']), int(header['member_id'])

        def answer(words, seconds=10):
            with node.connect(node.peer) as connection:
                connection.sendall(words)
                return until_closed(connection, seconds)
        assert b'cluster id' in answer(hello(cluster + 1, 5, self_id)), 'the wrong cluster is told so'
        assert b'not node' in answer(hello(cluster, 5, self_id + 1)), 'the wrong node is told so'
        assert b"this node's own" in answer(hello(cluster, self_id, self_id))
        assert b'version' in answer(hello(cluster, 5, self_id, version=99))
        assert 'cluster id' in node.log()
        before = node.memory()
        assert answer(b'GET / HTTP/1.1\r\n\r\n') == b''
        answer(b'QUORATE\x01' + peer_frame(b'x' * 20, length=0xffffffff))
        answer(b'QUORATE\x01' + peer_frame(b'x' * 20, length=60 * MIB))
        for _ in range(200):
            answer(b'QUORATE\x01' + peer_frame(drawn.randbytes(drawn.randrange(200)), drawn.choice([0, 0, 7])))
            answer(drawn.randbytes(drawn.randrange(1, 300)))
        # Nodes that nobody has added, and that know the cluster's id: a few are heard (the membership may be
        # news), and what they say changes nothing.
        aliens = []
        for sender in range(1000, 1300):
            connection = node.connect(node.peer)
            connection.sendall(hello(cluster, sender, self_id) +
                               b''.join(peer_frame(drawn.randbytes(50), 1) for _ in range(5)))
            aliens.append(connection)
        for connection in aliens:
            until_closed(connection, 15)  # refused, or silent for too long
        assert node.memory() - before < 64 * MIB
        assert node.serves()
        status = node.gateway().status()
        assert status['leader'] == str(self_id), status


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 16384)), hard))
    try:
        return run([who_dawdles_is_cut_off, thousands_that_say_nothing,
                    hundreds_over_tls_that_say_nothing, clients_that_never_read, hundreds_that_never_read, what_is_too_long,
                    nonsense_on_the_client_port, nonsense_on_the_peer_port])
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
