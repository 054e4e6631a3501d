"""Power losses: what a node has written, renamed and removed since it last synced is undone when it is killed."""
import glob
import os
import struct

from harm import BESIDE, OF_DISKS, NoEffect, fault, pause, up_again, victim

ENTRY = struct.Struct('=IIQQQQ')  # disk/undo.h
WROTE, RENAMED, REMOVED, SYNCED = 1, 2, 3, 4


def read_journal(path):
    """(position, kind, inode, offset, size, words, content) of each entry that is not durable."""
    try:
        with open(path, 'rb') as file:
            bytes_ = file.read()
    except FileNotFoundError:
        return []
    entries, durable, at = [], {}, 0
    while at + ENTRY.size <= len(bytes_):
        kind, text, inode, offset, content, size = ENTRY.unpack_from(bytes_, at)
        body = at + ENTRY.size
        if body + text + content > len(bytes_):
            break  # killed while it wrote this one, and had not done it
        if kind == SYNCED:
            durable[inode] = max(durable.get(inode, 0), offset)
        else:
            words = bytes_[body:body + text].decode().split('\0')
            entries.append((at, kind, inode, offset, size, words, bytes_[body + text:body + text + content]))
        at = body + text + content
    return [e for e in entries if e[0] >= durable.get(e[2], 0)]


def free(path):
    """Whether a name can be given back: its directory may be gone as well."""
    return not os.path.exists(path) and os.path.isdir(os.path.dirname(path))


def undo_name(kind, words):
    if kind == REMOVED:
        path, held = words
        if os.path.exists(held) and free(path):
            os.link(held, path)
        return
    source, target, held = words
    if os.path.exists(target) and free(source):
        os.rename(target, source)
        if held:
            os.link(held, target)


def undo_write(path, offset, size, content):
    with open(path, 'r+b') as file:
        file.seek(offset)
        file.write(content)
        if os.path.getsize(path) > size:
            file.truncate(size)


def lose_power(node, rng):
    """Kills the node and undoes, of each file and each directory, what came behind some moment since its last sync. Tells
    how many operations that were."""
    node.kill()
    journal = node.disk.path + '.undo'
    of = {}
    for entry in read_journal(journal):
        of.setdefault(entry[2], []).append(entry)
    undone = []
    for entries in of.values():
        undone += entries[0 if rng.random() < 0.7 else rng.randrange(len(entries) + 1):]
    undone.sort(reverse=True, key=lambda e: e[0])
    for _, kind, _, _, _, words, _ in undone:
        if kind != WROTE:
            undo_name(kind, words)
    paths = {os.stat(path).st_ino: path for at, _, files in os.walk(node.data) for path in (os.path.join(at, f) for f in files)}
    for _, kind, inode, offset, size, _, content in undone:
        if kind == WROTE and inode in paths:
            undo_write(paths[inode], offset, size, content)
    for path in glob.glob(node.disk.path + '.held-*') + [journal]:
        if os.path.exists(path):
            os.remove(path)
    node.disk.heal()
    return len(undone)


def power_fails(cluster, nodes, rng, stretch):
    """Nothing that was acknowledged is lost: the nodes must start again and have it all."""
    for node in nodes:
        node.disk.set(keep=1)
    pause(rng, 0.5, 3, stretch)
    for node in nodes:
        node.kill()
    undone = sum(lose_power(node, rng) for node in nodes)
    for node in nodes:
        node.start()
    for node in nodes:
        up_again(node)
    if not undone:
        raise NoEffect('all was synced')
    cluster.note('operations of disks undone by power losses', undone)


@fault(OF_DISKS, BESIDE)
def power_loss(cluster, rng, stretch):
    with victim(cluster, rng) as node:
        power_fails(cluster, [node], rng, stretch)


@fault(OF_DISKS)
def power_loss_of_all(cluster, rng, stretch):
    power_fails(cluster, list(cluster.nodes), rng, stretch)
