"""Hunts a planted bug on real processes: rounds of tests/soak, until something is wrong."""
import dataclasses
import json
import os
import re
import shlex
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class HarnessFailed(Exception):
    pass


@dataclasses.dataclass
class Found:
    by: str  # the violation; empty: none
    rounds: int
    faults: int  # that were begun
    seconds: float


def hunt(binary, arguments, rounds):
    """The report goes beside the binary."""
    out = os.path.join(os.path.dirname(binary), 'soak')
    command = [os.path.join(ROOT, 'tests', 'soak'), *shlex.split(arguments), '--rounds', str(rounds), '--out', out]
    begun = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, 'QUORATE': binary})
    seconds = time.monotonic() - begun
    if done.returncode not in (0, 1):
        raise HarnessFailed(f'{shlex.join(command)} says:\n{done.stdout}')
    with open(os.path.join(out, 'report.json'), encoding='utf-8') as file:
        report = json.load(file)
    violation = report['violations'][0] if report['violations'] else ''
    if 'Traceback' in violation:
        raise HarnessFailed(violation)
    judged = re.findall(r'round \d+: .* (\d+) violations$', done.stdout, re.M)
    unfinished = violation and (not judged or judged[-1] == '0')  # a node did what it must not
    faults = re.findall(r'^ +[\d.]+ s  (?!round )', done.stdout, re.M)
    return Found(re.split(r': \d{4}-\d\d-\d\d |\n', violation)[0], len(judged) + bool(unfinished), len(faults), seconds)
