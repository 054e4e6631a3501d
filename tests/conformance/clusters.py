"""Starts and stops a local cluster: three nodes of etcd, or of our own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import types
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from ports import dev_port, free_port  # noqa: E402

START_SECONDS = 30


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
    ports = [(free_port(), free_port()) for _ in range(nodes)]
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
    process = subprocess.Popen([binary, "dev", "--nodes", str(nodes), "--data", data, "--port", str(dev_port()), *extra],
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
