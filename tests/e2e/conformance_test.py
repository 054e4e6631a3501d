"""etcdctl, the JSON gateway and our own verbs against our own cluster: every answer must be etcd's."""
import os
import shutil
import signal
import subprocess
import sys

from cluster import QUORATE, ROOT

if not shutil.which('etcdctl'):
    print('FAIL: etcdctl is missing (package etcd-client): tools/install-dependencies --tests installs it')
    print('0 passed, 1 failed')
    sys.exit(1)
MOST = 600  # seconds; a loaded machine takes a tenth of it
run = subprocess.Popen([sys.executable, os.path.join(ROOT, 'tests', 'conformance', 'conformance.py'), '--quorate', QUORATE])
try:
    sys.exit(run.wait(MOST))
except subprocess.TimeoutExpired:
    run.send_signal(signal.SIGINT)  # it stops its cluster
    run.wait(30)
    print(f'FAIL: not done within {MOST} s; the last line above is the last thing that was done')
    print('0 passed, 1 failed')
    sys.exit(1)
