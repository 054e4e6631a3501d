#!/usr/bin/env python3
"""libquorate for other projects: installed, found by CMake, built against, and the example run on three nodes."""
import os
import shutil
import subprocess
import sys
import tempfile

from cluster import ROOT, run

BUILD = os.environ.get('QUORATE_BUILD', os.path.join(ROOT, 'build', 'release'))
TEMPORARY = tempfile.mkdtemp(prefix='package-')


def command(*words):
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    assert done.returncode == 0, f'{words}: {done.stdout}'


def compiler():
    """What the library was built with: a sanitizer is the compiler's own."""
    with open(os.path.join(BUILD, 'CMakeCache.txt'), encoding='utf-8') as cache:
        return next(line.split('=', 1)[1].strip() for line in cache if line.startswith('CMAKE_CXX_COMPILER:'))


def the_example_builds_against_the_installed_package_and_counts():
    prefix, build = os.path.join(TEMPORARY, 'prefix'), os.path.join(TEMPORARY, 'build')
    command('cmake', '--install', BUILD, '--component', 'library', '--prefix', prefix)
    command('cmake', '-S', os.path.join(ROOT, 'examples', 'counter'), '-B', build, '-G', 'Ninja',
            '-DCMAKE_BUILD_TYPE=Release', f'-DCMAKE_CXX_COMPILER={compiler()}', f'-DCMAKE_PREFIX_PATH={prefix}')
    command('cmake', '--build', build)
    nodes = [subprocess.Popen([os.path.join(build, 'counter'), str(i), os.path.join(TEMPORARY, f'n{i}')], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
             for i in (1, 2, 3)]
    try:
        for node, says, hears in ((0, '40', '40'), (1, 'get', '40'), (2, '2', '42'), (0, 'get', '42')):
            nodes[node].stdin.write(says + '\n')
            nodes[node].stdin.flush()
            answer = next(line for line in nodes[node].stdout if not line.startswith('[')).strip()  # [: of the log
            assert answer == hears, f'{says} at node {node + 1}: {answer}'
    finally:
        for node in nodes:
            node.stdin.close()
        for node in nodes:
            node.wait(20)


def main():
    try:
        return run([the_example_builds_against_the_installed_package_and_counts])
    finally:
        shutil.rmtree(TEMPORARY, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
