"""Helpers of the end-to-end tests: a `quorate dev` cluster, and plain HTTP clients of its JSON gateway."""
import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests'))
from ports import dev_port, free_port  # noqa: E402, F401

QUORATE = os.environ.get('QUORATE', os.path.join(ROOT, 'build', 'quorate'))

# What is set for others must not change what the tests see.
for name in list(os.environ):
    if name.lower().endswith('_proxy') or name.startswith(('ETCD_', 'ETCDCTL_')):
        del os.environ[name]
for name in ('ENDPOINTS', 'USER', 'PASSWORD', 'CACERT', 'CERT', 'KEY'):
    os.environ.pop('QUORATE_' + name, None)

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by the `finally` of the tests, which end what they started


def wait_for(what, condition, seconds=30, every=0.05):
    end = time.monotonic() + seconds
    last = 'never true'
    while time.monotonic() < end:
        try:
            result = condition()
            if result:
                return result
        except (OSError, http.client.HTTPException, ValueError) as error:
            last = f'{type(error).__name__}: {error}'
        time.sleep(every)
    raise AssertionError(f'not within {seconds} s: {what} ({last})')


# etcd's own: for tests that need one leader for a while, on a machine that may stand still longer than our time-out.
STEADY = ('--heartbeat-interval', '100', '--election-timeout', '1000')


def serving(*endpoints):
    """Until each answers a linearizable read: that one takes writes says nothing of the others."""
    for endpoint in endpoints:
        wait_for(f'{endpoint} to answer', lambda: Gateway(endpoint).call('/v3/kv/range', {'key': b64('k')}))


def stop(*processes, seconds=20):
    """Ends them; who does not end in time is killed, and that is a failure."""
    running = [p for p in processes if p is not None and p.poll() is None]
    for process in running:
        process.terminate()
    late = []
    for process in running:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            late.append(process.args)
    assert not late, f'still there {seconds} s after SIGTERM: {late}'


class Gateway:
    """One keep-alive connection to a node's JSON gateway."""

    def __init__(self, endpoint, timeout=5):
        self.connection = http.client.HTTPConnection(endpoint, timeout=timeout)

    def call(self, path, request):
        self.connection.request('POST', path, json.dumps(request), {'Content-Type': 'application/json'})
        response = self.connection.getresponse()
        body = json.loads(response.read())
        if response.status != 200:
            raise ValueError(f'{path}: {response.status} {body}')
        return body

    def put(self, key, value):
        return self.call('/v3/kv/put', {'key': b64(key), 'value': b64(value)})

    def get(self, key, serializable=False):
        """The value, or None."""
        kvs = self.call('/v3/kv/range', {'key': b64(key), 'serializable': serializable}).get('kvs')
        return base64.b64decode(kvs[0].get('value', '')).decode() if kvs else None

    def keys(self, prefix):
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self.call('/v3/kv/range', {'key': b64(prefix), 'range_end': b64(end), 'keys_only': True})
        return {base64.b64decode(kv['key']).decode() for kv in answer.get('kvs', [])}

    def status(self):
        return self.call('/v3/maintenance/status', {})

    def close(self):
        self.connection.close()


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Server:
    """A node by itself, with etcd's flags: `with Server(...)` begins when it serves, and ends it. With start=False,
    begin() starts it, once others know its address."""

    def __init__(self, folder, tag, *flags, scheme='http', start=True, **variables):
        self.client, self.peer, self.scheme = free_port(), free_port(), scheme
        url, peer_url = f'{scheme}://127.0.0.1:{self.client}', f'http://127.0.0.1:{self.peer}'
        self.folder, self.variables = folder, variables
        self.data, self.log_file = os.path.join(folder, tag), os.path.join(folder, tag + '.log')
        self.command = [QUORATE, '--name', tag, '--data-dir', self.data, '--listen-client-urls', url,
                        '--listen-peer-urls', peer_url, '--initial-advertise-peer-urls', peer_url, *flags]
        if start:
            self.begin()

    def begin(self, *flags):
        with open(self.log_file, 'wb') as log:
            self.process = subprocess.Popen([*self.command, *flags], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            cwd=self.folder, env={**os.environ, **self.variables})

    def __enter__(self):
        try:
            wait_for('the port', lambda: self.connect().close() or True)
            if self.scheme == 'http':
                wait_for('a first put', self.serves)
        except AssertionError:
            self.__exit__()
            raise AssertionError(self.log()) from None
        return self

    def __exit__(self, *_):
        stop(self.process)

    def connect(self, port=None):
        return socket.create_connection(('127.0.0.1', port or self.client), timeout=30)

    def gateway(self):
        return Gateway(f'127.0.0.1:{self.client}')

    def serves(self):
        gateway = self.gateway()
        gateway.put('k', 'v')
        assert gateway.get('k') == 'v'
        gateway.close()
        return True

    def log(self):
        with open(self.log_file, encoding='utf-8', errors='replace') as file:
            return file.read()


class Cluster:
    """`quorate dev` and its nodes."""

    def __init__(self, directory, *arguments):
        self.directory = directory
        command = [QUORATE, 'dev', '--data', directory, *arguments]
        if not os.path.exists(directory):  # else the nodes keep their addresses
            command += ['--port', str(dev_port())]
        self.log = directory + '.out'
        with open(self.log, 'wb') as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            wait_for('the cluster to come up', self.ready, 60)
        except BaseException:
            self.end()
            raise

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f'quorate dev ended: {self.output()}')
        return 'Ctrl-C stops' in self.output()

    def output(self):
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return file.read()

    @property
    def nodes(self):
        with open(os.path.join(self.directory, 'cluster.json'), encoding='utf-8') as file:
            return json.load(file)['nodes']

    def endpoints(self, without=()):
        return [n['client'] for n in self.nodes if n['id'] not in without]

    def leader(self, without=()):
        """The node (of cluster.json) that leads, as seen by those that answer."""
        def find():
            for node in self.nodes:
                if node['id'] in without:
                    continue
                status = Gateway(node['client'], 2).status()
                leader = int(status.get('leader', 0))
                if leader and leader not in without:
                    return next(n for n in self.nodes if n['id'] == leader)
            return None
        return wait_for('a leader', find)

    def restart(self, node):
        """Starts a killed node by itself, as a person would."""
        with open(self.log, 'ab') as out:
            return subprocess.Popen([QUORATE, 'serve', '--config', os.path.join(node['data'], 'quorate.toml')],
                                    stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def interrupt(self, seconds=15):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(seconds)

    def end(self):
        stop(self.process)


def alive(pid):
    """Whether the process runs; one that has ended and waits for its parent does not."""
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def run(tests):
    """Runs the functions, prints a line for each, and the count."""
    passed = failed = 0
    for test in tests:
        begun = time.monotonic()
        try:
            test()
            passed += 1
            print(f'ok      {test.__name__} ({time.monotonic() - begun:.1f} s)', flush=True)
        except Exception:
            failed += 1
            print(f'FAILED  {test.__name__}', flush=True)
            traceback.print_exc(file=sys.stdout)
    print(f'{passed} passed, {failed} failed')
    return 0 if failed == 0 else 1
