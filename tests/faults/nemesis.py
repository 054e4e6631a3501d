"""What is done to a cluster under load. A fault takes (cluster, rng, stretch), does its harm, and takes it back.

Each waits with pause(), so that a run can be ended early. `stretch` scales how long harm lasts. A fault raises Trouble
when a node reacts to harm as it must not.
"""
import glob
import http.client
import os
import shutil
import subprocess
import time

from nodes import PATIENCE, Trouble, call, wait_for

FAULTS = {}
OF_DISKS = ('slow_disk_of_leader', 'slow_disks', 'failed_sync', 'full_disk', 'torn_write')
BACKDROPS = ('slow_links', 'lossy_links', 'slow_disks')  # may last while others happen


def fault(function):
    FAULTS[function.__name__] = function
    return function


def pause(rng, low, high, stretch=1.0):
    time.sleep(rng.uniform(low, high) * stretch)


def follower(cluster, rng):
    leader = cluster.leader()
    return rng.choice([n for n in cluster.nodes if n is not leader])


def up_again(node):
    """A started node must come to answer; if it ends instead, that is Trouble."""
    def answers():
        if not node.running():
            raise Trouble(f'{node.name} ended after its start: {node.last_words()}')
        return node.status(2)
    wait_for(f'{node.name} to answer after its start', answers)


def up_with_room(node):
    """Whether a node stops or waits on a full disk is its choice; once there is room it must work, after a start if it
    stopped. Ending may take a moment."""
    time.sleep(0.2)
    wait_for(f'{node.name} to answer or to end on a full disk', lambda: not node.running() or node.status(2))
    if not node.running():
        if node.process.returncode < 0:
            raise Trouble(f'{node.name} died of signal {-node.process.returncode} on a full disk: {node.last_words()}')
        node.start()
    up_again(node)


def disarm(cluster, node):
    """Clears the alarms that a full disk raised, once the node has seen that there is room again."""
    wait_for(f'{node.name} to have room again', lambda: node.metric('quorate_low_on_space') == 0)
    for alarm in cluster.call('/v3/maintenance/alarm', {}).get('alarms', []):
        cluster.call('/v3/maintenance/alarm', {**alarm, 'action': 'DEACTIVATE'})


def kill(node, rng, stretch):
    node.kill()
    pause(rng, 0.05, 1.5, stretch)
    node.start()
    up_again(node)


@fault
def kill_leader(cluster, rng, stretch):
    kill(cluster.leader(), rng, stretch)


@fault
def kill_follower(cluster, rng, stretch):
    kill(follower(cluster, rng), rng, stretch)


@fault
def kill_each_leader(cluster, rng, stretch):
    for _ in range(4):
        kill(cluster.leader(), rng, 0.1)


@fault
def kill_all(cluster, rng, stretch):
    for node in cluster.nodes:
        node.kill()
    pause(rng, 0, 0.5, stretch)
    for node in cluster.nodes:
        node.start()
    for node in cluster.nodes:
        up_again(node)


@fault
def stop_leader(cluster, rng, stretch):
    """As an operator does it: SIGTERM, with its handing over of leadership."""
    leader = cluster.leader()
    leader.process.terminate()
    leader.process.wait(PATIENCE)
    if leader.process.returncode != 0:
        raise Trouble(f'{leader.name} ended with {leader.process.returncode} on SIGTERM: {leader.last_words()}')
    pause(rng, 0, 0.5, stretch)
    leader.start()
    up_again(leader)


def freeze(node, rng, low, high, stretch):
    node.pause()
    pause(rng, low, high, stretch)
    node.resume()


@fault
def freeze_leader(cluster, rng, stretch):
    freeze(cluster.leader(), rng, 0.3, 4, stretch)


@fault
def freeze_follower(cluster, rng, stretch):
    freeze(follower(cluster, rng), rng, 0.3, 4, stretch)


@fault
def freeze_for_100_ms(cluster, rng, stretch):
    for _ in range(5):
        freeze(cluster.leader(), rng, 0.1, 0.1, 1)
        pause(rng, 0.1, 0.5)


@fault
def freeze_all(cluster, rng, stretch):
    for node in cluster.nodes:
        node.pause()
    pause(rng, 0.3, 2, stretch)
    for node in cluster.nodes:
        node.resume()


def cut(cluster, pairs, rng, stretch):
    cluster.links('block', pairs)
    pause(rng, 0.5, 4, stretch)
    cluster.links('pass', pairs)


def others(cluster, node):
    return [n for n in cluster.nodes if n is not node]


@fault
def isolate_leader(cluster, rng, stretch):
    leader = cluster.leader()
    rest = others(cluster, leader)
    cut(cluster, {(leader, n) for n in rest} | {(n, leader) for n in rest}, rng, stretch)


@fault
def isolate_follower(cluster, rng, stretch):
    node = follower(cluster, rng)
    rest = others(cluster, node)
    cut(cluster, {(node, n) for n in rest} | {(n, node) for n in rest}, rng, stretch)


@fault
def leader_hears_nothing(cluster, rng, stretch):
    leader = cluster.leader()
    cut(cluster, {(n, leader) for n in others(cluster, leader)}, rng, stretch)


@fault
def leader_is_not_heard(cluster, rng, stretch):
    leader = cluster.leader()
    cut(cluster, {(leader, n) for n in others(cluster, leader)}, rng, stretch)


@fault
def one_link_cut(cluster, rng, stretch):
    """The leader and one follower do not hear each other; others hear both."""
    leader = cluster.leader()
    node = rng.choice(others(cluster, leader))
    cut(cluster, {(leader, node), (node, leader)}, rng, stretch)


@fault
def halves(cluster, rng, stretch):
    nodes = cluster.nodes[:]
    rng.shuffle(nodes)
    a, b = nodes[:len(nodes) // 2], nodes[len(nodes) // 2:]
    cut(cluster, {(x, y) for x in a for y in b} | {(y, x) for x in a for y in b}, rng, stretch)


@fault
def flapping_link(cluster, rng, stretch):
    leader = cluster.leader()
    node = rng.choice(others(cluster, leader))
    pairs = {(leader, node), (node, leader)} if rng.random() < 0.5 else {(leader, node)}
    for _ in range(8):
        cluster.links('block', pairs)
        pause(rng, 0.05, 0.4)
        cluster.links('pass', pairs)
        pause(rng, 0.02, 0.2)


@fault
def slow_links(cluster, rng, stretch):
    cluster.links(f'slow {rng.uniform(1, 15):.1f} {rng.uniform(0, 10):.1f} 0 0')
    pause(rng, 1, 4, stretch)
    cluster.links('pass')


@fault
def lossy_links(cluster, rng, stretch):
    """A lost packet is sent again after TCP's shortest time-out: 200 ms, in which nothing behind it arrives."""
    cluster.links(f'slow 0.2 0.5 {rng.randint(1, 5)} 200')
    pause(rng, 1, 4, stretch)
    cluster.links('pass')


@fault
def broken_connections(cluster, rng, stretch):
    for _ in range(10):
        a, b = rng.sample(cluster.nodes, 2)
        cluster.proxy.say('reset', a.name, b.name)
        pause(rng, 0.01, 0.3)


@fault
def slow_disk_of_leader(cluster, rng, stretch):
    leader = cluster.leader()
    leader.disk.set(sync_delay_us=rng.randint(20_000, 800_000))
    pause(rng, 1, 4, stretch)
    leader.disk.heal()


@fault
def slow_disks(cluster, rng, stretch):
    for node in cluster.nodes:
        node.disk.set(sync_delay_us=rng.randint(1_000, 30_000))
    pause(rng, 1, 4, stretch)
    for node in cluster.nodes:
        node.disk.heal()


def must_end(node, why):
    wait_for(f'{node.name} to stop because of {why}', lambda: not node.running())
    if node.process.returncode <= 0:
        raise Trouble(f'{node.name} ended with {node.process.returncode} because of {why}: {node.last_words()}')


@fault
def failed_sync(cluster, rng, stretch):
    """EIO of fdatasync: nothing that was not synced before is to be trusted, so the node must stop, and say why."""
    node = rng.choice(cluster.nodes)
    node.disk.set(fail_sync=1)
    must_end(node, 'a failed fdatasync')
    if 'fdatasync' not in node.last_words() and 'fsync' not in node.last_words():
        raise Trouble(f'{node.name} does not tell of the failed sync: {node.last_words()}')
    node.disk.heal()
    node.start()
    up_again(node)


@fault
def full_disk(cluster, rng, stretch):
    node = rng.choice(cluster.nodes)
    node.disk.set(full=1)
    pause(rng, 0.5, 3, stretch)
    node.disk.heal()
    up_with_room(node)


@fault
def full_file_system(cluster, rng, stretch):
    """The same with a file system that is really full, and takes part of a write: a small one in memory."""
    node = follower(cluster, rng)
    node.kill()
    aside = node.data + '.aside'
    os.rename(node.data, aside)
    os.mkdir(node.data)
    mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64m', 'quorate-faults', node.data],
                             stderr=subprocess.DEVNULL).returncode == 0
    try:
        shutil.copytree(aside, node.data, dirs_exist_ok=True)
        node.start()
        up_again(node)
        filler = os.path.join(node.data, 'filler')
        if mounted:  # else: no right to mount, and the node was merely moved
            with open(filler, 'wb', buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(1 << 16))
                except OSError:
                    pass
        pause(rng, 0.5, 3, stretch)
        if mounted:
            os.remove(filler)
        up_with_room(node)
    finally:
        node.kill()
        shutil.rmtree(aside)
        shutil.copytree(node.data, aside)
        if mounted:
            subprocess.run(['umount', node.data], check=True)
        shutil.rmtree(node.data)
        os.rename(aside, node.data)
    node.start()
    up_again(node)
    disarm(cluster, node)


@fault
def torn_write(cluster, rng, stretch):
    """The node dies within a write to its log; some of the sectors got to the disk. That is no damage."""
    node = rng.choice(cluster.nodes)
    node.disk.set(tear_seed=rng.randrange(1 << 32), tear=rng.randint(1, 40))
    wait_for(f'{node.name} to die within a write', lambda: not node.running())
    node.disk.heal()
    node.start()
    up_again(node)


@fault
def transfer(cluster, rng, stretch):
    for _ in range(3):
        leader = cluster.leader()
        heir = rng.choice(others(cluster, leader))
        try:
            call(leader.endpoint, '/v3/maintenance/transfer-leadership', {'targetID': heir.status()['header']['member_id']})
        except (OSError, http.client.HTTPException, ValueError):
            pass  # refused, or leader no more: the cluster goes on either way
        pause(rng, 0.1, 0.6)


def members(cluster):
    return cluster.call('/v3/cluster/member/list', {})['members']


def change(cluster, what, path, request, done):
    """Asks for a change until the list of members shows it: answers get lost, and refusals are for trying again."""
    def one():
        if done():
            return True
        cluster.call(path, request)
        return done()
    wait_for(what, one, every=0.2)


def remove(cluster, node):
    change(cluster, f'{node.name} to be removed', '/v3/cluster/member/remove', {'ID': str(node.id)},
           lambda: all(int(m['ID']) != node.id for m in members(cluster)))
    cluster.nodes.remove(node)
    cluster.changed = time.monotonic()
    cluster.on_change()
    node.kill()
    shutil.rmtree(node.data, ignore_errors=True)


def add(cluster):
    """A learner that catches up and is promoted, as a running cluster should grow."""
    node = cluster.new_node()
    url = f'http://{node.address}'

    def entry():
        return next((m for m in members(cluster) if url in m.get('peerURLs', [])), None)
    change(cluster, f'{node.name} to be added', '/v3/cluster/member/add', {'peerURLs': [url], 'isLearner': True}, entry)
    node.id = int(entry()['ID'])
    node.join = True
    cluster.nodes.append(node)
    node.start()
    up_again(node)
    change(cluster, f'{node.name} to be promoted', '/v3/cluster/member/promote', {'ID': str(node.id)},
           lambda: not entry().get('isLearner', False))
    cluster.changed = time.monotonic()
    cluster.on_change()
    return node


@fault
def grow_and_shrink(cluster, rng, stretch):
    add(cluster)
    remove(cluster, rng.choice(cluster.nodes))


@fault
def shrink_and_grow(cluster, rng, stretch):
    if len(cluster.nodes) < 3:
        return
    remove(cluster, rng.choice([n for n in cluster.nodes if n is not cluster.nodes[0]]))
    add(cluster)


@fault
def wiped_member(cluster, rng, stretch):
    """A disk was lost: the member is removed, and another takes its place."""
    node = follower(cluster, rng)
    node.kill()
    remove(cluster, node)
    add(cluster)


def damage(node, rng):
    """Flips a bit of a batch in the middle of the newest segment (docs/design/formats.md): neither its checkpoint nor
    its last batch. Tells where, and whether that batch holds no record. None: there is no such batch."""
    folder = os.path.join(node.data, 'log')
    segments = sorted(f for f in os.listdir(folder) if f.startswith('wal-'))
    if not segments:
        return None, False
    path = os.path.join(folder, segments[-1])
    number = int(segments[-1][4:])
    with open(path, 'r+b') as file:
        content = file.read()
        batches = [at for at in range(512, len(content), 512) if content[at:at + 4] == b'WABT' and
                   int.from_bytes(content[at + 8:at + 16], 'little') == number and
                   int.from_bytes(content[at + 24:at + 32], 'little') == at]
        if len(batches) < 4:
            return None, False
        at = rng.choice(batches[1:-1])
        length = 48 + int.from_bytes(content[at + 32:at + 40], 'little')
        where = at + rng.randrange(4, length)
        file.seek(where)
        file.write(bytes([content[where] ^ (1 << rng.randrange(8))]))
        plain = content[at + 45] & 1 == 1
    return f'{segments[-1]} at {where}', plain


def refuses_since_members_changed(cluster, node):
    """A node whose state was last flushed while it was one of two voters knows of no quorum without it, and says so.
    That can be only for a while behind a change of members."""
    if time.monotonic() - cluster.changed > 30:
        return False
    wait_for(f'{node.name} to answer or to refuse', lambda: not node.running() or node.status(2))
    return not node.running() and 'without this node there is no quorum' in node.last_words()


def damage_state(node, rng):
    """Takes from the state of a keyspace what shows when it is opened. Tells what; None: there is no table yet."""
    states = glob.glob(os.path.join(node.data, 'state', '*', 'live-*'))
    manifests = glob.glob(os.path.join(states[0], 'MANIFEST-*')) if states else []
    tables = glob.glob(os.path.join(states[0], '*.sst')) if states else []
    if not manifests or not tables:
        return None
    what = rng.choice(('manifest', 'table', 'directory'))
    if what == 'manifest':
        with open(manifests[0], 'r+b') as file:
            file.write(os.urandom(64))
    elif what == 'table':
        os.remove(rng.choice(tables))
    else:
        shutil.rmtree(os.path.join(node.data, 'state'))
    return what


@fault
def damaged_state(cluster, rng, stretch):
    """The state below the log is damaged or gone. Where the log was cut behind it the node must say that it repairs, and
    have again what it lost (protocols that can not: refuse to start; then it is replaced); where it was not, go on."""
    node = follower(cluster, rng)
    node.kill()
    repairs, repaired = node.times_said('REPAIR'), node.times_said('has again what it lost')
    what = damage_state(node, rng)
    node.start()
    wait_for(f'{node.name} to answer or to end', lambda: not node.running() or node.status(2))
    if node.running():
        if node.times_said('REPAIR') > repairs:
            wait_for(f'{node.name} to have again what it lost with the {what} of its state',
                     lambda: node.times_said('has again what it lost') > repaired)
        return
    excused = (refuses_since_members_changed(cluster, node) if cluster.protocol == 'raft' else
               'can not go on without its entries' in node.last_words())
    if what is None or not excused:
        raise Trouble(f'{node.name} ended; the {what} of its state was damaged: {node.last_words()}')
    remove(cluster, node)
    add(cluster)


@fault
def damaged_log(cluster, rng, stretch):
    """A flipped bit in the middle of the log. Where it hit no record (a vote), the node must go on, say where and that it
    repairs, and have again what it lost; else it must refuse to start and say where; then it is replaced."""
    node = follower(cluster, rng)
    node.kill()
    repaired = node.times_said('has again what it lost')
    where, plain = damage(node, rng)
    node.start()
    if where is None:
        up_again(node)
        return
    if plain and cluster.protocol == 'raft':
        if refuses_since_members_changed(cluster, node):
            remove(cluster, node)
            add(cluster)
            return
        up_again(node)
        if not node.times_said(f'{where.split()[0]}, offset', 'REPAIR'):
            raise Trouble(f'{node.name} does not tell that it repairs {where}: {node.last_words()}')
        wait_for(f'{node.name} to have again what it lost in {where}',
                 lambda: node.times_said('has again what it lost') > repaired)
        return
    try:
        must_end(node, f'the damage in {where}')
    except Trouble as trouble:
        raise Trouble(f'{trouble}; its log was damaged in {where}') from None
    if where.split()[0] not in node.last_words():
        raise Trouble(f'{node.name} does not name {where}: {node.last_words()}')
    remove(cluster, node)
    add(cluster)
