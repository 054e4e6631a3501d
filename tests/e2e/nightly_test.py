"""tests/nightly in a few seconds: sweeps of the simulator, one interrupted and resumed; and that it fails when a part
does, by a simulator that only claims."""
import importlib.machinery
import importlib.util
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time

from cluster import ROOT, run

sys.dont_write_bytecode = True
sys.path[1:1] = [os.path.join(ROOT, 'tests'), os.path.join(ROOT, 'tests', 'faults')]
import fault_table  # noqa: E402
from nemesis import FAULTS  # noqa: E402

NIGHTLY = [sys.executable, os.path.join(ROOT, 'tests', 'nightly'), '--no-build', '--jobs', '1']
# Takes what a sweep passes; {} is what it claims to have found.
CLAIMS = '''#!/bin/sh
{}
echo 'raft: 10 seeds, 9 passed, 1 failed; 5000 operations acknowledged; 0.1 M events in 0.1 s, 1.00 M events per second'
echo '{{"seeds":10,"pairs":{{"loss":{{"loss":3,"kill":2}},"kill":{{"loss":2,"kill":4}}}}}}'
'''


def nightly(directory, *arguments, simulator=None):
    environment = {**os.environ, **({'QUORATE_SIM': simulator} if simulator else {})}
    done = subprocess.run([*NIGHTLY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=environment)
    print(done.stdout)
    with open(os.path.join(directory, 'state.json')) as file:
        return done, json.load(file)


def claiming(directory, says):
    path = os.path.join(directory, 'simulator')
    with open(path, 'w') as file:
        file.write(CLAIMS.format(says))
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


def test_sweeps_and_reports():
    with tempfile.TemporaryDirectory() as out:
        parts = ['pairs', 'raft', 'raft-etcd', 'paxos', 'links', 'rejoin', 'leases', 'checker']
        done, state = nightly(out, '--hours', '0.003', '--first', '1', '--out', out, *parts)
        assert done.returncode == 3, done.stdout  # each pair a thousand times takes longer
        assert '8 parts, 0 failed; not whole: pairs (short)' in done.stdout, done.stdout
        for part in parts[:7]:
            assert state['parts'][part]['seeds'] > 0
        matrix = state['parts']['pairs']['matrix']
        assert len(matrix) > 700 and sum(matrix.values()) > 0
        with open(os.path.join(out, 'report.md')) as file:
            report = file.read()
        assert '| pairs |' in report and '| checker |' in report
        with open(os.path.join(out, 'pairs.csv')) as file:
            assert len(file.readlines()) == 1 + len(matrix) + len(state['parts']['pairs']['met'])
        check_table(out, state['parts']['pairs'])


def check_table(out, pairs):
    done = subprocess.run([*NIGHTLY, '--table', out], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.returncode
    rows = [[cell.strip(' `') for cell in line.split('|')[1:-1]] for line in done.stdout.splitlines()[2:]]
    of = {row[1]: row for row in rows if row[1]}
    assert set(of) == set(pairs['met'])  # all kinds that a night brings together
    for kind, row in of.items():
        least = min(seeds for pair, seeds in pairs['matrix'].items() if kind in pair.split('+'))
        assert row[3] == f'{pairs["met"][kind]:,}' and row[5] == f'{least:,}', row
        assert pairs['matrix'].get(f'{kind}+{row[4]}', pairs['matrix'].get(f'{row[4]}+{kind}')) == least, row


def test_names_a_class_for_every_fault():
    with open(os.path.join(ROOT, 'src', 'sim', 'faults.h')) as file:
        enum = re.search(r'enum class FaultKind [^{]*\{(.*?)\};', file.read(), re.S).group(1)
    kinds = re.findall(r'^  (\w+),', enum, re.M)
    assert len(kinds) > 40
    named = [kind for _, of_class, _ in fault_table.CLASSES + fault_table.BEYOND for kind in of_class.split()]
    assert sorted(named) == sorted(kinds), set(named) ^ set(kinds)  # each once
    real = {name for _, _, of_class in fault_table.CLASSES + fault_table.BEYOND for name in of_class.split()}
    assert real == set(FAULTS), real ^ set(FAULTS)


def test_goes_on_where_it_was_interrupted():
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as tools:
        calls = os.path.join(tools, 'calls')
        simulator = claiming(tools, f'echo "$@" >> {calls}; sleep 0.2')
        with open(simulator) as file:
            text = file.read().replace('1 failed', '0 failed')
        with open(simulator, 'w') as file:
            file.write(text)
        arguments = ['--first', '100', '--out', out, 'raft', 'pairs']
        night = subprocess.Popen([*NIGHTLY, '--hours', '1', *arguments], env={**os.environ, 'QUORATE_SIM': simulator},
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while not os.path.exists(calls) or len(open(calls).readlines()) < 3:
            assert night.poll() is None
            time.sleep(0.02)
        night.send_signal(signal.SIGINT)
        output, _ = night.communicate(timeout=60)
        assert night.returncode == 2 and '--resume' in output, output
        with open(os.path.join(out, 'state.json')) as file:
            state = json.load(file)
        seeds = state['parts']['pairs']['seeds']
        assert seeds >= 20 and 'outcome' not in state['parts']['pairs']
        state['hours'] = state['parts']['pairs']['seconds'] * 2 / 3600  # so that the rest is short
        with open(os.path.join(out, 'state.json'), 'w') as file:
            json.dump(state, file)
        before = len(open(calls).readlines())
        done, state = nightly(out, '--resume', out, simulator=simulator)
        assert done.returncode == 3 and 'pairs (short)' in done.stdout, done.stdout
        assert state['parts']['pairs']['seeds'] > seeds and state['parts']['raft']['outcome'] == 'ok'
        assert f'--seeds {100 + seeds}..' in open(calls).readlines()[before]


def test_fails_where_a_part_does():
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as tools:
        liar = claiming(tools, 'echo "FAILED durability at 3 ms: gone | quorate sim --seeds 7"')
        done, state = nightly(out, '--hours', '0.0001', '--out', out, 'raft', 'leases-beyond', simulator=liar)
        assert done.returncode == 1
        assert state['parts']['raft']['findings'][0].startswith('FAILED durability')
        assert state['parts']['leases-beyond']['outcome'] == 'ok'  # there it is what must be found
        with open(os.path.join(out, 'report.md')) as file:
            assert 'quorate sim --seeds 7' in file.read()


def test_a_simulator_that_dies_is_a_failure():
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as tools:
        done, state = nightly(out, '--hours', '0.0001', '--out', out, 'raft', simulator=claiming(tools, 'exit 9'))
        assert done.returncode == 1 and state['parts']['raft']['outcome'] == 'FAILED'


def test_brings_the_rarest_pairs_together():
    loader = importlib.machinery.SourceFileLoader('nightly', NIGHTLY[1])
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('nightly', loader))
    loader.exec_module(module)
    kinds = ['clog', 'delay', 'drift', 'kill', 'loss', 'pause', 'transfer']
    matrix = {f'{a}+{b}': 100 for i, a in enumerate(kinds) for b in kinds[i + 1:]}
    matrix |= {'kill+loss': 10, 'drift+kill': 20, 'clog+transfer': 15}
    assert module.steer({}, 1)[0] == ['--pairs']
    assert module.steer(matrix, 0)[0] == ['--pairs']
    assert module.steer(matrix, 4) == (['--together', 'kill,loss'], 40)
    assert module.steer(matrix, 1) == (['--together', 'kill,loss,drift,clog,transfer'], 40)
    assert module.steer({pair: module.GOAL for pair in matrix}, 1)[0] == ['--pairs']


sys.exit(run([test_sweeps_and_reports, test_names_a_class_for_every_fault, test_goes_on_where_it_was_interrupted,
              test_fails_where_a_part_does, test_a_simulator_that_dies_is_a_failure, test_brings_the_rarest_pairs_together]))
