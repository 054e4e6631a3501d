"""The quick ones of the planted bugs are found by the simulator: tests/mutants/run --quick."""
import os
import re
import subprocess
import sys

from cluster import ROOT

done = subprocess.run([sys.executable, os.path.join(ROOT, 'tests', 'mutants', 'run'), '--quick', '--no-build'],
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
print(done.stdout)
told = re.search(r'^(\d+) found, (\d+) survived(?:, (\d+) could not be planted)?$', done.stdout, re.M)
found = int(told.group(1)) if told else 0
missed = int(told.group(2)) + int(told.group(3) or 0) if told else 1
print(f'{found} passed, {missed} failed')
sys.exit(done.returncode)
