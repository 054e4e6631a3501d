"""Ports for what a test starts. A port is this process's until it ends, also in the eyes of other tests that run
meanwhile, and none is in the range from which connections take theirs, so that it can be given back and asked for
again by a node that restarts."""
import random
import socket

HIGHEST = 20000  # connections begin at 32768
USUAL = range(1100, 2768)  # so that what lies 20000 and 30000 above is below that too

drawn = random.SystemRandom()  # whatever the seed of the test
signs = []


def reserve(port):
    """The sign is a socket without a file: it is gone with the process, however that ends."""
    sign = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sign.bind(f'\0quorate-test-port-{port}')
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', port))
    except OSError:
        sign.close()
        return False
    signs.append(sign)
    return True


def free_port():
    for _ in range(1000):
        port = drawn.randrange(10000, HIGHEST)
        if reserve(port):
            return port
    raise RuntimeError('no free port')


def dev_port():
    """For `quorate dev --port`: its nodes listen there, and 20000 and 30000 above, with their peers one above each."""
    for _ in range(1000):
        port = drawn.choice(USUAL)
        if all(reserve(port + above + peer) for above in (0, 20000, 30000) for peer in (0, 1)):
            return port
    raise RuntimeError('no free ports')
