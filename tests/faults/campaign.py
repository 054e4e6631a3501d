"""Rounds of load under faults on one cluster, and their report."""
import json
import os
import random
import shutil
import subprocess
import threading
import time
import traceback

from membership import Churn
from nemesis import BACKDROPS, BESIDE, FAULTS, LOSING, NoEffect
from nodes import PATIENCE, TOOL, Cluster, Trouble


class Load:
    """The load's process: clients, watchers and their judgement."""

    def __init__(self, cluster, tag, seed, directory, pause_ms):
        self.history = os.path.join(directory, f'history-{tag}')
        self.errors = open(os.path.join(directory, 'load.log'), 'ab')
        self.process = subprocess.Popen(
            [TOOL, 'load', '--endpoints', cluster.endpoints(), '--tag', tag, '--seed', str(seed), '--history',
             self.history, '--pause', str(pause_ms)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            text=True)
        self.lock = threading.Lock()
        if self.process.stdout.readline().strip() != 'loading':
            raise Trouble('the load did not start: see load.log')

    def tell(self, line):
        with self.lock:
            self.process.stdin.write(line + '\n')
            self.process.stdin.flush()

    def judgement(self):
        try:
            out, _ = self.process.communicate('end\n', timeout=10 * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Trouble('the load does not come to an end') from None
        if self.process.returncode not in (0, 1):
            raise Trouble(f'the load ended with {self.process.returncode}: see load.log')
        return json.loads(out)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.errors.close()


class Beside(threading.Thread):
    """A second fault at the same time."""

    def __init__(self, fault, cluster, rng, stretch):
        super().__init__(daemon=True)
        self.call, self.failure = lambda: fault(cluster, rng, stretch), None
        self.start()

    def run(self):
        try:
            self.call()
        except Exception as failure:  # told by end()
            self.failure = failure

    def end(self):
        self.join()
        if self.failure:
            raise self.failure


class Campaign:
    """`churn`: members are added and removed all the time. `beside`: how often a fault of one member comes with another
    of a second one; and, a quarter of the others, over slow links, lossy links or slow disks."""

    def __init__(self, directory, seed, faults, size=3, protocol='raft', faults_a_round=3, stretch=1.0, pause_ms=2,
                 churn=False, beside=0.25, flush_after=2000, tell=print):
        self.directory, self.seed, self.size, self.protocol = directory, seed, size, protocol
        self.faults, self.faults_a_round, self.stretch, self.pause_ms = faults, faults_a_round, stretch, pause_ms
        self.churn, self.beside, self.flush_after, self.tell = churn, beside, flush_after, tell
        self.begun = time.monotonic()
        self.report = {'seed': seed, 'nodes': size, 'protocol': protocol, 'faults_allowed': faults, 'rounds': 0,
                       'seconds': 0.0, 'operations': 0, 'unknown_outcomes': 0, 'revisions': 0,
                       'faults': {}, 'at_once': 0, 'no_effect': {}, 'notes': {}, 'counts': {}, 'errors': {}, 'stalls': [],
                       'memory': [], 'files': [], 'violations': []}

    def run(self, rounds=None, seconds=None):
        """True: nothing was wrong."""
        os.makedirs(self.directory, exist_ok=True)
        cluster = None
        try:
            cluster = Cluster(os.path.join(self.directory, 'nodes'), self.size, self.seed, self.protocol,
                              self.flush_after)
            cluster.notes = self.report['notes']
            cluster.settle()
            number = 0
            while not self.report['violations'] and (rounds is None or number < rounds) and (
                    seconds is None or time.monotonic() - self.begun < seconds):
                self.round(cluster, number)
                number += 1
        except Trouble as trouble:
            self.report['violations'].append(str(trouble))
        except Exception:  # of the harness: it must not pass for a good run
            self.report['violations'].append(traceback.format_exc())
        finally:
            if cluster:
                cluster.end()
            self.write()
        return not self.report['violations']

    def round(self, cluster, number):
        # Each round draws from its own source: how long a fault takes does not change what comes after.
        rng = random.Random(f'{self.seed}/{number}')
        plan = self.plan(rng, number)
        load = Load(cluster, f'{self.seed}-{number}', rng.randrange(1 << 32), self.directory, self.pause_ms)
        churn = None
        timeline = []
        try:
            cluster.on_change = lambda: load.tell(cluster.endpoints())
            if self.churn:
                churn = Churn(cluster, f'{self.seed}/{number}/churn', self.size, max(5, self.size + 1), self.stretch)
            begun = time.monotonic()
            for name, beside, backdrop in plan:
                at = time.monotonic() - begun
                done = self.inject(cluster, rng, name, beside, backdrop)
                timeline.append((at, time.monotonic() - begun, done))
            cluster.heal()
            if churn:
                churn.end()
            cluster.settle()
            result = load.judgement()
        finally:
            cluster.on_change = lambda: None
            if churn:
                churn.stop()
            load.end()
        cluster.equal_hashes()
        self.add(cluster, number, timeline, result)

    def plan(self, rng, number):
        """Each fault in turn, in an order of the seed's, so that a campaign long enough has had them all. Triples: the
        fault, one beside it, what lasts behind both."""
        order = []
        while len(order) < (number + 1) * self.faults_a_round:
            deck = self.faults[:]
            random.Random(f'{self.seed}/deck/{len(order)}').shuffle(deck)
            order += deck
        names = order[number * self.faults_a_round:(number + 1) * self.faults_a_round]
        return [(name, *self.company(rng, name)) for name in names]

    def company(self, rng, name):
        """A fault beside this one, and a backdrop; None: none."""
        losing = (self.size - 1) // 2 - (name in LOSING)  # a majority keeps what it has acknowledged
        besides = [f for f in self.faults if f in BESIDE and (losing > 0 or f not in LOSING)] if name in BESIDE else []
        if besides and rng.random() < self.beside:
            return rng.choice(besides), None
        backdrops = [b for b in BACKDROPS if b in self.faults]
        if backdrops and name not in BACKDROPS and rng.random() < 0.25:
            return None, rng.choice(backdrops)
        return None, None

    def inject(self, cluster, rng, name, beside, backdrop):
        """Does a fault, and what was planned beside it. Where it has no effect, another one instead. Tells what was done."""
        for _ in range(5):
            words = name + (f' and {beside}' if beside else '') + (f' over {backdrop}' if backdrop else '')
            self.tell(f'  {time.monotonic() - self.begun:7.1f} s  {words}')
            self.lay(cluster, rng, backdrop)
            cluster.alone = not beside and not backdrop
            happened = self.strike(cluster, rng, name, beside)
            if backdrop:
                self.count('faults', backdrop)
                cluster.heal()
            time.sleep(rng.uniform(0.2, 1.0) * self.stretch)  # some healthy time in between
            if happened:
                return words
            name, beside, backdrop = rng.choice(self.faults), None, None
        raise Trouble('no fault has an effect')

    def lay(self, cluster, rng, backdrop):
        if backdrop == 'slow_links':
            cluster.links(f'slow {rng.uniform(1, 8):.1f} {rng.uniform(0, 5):.1f} 0 0')
        elif backdrop == 'lossy_links':
            cluster.links('slow 0.2 0.5 1 200')
        elif backdrop == 'slow_disks':
            for node in list(cluster.nodes):
                node.disk.set(sync_delay_us=rng.randint(1_000, 15_000))

    def strike(self, cluster, rng, name, beside):
        """Whether one of them had an effect. Each counts by itself."""
        other = Beside(FAULTS[beside], cluster, random.Random(rng.random()), self.stretch) if beside else None
        acts = [(name, lambda: FAULTS[name](cluster, rng, self.stretch))] + ([(beside, other.end)] if other else [])
        struck = 0
        try:
            for which, act in acts:
                try:
                    act()
                    self.count('faults', which)
                    struck += 1
                except NoEffect as why:
                    self.count('no_effect', f'{which}: {why}')
        finally:
            if other:
                other.join()
        self.report['at_once'] += struck == 2
        return struck > 0

    def count(self, what, key):
        self.report[what][key] = self.report[what].get(key, 0) + 1

    def add(self, cluster, number, timeline, result):
        report = self.report
        report['rounds'] = number + 1
        report['seconds'] = round(time.monotonic() - self.begun, 1)
        for what in ('operations', 'unknown_outcomes', 'revisions'):
            report[what] += result[what]
        if result['inconclusive_keys']:  # what was not judged must not pass for good
            report['violations'].append(f'{result["inconclusive_keys"]} keys were not judged: the search for an order '
                                        'of their operations ended at its budget')
        for what in ('counts', 'errors'):
            for key, value in result[what].items():
                report[what][key] = report[what].get(key, 0) + value
        for at, length in result['stalls']:
            during = [name for begin, end, name in timeline if begin - 0.1 <= at + length and at <= end + 1]
            report['stalls'].append({'round': number, 'at': round(at, 3), 'seconds': round(length, 3), 'during': during})
        report['memory'].append([n.resident() for n in cluster.nodes])
        report['files'].append([n.stored() for n in cluster.nodes])
        report['violations'] += result['violations']
        self.tell(f'  {time.monotonic() - self.begun:7.1f} s  round {number}: {result["operations"]} operations, '
                  f'{result["unknown_outcomes"]} of unknown outcome, {len(result["violations"])} violations')
        self.write()

    def write(self):
        with open(os.path.join(self.directory, 'report.json'), 'w', encoding='utf-8') as file:
            json.dump(self.report, file, indent=1)
        with open(os.path.join(self.directory, 'report.txt'), 'w', encoding='utf-8') as file:
            file.write(self.text())

    def text(self):
        r = self.report
        lengths = sorted(s['seconds'] for s in r['stalls'])
        megabytes = 1 / (1 << 20)
        lines = [
            f'seed {r["seed"]}, {r["nodes"]} nodes, {r["protocol"]}: {r["rounds"]} rounds in {r["seconds"]:.0f} s',
            f'operations          {r["operations"]}, of unknown outcome {r["unknown_outcomes"]}; '
            f'{r["revisions"]} revisions, all told in order to every watcher',
            'beside them         ' + ', '.join(f'{v} {k}' for k, v in sorted(r['counts'].items())),
            'faults              ' + ', '.join(f'{v} {k}' for k, v in sorted(r['faults'].items())),
            f'two at once         {r["at_once"]} times',
            'seen                ' + (', '.join(f'{v} {k}' for k, v in sorted(r['notes'].items())) or 'nothing else'),
            'without effect      ' + (', '.join(f'{v} {k}' for k, v in sorted(r['no_effect'].items())) or 'none') +
            ' (not counted above)',
            'errors to clients   ' + (', '.join(f'{v} {k}' for k, v in sorted(r['errors'].items())) or 'none'),
            f'no write for > 150 ms  {len(lengths)} times, {sum(lengths):.1f} s in all' +
            (f', median {lengths[len(lengths) // 2]:.2f} s, longest {lengths[-1]:.2f} s' if lengths else ''),
        ]
        if r['memory']:
            lines.append('memory of the nodes ' + ' -> '.join(
                ', '.join(f'{m * megabytes:.0f}' for m in r['memory'][i]) for i in (0, -1)) + ' MiB')
            lines.append('files of the nodes  ' + ' -> '.join(
                ', '.join(f'{m * megabytes:.0f}' for m in r['files'][i]) for i in (0, -1)) + ' MiB')
        lines.append(f'violations          {len(r["violations"]) or "none"}')
        lines += [f'  {v}' for v in r['violations']]
        return '\n'.join(lines) + '\n'

    def forget(self, everything=False):
        """Of a good run only the report is worth keeping."""
        shutil.rmtree(self.directory if everything else os.path.join(self.directory, 'nodes'), ignore_errors=True)
