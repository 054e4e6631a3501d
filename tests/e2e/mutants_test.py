"""The quick ones of the planted bugs are found by the simulator: tests/mutants/run --quick. And the page that tells which
rule each of them breaks names those there are."""
import glob
import os
import re
import subprocess
import sys

from cluster import ROOT

MUTANTS = os.path.join(ROOT, 'tests', 'mutants')
PAGE = os.path.join(ROOT, 'docs', 'design', 'rules-and-planted-bugs.md')


def differences(page, names):
    """In words: what looks like the name of a planted bug on the page and is none, and those it does not name."""
    named = set(re.findall(r'`([a-z_]+/[a-z0-9_]+)`', page))
    return ([f'{name} is no planted bug' for name in sorted(named - names)] +
            [f'{name} is named nowhere' for name in sorted(names - named)])


def the_page_names_them_all():
    assert differences('`a/b_1`, `a/d`; `src/a/b.cc`', {'a/b_1', 'a/c'}) == ['a/d is no planted bug', 'a/c is named nowhere']
    files = glob.glob(os.path.join(MUTANTS, '**', '*.mutant'), recursive=True)
    with open(PAGE, encoding='utf-8') as file:
        wrong = differences(file.read(), {os.path.relpath(path, MUTANTS).removesuffix('.mutant') for path in files})
    for line in wrong:
        print(f'{os.path.relpath(PAGE, ROOT)}: {line}')
    return bool(files) and not wrong


named = the_page_names_them_all()
done = subprocess.run([sys.executable, os.path.join(MUTANTS, 'run'), '--quick', '--no-build'],
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
print(done.stdout)
told = re.search(r'^(\d+) found, (\d+) survived(?:, (\d+) could not be planted)?$', done.stdout, re.M)
found = int(told.group(1)) if told else 0
missed = int(told.group(2)) + int(told.group(3) or 0) if told else 1
print(f'{found + named} passed, {missed + (not named)} failed')
sys.exit(done.returncode or int(not named))
