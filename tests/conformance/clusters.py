"""Starts and stops a local cluster: three nodes of etcd, or of our own."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
import types
import urllib.request

START_SECONDS = 30


def free_port():
    """A port P such that P, P+20000 and P+30000 are free."""
    for _ in range(1000):
        port = random.randrange(11000, 32000)
        try:
            for p in (port, port + 20000, port + 30000):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", p))
            return port
        except OSError:
            continue
    raise SystemExit("no free ports on 127.0.0.1")


def any_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_healthy(endpoints, processes):
    """Until every endpoint says that it is healthy."""
    deadline = time.monotonic() + START_SECONDS
    for endpoint in endpoints:
        while True:
            try:
                with urllib.request.urlopen("http://%s/health" % endpoint, timeout=2) as answer:
                    if json.load(answer).get("health") == "true":
                        break
            except (OSError, ValueError):
                pass
            for process in processes:
                if process.poll() is not None:
                    raise SystemExit("a server ended with status %d while starting" % process.returncode)
            if time.monotonic() > deadline:
                raise SystemExit("%s is not healthy after %d s" % (endpoint, START_SECONDS))
            time.sleep(0.05)


def stop(processes):
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def etcd(directory, binary="etcd", nodes=3, extra=()):
    ports = [(any_port(), any_port()) for _ in range(nodes)]
    initial = ",".join("n%d=http://127.0.0.1:%d" % (i + 1, peer) for i, (_, peer) in enumerate(ports))
    processes = []
    try:
        for i, (client, peer) in enumerate(ports):
            log = open(os.path.join(directory, "n%d.log" % (i + 1)), "w")
            client_url, peer_url = "http://127.0.0.1:%d" % client, "http://127.0.0.1:%d" % peer
            processes.append(subprocess.Popen(
                [binary, "--name", "n%d" % (i + 1), "--data-dir", os.path.join(directory, "n%d" % (i + 1)),
                 "--listen-client-urls", client_url, "--advertise-client-urls", client_url,
                 "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
                 "--initial-cluster", initial, "--initial-cluster-state", "new", "--log-level", "error", *extra],
                stdout=log, stderr=log))
            log.close()
        endpoints = ["127.0.0.1:%d" % client for client, _ in ports]
        wait_healthy(endpoints, processes)
        yield types.SimpleNamespace(endpoints=endpoints, pids=[p.pid for p in processes])
    finally:
        stop(processes)


@contextlib.contextmanager
def quorate(directory, binary, nodes=3, extra=()):
    data = os.path.join(directory, "data")
    log = open(os.path.join(directory, "dev.log"), "w")
    process = subprocess.Popen([binary, "dev", "--nodes", str(nodes), "--data", data, "--port", str(free_port()), *extra],
                               stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    log.close()
    try:
        described = os.path.join(data, "cluster.json")
        deadline = time.monotonic() + START_SECONDS
        while not os.path.exists(described):
            if process.poll() is not None or time.monotonic() > deadline:
                with open(os.path.join(directory, "dev.log"), encoding="utf-8", errors="replace") as text:
                    raise SystemExit("%s dev did not start:\n%s" % (binary, text.read()[-2000:]))
            time.sleep(0.05)
        with open(described, encoding="utf-8") as file:
            nodes_ = json.load(file)["nodes"]
        endpoints = [node["client"].removeprefix("http://") for node in nodes_]
        wait_healthy(endpoints, [process])
        yield types.SimpleNamespace(endpoints=endpoints, pids=[node["pid"] for node in nodes_])
    finally:
        stop([process])


@contextlib.contextmanager
def start(args, directory):
    """By the flags of conformance.py."""
    if args.endpoint:
        yield types.SimpleNamespace(endpoints=args.endpoint.split(","), pids=[])
    elif args.etcd:
        with etcd(directory) as cluster:
            time.sleep(6)  # etcd changes its membership only after five seconds without a lost peer
            yield cluster
    else:
        with quorate(directory, os.path.abspath(args.quorate)) as cluster:
            yield cluster
