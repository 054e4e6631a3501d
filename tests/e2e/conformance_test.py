"""etcdctl, the JSON gateway and our own verbs against our own cluster: every answer must be etcd's."""
import os
import shutil
import subprocess
import sys

from cluster import QUORATE, ROOT

if not shutil.which('etcdctl'):
    print('FAIL: etcdctl is missing (package etcd-client): tools/install-dependencies --tests installs it')
    print('0 passed, 1 failed')
    sys.exit(1)
sys.exit(subprocess.run([sys.executable, os.path.join(ROOT, 'tests', 'conformance', 'conformance.py'),
                         '--quorate', QUORATE]).returncode)
