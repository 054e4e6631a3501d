"""Real nodes of one cluster: each a `quorate serve` behind the fault proxy and above the fault disk."""
import http.client
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests'))
from ports import free_port  # noqa: E402

QUORATE = os.environ.get('QUORATE', os.path.join(ROOT, 'build', 'quorate'))
BUILD = os.environ.get('QUORATE_BUILD', os.path.join(ROOT, 'build', 'release'))
TOOL = os.path.join(BUILD, 'tests', 'faults', 'fault_tool')
PRELOAD = os.path.join(BUILD, 'tests', 'faults', 'libfault_disk.so')

PATIENCE = 60  # seconds: only a cluster that hangs takes longer, however loaded the machine is


class Trouble(Exception):
    """The cluster did not do what it must; the run fails."""


def wait_for(what, condition, seconds=PATIENCE, every=0.05):
    end = time.monotonic() + seconds
    while True:
        try:
            result = condition()
            if result:
                return result
        except (OSError, http.client.HTTPException, ValueError):
            pass
        if time.monotonic() > end:
            raise Trouble(f'not within {seconds} s: {what}')
        time.sleep(every)


def call(endpoint, path, request, timeout=5):
    """One request to the JSON gateway. ValueError: the server's refusal."""
    connection = http.client.HTTPConnection(endpoint, timeout=timeout)
    try:
        connection.request('POST', path, json.dumps(request), {'Content-Type': 'application/json'})
        response = connection.getresponse()
        body = json.loads(response.read())
    finally:
        connection.close()
    if response.status != 200:
        raise ValueError(f'{path}: {response.status} {body}')
    return body


def disks_can_fail():
    """Whether the binary runs with a preloaded disk: one built with a sanitizer does not."""
    try:
        return subprocess.run([QUORATE, 'version'], env={**os.environ, 'LD_PRELOAD': PRELOAD}, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE).stderr == b''
    except OSError:
        return False


class Disk:
    """The numbers that a node's preloaded disk obeys (disk/preload.cc, Control)."""
    FIELDS = ('sync_delay_us', 'write_delay_us', 'fail_sync', 'full', 'tear', 'tear_seed', 'keep', 'felt')

    def __init__(self, path):
        self.path = path
        self.heal()

    def set(self, **fields):
        with open(self.path, 'r+b') as file:
            for name, value in fields.items():
                file.seek(4 * self.FIELDS.index(name))
                file.write(struct.pack('=I', value))

    def felt(self):
        """How many operations were delayed or failed since it was healed."""
        with open(self.path, 'rb') as file:
            file.seek(4 * self.FIELDS.index('felt'))
            return struct.unpack('=I', file.read(4))[0]

    def heal(self):
        if not os.path.exists(self.path):
            with open(self.path, 'wb') as file:
                file.write(bytes(4 * len(self.FIELDS)))
        self.set(**{name: 0 for name in self.FIELDS})


class Proxy:
    """The proxy's process. Links are named by nodes."""

    def __init__(self, seed):
        self.process = subprocess.Popen([TOOL, 'proxy', '--seed', str(seed)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()

    def say(self, *words):
        """The number it answers: of connections broken, of bits flipped; 0 of what counts nothing."""
        with self.lock:
            self.process.stdin.write(' '.join(map(str, words)) + '\n')
            self.process.stdin.flush()
            answer = self.process.stdout.readline().split()
        if len(answer) != 2 or answer[0] != 'ok':
            raise Trouble(f'the proxy: {" ".join(answer) or "it ended"}')
        return int(answer[1])

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class Node:
    def __init__(self, cluster, number):
        self.cluster, self.number, self.name = cluster, number, f'n{number}'
        self.id = number  # of a node that joins later: told by the cluster
        self.join = False
        self.joining = self.leaving = self.gone = False  # members come and go
        self.down = True  # killed, or not started yet
        self.struck = False  # by a fault that wants it for itself
        self.lock = threading.RLock()  # its process: faults and changes of members may be at it at once
        self.client, self.peer, self.proxied = free_port(), free_port(), free_port()
        self.directory = os.path.join(cluster.directory, self.name)
        os.makedirs(self.directory)
        self.data = os.path.join(self.directory, 'data')
        self.log = os.path.join(self.directory, 'log')
        self.disk = Disk(os.path.join(self.directory, 'disk'))
        self.process = None
        self.paused = False
        cluster.proxy.say('node', self.name, self.proxied, self.peer)

    @property
    def endpoint(self):
        return f'127.0.0.1:{self.client}'

    @property
    def address(self):
        return f'127.0.0.1:{self.proxied}'

    def configure(self):
        peers = ', '.join(f'"{n.id}={n.address}"' for n in list(self.cluster.nodes))
        # Who joins is told its id, which may be larger than a number of TOML.
        who = f'join = true\nadvertise = "{self.address}"' if self.join else f'id = {self.id}'
        with open(os.path.join(self.directory, 'quorate.toml'), 'w', encoding='utf-8') as file:
            file.write(f'''cluster = "faults"

[node]
{who}
name = "{self.name}"
data = "{self.data}"
listen = "127.0.0.1:{self.peer}"
peers = [{peers}]
log_segment = "1MiB"

[[keyspace]]
name = "store"
protocol = "{self.cluster.protocol}"
listen = "{self.endpoint}"
flush_after_entries = {self.cluster.flush_after}
''')

    def start(self):
        with self.lock:
            if not self.gone and not self.running():
                self.launch()

    def launch(self):
        if not os.path.exists(os.path.join(self.directory, 'quorate.toml')):
            self.configure()
        environment = {**os.environ, 'QUORATE_FAULT_DISK': self.disk.path}
        if self.cluster.preload:
            environment['LD_PRELOAD'] = PRELOAD
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([QUORATE, 'serve', '--config', os.path.join(self.directory, 'quorate.toml')],
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        self.paused = self.down = False

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        with self.lock:
            self.down = True
            if self.process:
                self.process.kill()
                self.process.wait()
            self.paused = False

    def retire(self):
        """Its member was removed: nothing is left of it but its log."""
        with self.lock:
            self.gone = True
            self.kill()
            shutil.rmtree(self.data, ignore_errors=True)

    def pause(self):
        with self.lock:
            if self.running():
                self.process.send_signal(signal.SIGSTOP)
                self.paused = True

    def resume(self):
        with self.lock:
            if self.running() and self.paused:
                self.process.send_signal(signal.SIGCONT)
            self.paused = False

    def status(self, timeout=2):
        return call(self.endpoint, '/v3/maintenance/status', {}, timeout)

    def metric(self, name):
        """Its value in /metrics, or None."""
        with urllib.request.urlopen(f'http://{self.endpoint}/metrics', timeout=2) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + ' '):
                    return float(line.split()[1])
        return None

    def times_said(self, *words):
        """In how many lines of its log, of all its lives, all these words stand."""
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return sum(all(word in line for word in words) for line in file)

    def last_words(self):
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return ''.join(file.readlines()[-5:])

    def resident(self):
        """Bytes of memory."""
        try:
            with open(f'/proc/{self.process.pid}/statm', encoding='ascii') as file:
                return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
        except (OSError, AttributeError):
            return 0

    def stored(self):
        """Bytes of files."""
        total = 0
        for where, _, files in os.walk(self.data):
            for file in files:
                try:
                    total += os.stat(os.path.join(where, file)).st_blocks * 512
                except OSError:
                    pass
        return total


class Cluster:
    def __init__(self, directory, size, seed, protocol='raft', flush_after=2000):
        self.directory, self.protocol, self.flush_after = directory, protocol, flush_after
        self.on_change = lambda: None  # told when members come or go
        self.narrow = -float('inf')  # when there were at most two of them, last
        self.notes = {}  # what happened beside the faults, and how often
        self.alone = False  # the fault under way is the only one
        self.churned = False  # members are changed all the time
        self.changing = threading.RLock()  # one change of members at a time
        self.under_way = threading.Event()  # one is asked for
        self.lock = threading.RLock()  # who is a member, whom a fault strikes
        self.preload = disks_can_fail()
        self.proxy = Proxy(seed)
        self.nodes = []
        self.numbers = 0
        for _ in range(size):
            self.nodes.append(self.new_node())
        for node in self.nodes:
            node.start()

    def new_node(self):
        self.numbers += 1
        return Node(self, self.numbers)

    def end(self):
        for node in self.nodes:
            node.kill()
        self.proxy.end()

    def note(self, what, count=1):
        with self.lock:
            self.notes[what] = self.notes.get(what, 0) + count

    def changed(self):
        """Members came or went."""
        if len(self.nodes) <= 3:  # there are two in between, where one is replaced
            self.narrow = time.monotonic()
        self.on_change()

    def change_begins(self, seconds):
        """Where members change all the time, waits until a change is under way."""
        if self.churned:
            self.under_way.wait(seconds)

    def note_if_changing(self, what):
        if self.under_way.is_set():
            self.note(what)

    def answers(self, node):
        """A linearizable read."""
        return call(node.endpoint, '/v3/kv/range', {'key': 'eA=='}, 2)

    def endpoints(self):
        return ','.join(n.endpoint for n in self.nodes)

    def leader(self, seconds=PATIENCE):
        """The node that says of itself that it leads, in the latest term."""
        def find():
            terms = {}
            for node in list(self.nodes):
                if not node.running() or node.paused:
                    continue
                try:
                    status = node.status(1)
                except (OSError, http.client.HTTPException, ValueError):
                    continue
                if status.get('leader') == status['header'].get('member_id') and int(status.get('leader', 0)) != 0:
                    terms[int(status.get('raftTerm', 0))] = node
            return terms[max(terms)] if terms else None
        return wait_for('a leader', find, seconds)

    def links(self, rule, pairs=None):
        nodes = list(self.nodes)
        for a in nodes:
            for b in nodes:
                if a is not b and (pairs is None or (a, b) in pairs):
                    self.proxy.say('link', a.name, b.name, rule)

    def call(self, path, request):
        """To whichever member answers."""
        last = None
        for node in list(self.nodes):
            try:
                return call(node.endpoint, path, request)
            except (OSError, http.client.HTTPException, ValueError) as error:
                last = error
        raise ValueError(str(last))

    def heal(self):
        """Everything whole again: links, disks, processes."""
        self.links('pass')
        for node in list(self.nodes):
            node.disk.heal()
            node.resume()
            if not node.leaving:
                node.start()

    def settle(self):
        """Until every member answers a linearizable read."""
        for node in self.nodes:
            def answers(node=node):
                if not node.running():
                    raise Trouble(f'{node.name} does not stay up: {node.last_words()}')
                return self.answers(node)
            wait_for(f'{node.name} to answer', answers)

    def equal_hashes(self):
        """All replicas hold the same: HashKV of one revision."""
        def compare():
            revision = int(call(self.nodes[0].endpoint, '/v3/kv/range', {'key': 'eA=='})['header']['revision'])
            answers = []
            for node in self.nodes:
                call(node.endpoint, '/v3/kv/range', {'key': 'eA=='})  # it has applied all that was acknowledged
                answers.append(call(node.endpoint, '/v3/maintenance/hashkv', {'revision': revision}))
            # A compaction or a lease's end in between makes a hash of another moment: ask again.
            if len({a.get('compact_revision') for a in answers}) > 1:
                return None
            return [a.get('hash') for a in answers]
        hashes = wait_for('hashes of one revision', compare)
        if len(set(hashes)) != 1:
            raise Trouble(f'the replicas differ: {dict(zip([n.name for n in self.nodes], hashes))}')
