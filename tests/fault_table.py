"""Faults as one would name them: the simulator's kinds of each (src/sim/faults.h), the faults of real processes
(tests/faults), and, from a night's pairs.csv, how often each kind met others. `tests/nightly --table DIR` prints it;
tests/e2e/nightly_test.py checks that nothing is missing."""
import csv

ANY = 'any other'  # in place of the second kind of a pair: seeds in which a kind met another, whichever

# (class, the simulator's kinds, the faults of real processes)
CLASSES = [
    ('loss', 'loss', 'lossy_links broken_connections'),
    ('duplication', 'duplication', ''),
    ('reordering', 'reordering', ''),
    ('delay', 'delay', 'slow_links'),
    ('clogging: held back, then all at once', 'clog hold_back', ''),
    ('corruption of packets', 'corruption', 'corrupted_links'),
    ('symmetric partition', 'partition isolation', 'isolate_leader isolate_follower halves'),
    ('one-way partition', 'one_way', 'leader_hears_nothing leader_is_not_heard'),
    ('partial partition', 'partial late_bridge', 'one_link_cut'),
    ('flapping partition', 'flapping', 'flapping_link'),
    ('drift of clocks', 'drift', ''),
    ('jump of a clock', 'clock_jump', ''),
    ('pause', 'pause sleeping_leader', 'freeze_leader freeze_follower freeze_for_100_ms freeze_all'),
    ('crash', 'kill', 'kill_leader kill_follower kill_each_leader kill_all'),
    ('orderly stop', '', 'stop_leader'),
    ('crash with loss of what was not synced', 'power_loss power_cut crash_after_send restart_all',
     'power_loss power_loss_of_all'),
    ('torn write', 'torn_write', 'torn_write'),
    ('writes reordered between syncs', 'reordered_writes', ''),
    ('bit flip', 'bit_flip', 'damaged_log damaged_tail damaged_state'),
    ('misdirected write', 'misdirected_write', ''),
    ('misdirected read', 'misdirected_read misread_sector', ''),
    ('stale read', 'stale_read', ''),
    ('lost write', 'lost_write', ''),
    ('EIO', 'io_error unreadable_sector', ''),
    ('failed fsync that then looks clean', 'failed_sync failed_directory_sync', 'failed_sync'),
    ('full disk', 'full_disk', 'full_disk full_file_system'),
    ('lost directory entry', 'lost_file', 'damaged_tail damaged_state'),
    ('slow disk', 'slow_disk', 'slow_disk_of_leader slow_disks'),
    ('membership change', 'membership', 'grow_and_shrink shrink_and_grow'),
    ("replacement of a member's machine", 'replacement', 'wiped_member'),
    ('leadership change', 'transfer leader_hunt usurper deaf_leader', 'transfer'),
    ('snapshot interrupted', 'snapshot_cut', ''),
    ('version skew', 'version_skew', ''),
]
BEYOND = [  # what the protocols promise to survive: drawn only where they are asked for, not by a night's pairs
    ('drift beyond the bound', 'wild_clock', ''),
    ('corruption that no checksum tells', 'undetected_corruption', ''),
]


def read_pairs(file):
    """({kind: seeds in which it met another}, {kind: (seeds, the partner it met least)}) of a pairs.csv."""
    met, rarest = {}, {}
    for first, second, seeds in list(csv.reader(file))[1:]:
        if second == ANY:
            met[first] = int(seeds)
            continue
        for kind, partner in ((first, second), (second, first)):
            rarest[kind] = min(rarest.get(kind, (int(seeds), partner)), (int(seeds), partner))
    return met, rarest


def code(names):
    return ', '.join(f'`{name}`' for name in names)


def table(met, rarest):
    """Its lines, as Markdown: one for each kind, the classes in front of theirs."""
    yield '| fault | in the simulator | on real processes | met another in seeds | its rarest partner | seeds |'
    yield '|-|-|-|-:|-|-:|'
    for name, kinds, real in CLASSES:
        for kind in kinds.split() or ['']:
            seeds, partner = rarest.get(kind, ('', ''))
            yield ' | '.join(['| ' + name, code(kind.split()), code(real.split()), number(met.get(kind, '')),
                              code(partner.split()), number(seeds)]) + ' |'
            name = real = ''


def number(seeds):
    return f'{seeds:,}' if seeds != '' else ''
