#!/usr/bin/env python3
"""`quorate dev` as a person uses it: start, write, kill the leader, restart, Ctrl-C, start again."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from cluster import QUORATE, Cluster, Gateway, alive, dev_port, run, stop, wait_for

TEMPORARY = tempfile.mkdtemp(prefix='quorate-e2e-')


def directory(name):
    return os.path.join(TEMPORARY, name)


def etcdctl(endpoints, *words):
    return subprocess.run(['etcdctl', '--endpoints', ','.join(endpoints), *words], text=True, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, 'ETCDCTL_API': '3'}).stdout.strip()


class Writers:
    """Threads that put ever new keys, each over all endpoints in turn, and remember what was acknowledged."""

    def __init__(self, endpoints, count=4):
        self.acknowledged, self.times, self.ending = set(), [], False
        self.threads = [threading.Thread(target=self.write, args=(endpoints, i), daemon=True) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def write(self, endpoints, number):
        at, gateway = number, None
        for sequence in range(10 ** 9):
            if self.ending:
                return
            key = f'load/{number}/{sequence}'
            try:
                gateway = gateway or Gateway(endpoints[at % len(endpoints)], 3)
                gateway.put(key, 'v' * 100)
                self.acknowledged.add(key)
                self.times.append(time.monotonic())
            except Exception:  # refused or unknown: not acknowledged; on to the next node
                if gateway:
                    gateway.close()
                gateway, at = None, at + 1
                time.sleep(0.005)

    def stop(self):
        self.ending = True
        for thread in self.threads:
            thread.join(10)


def one_cluster_through_everything():
    path = directory('main')
    cluster = Cluster(path)
    extra = []
    try:
        nodes = cluster.nodes
        assert [n['id'] for n in nodes] == [1, 2, 3], nodes
        assert all(alive(n['pid']) and os.path.isdir(n['data']) and ':' in n['peer'] for n in nodes), nodes
        assert len({n['client'] for n in nodes}) == 3

        if shutil.which('etcdctl'):
            assert etcdctl(cluster.endpoints(), 'put', 'greeting', 'hello') == 'OK'
            for endpoint in cluster.endpoints():
                assert etcdctl([endpoint], 'get', 'greeting') == 'greeting\nhello', endpoint
            members = json.loads(etcdctl(cluster.endpoints(), 'member', 'list', '-w', 'json'))['members']
            assert sorted(m['name'] for m in members) == ['n1', 'n2', 'n3'], members

        writers = Writers(cluster.endpoints())
        wait_for('some writes', lambda: len(writers.acknowledged) > 100)
        leader = cluster.leader()
        killed = time.monotonic()
        os.kill(leader['pid'], signal.SIGKILL)
        wait_for('writes after the kill', lambda: writers.times[-1] > killed + 0.05 and sum(
            t > killed for t in writers.times) > 100)
        writers.stop()
        times = sorted(writers.times)
        gap = max(b - a for a, b in zip(times, times[1:]))
        print(f'  {len(writers.acknowledged)} writes, longest gap around the kill {gap * 1000:.0f} ms')

        rest = cluster.endpoints(without=(leader['id'],))
        for endpoint in rest:
            lost = writers.acknowledged - Gateway(endpoint).keys('load/')
            assert not lost, f'{len(lost)} acknowledged writes are not at {endpoint}'

        extra.append(cluster.restart(leader))
        wait_for('the killed node to catch up',
                 lambda: Gateway(leader['client']).get(max(writers.acknowledged), serializable=True))
        lost = writers.acknowledged - Gateway(leader['client']).keys('load/')
        assert not lost, f'{len(lost)} acknowledged writes are not at the restarted node'

        before = writers.acknowledged
        assert cluster.interrupt() == 0, cluster.output()
        assert not any(alive(n['pid']) for n in nodes if n['id'] != leader['id']), 'a node survived Ctrl-C'
    finally:
        cluster.end()
        stop(*extra)

    again = Cluster(path)
    try:
        assert [n['client'] for n in again.nodes] == [n['client'] for n in nodes], 'another address after the restart'
        assert before <= Gateway(again.endpoints()[0]).keys('load/'), 'writes lost over a restart'
        Gateway(again.endpoints()[1]).put('later', 'value')
        second = subprocess.run([QUORATE, 'dev', '--data', path], text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=30)
        assert second.returncode != 0 and 'runs from' in second.stdout, second.stdout
    finally:
        again.end()


def children_end_with_their_parent():
    cluster = Cluster(directory('orphans'), '--nodes', '1')
    try:
        pid = cluster.nodes[0]['pid']
        cluster.process.kill()
        cluster.process.wait()
        wait_for('the node to end', lambda: not alive(pid), 15)
    finally:
        cluster.end()


def paxos_carries_the_same_store():
    cluster = Cluster(directory('paxos'), '--protocol', 'paxos')
    try:
        for number, endpoint in enumerate(cluster.endpoints()):
            Gateway(endpoint).put(f'key{number}', 'value')
        for endpoint in cluster.endpoints():
            assert Gateway(endpoint).keys('key') == {'key0', 'key1', 'key2'}, endpoint
    finally:
        cluster.end()


def tls_for_clients_and_peers():
    """Verbs run where the cluster's directory is find its certificate; others are told it."""
    path = directory('tls')
    os.mkdir(path)
    start = [QUORATE, 'dev', '--nodes', '3', '--data', 'data', '--port', str(dev_port())]

    def quorate(*words):
        return subprocess.run([QUORATE, *words], cwd=path, text=True, timeout=30, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT).stdout.strip()

    def run_cluster(arguments, then):
        with open(os.path.join(path, 'output'), 'w+', encoding='utf-8') as output:
            process = subprocess.Popen([*start, *arguments], cwd=path, stdout=output, stderr=output)
            try:
                wait_for('the cluster', lambda: 'Ctrl-C stops' in open(output.name, encoding='utf-8').read(), 60)
                then(open(output.name, encoding='utf-8').read())
                process.send_signal(signal.SIGINT)
                assert process.wait(30) == 0
            finally:
                process.kill()
                process.wait()

    def first(said):
        ca = os.path.join(path, 'data', 'tls', 'cert.pem')
        assert '--cacert data/tls/cert.pem' in said, said
        with open(os.path.join(path, 'data', 'cluster.json'), encoding='utf-8') as file:
            found = json.load(file)
        assert found['cacert'] == 'data/tls/cert.pem', found
        assert quorate('put', 'greeting', 'hello') == 'OK'
        client = found['nodes'][2]['client']
        assert 'not signed by' in quorate('get', 'greeting', '--endpoints', 'https://' + client)
        if shutil.which('etcdctl'):
            assert etcdctl(['https://' + client], '--cacert', ca, 'get', 'greeting') == 'greeting\nhello'
        if shutil.which('openssl'):
            for port in (found['nodes'][0]['client'], found['nodes'][0]['peer']):
                shown = subprocess.run(['openssl', 's_client', '-connect', port, '-CAfile', ca], text=True, timeout=30,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
                assert 'Verify return code: 0' in shown, shown

    run_cluster(['--tls'], first)
    refused = subprocess.run([QUORATE, 'dev', '--data', 'data', '--nodes', '1'], cwd=path, stderr=subprocess.DEVNULL)
    assert refused.returncode == 2

    def second(_):
        assert quorate('get', 'greeting') == 'greeting\nhello'

    run_cluster([], second)


def main():
    try:
        return run([one_cluster_through_everything, children_end_with_their_parent, paxos_carries_the_same_store,
                    tls_for_clients_and_peers])
    finally:
        shutil.rmtree(TEMPORARY, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
