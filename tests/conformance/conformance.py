#!/usr/bin/env python3
"""Runs the commands in cases/ against a cluster and compares with golden/, recorded from etcd itself.

  conformance.py --quorate build/quorate         start our own cluster, run etcdctl, then our own verbs
  conformance.py --etcd                          the same against etcd (checks the golden files)
  conformance.py --endpoint 127.0.0.1:2379       against a cluster that runs already (its keys are deleted!)
  conformance.py --etcd --record                 write the golden files

Ends with `N passed, N failed`; status 1 if any failed. A case file is a list of commands:

  > ctl get a -w json       run by etcdctl and, in a second round, by our own program: same golden output
  > etcdctl ... / > quorate ...   only by that one
  > http PATH JSON          POST to the JSON gateway; > http GET PATH
  | text                    standard input of the command above (which ends in <<); or: > ctl put k < text
  until N                   stop the command after N lines; meanwhile: leave it running until `> ctl wait`

{rev} is the store's revision, {base} that at the beginning of the file, {lease1} the first lease granted,
{follower} and {unstarted} members, {tmp} a directory. --at-leader becomes the leader's endpoint.
"""

import argparse
import difflib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import clusters
from normalise import Normaliser

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT = 20  # of a command


class Case:
    """One command of a case file."""

    def __init__(self, line, number):
        self.text, self.number, self.stdin = line, number, None
        self.keep_stdin = False
        body = line
        match = re.search(r" until (\d+)", body)
        self.until = int(match[1]) if match else None
        body = body[:match.start()] + body[match.end():] if match else body
        self.meanwhile = body.endswith(" meanwhile")
        body = body.removesuffix(" meanwhile")
        self.agree = body.endswith(" agree")
        body = body.removesuffix(" agree")
        if body.endswith(" <<"):
            body, self.stdin = body.removesuffix(" <<"), ""
        elif " < " in body and body.startswith("ctl put"):
            body, self.stdin = body.split(" < ", 1)
        self.who, _, self.body = body.partition(" ")

    @staticmethod
    def parse(path):
        cases = []
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                line = line.rstrip("\n")
                if line.startswith("> "):
                    cases.append(Case(line[2:], number))
                elif line.startswith("|"):
                    cases[-1].stdin += line[2:] + "\n"
                elif line and not line.startswith("#"):
                    raise SystemExit("%s:%d: expecting '> command', '| input' or '# comment'" % (path, number))
        return cases


class Process:
    """A command under way: collects lines, can be stopped after so many."""

    def __init__(self, argv, env, stdin, until):
        self.until, self.lines, self.errors = until, [], ""
        self.process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.stopped = threading.Event()
        # They never keep this program from ending.
        self.readers = [threading.Thread(target=read, daemon=True) for read in (self.read_out, self.read_err)]
        for reader in self.readers:
            reader.start()
        try:
            if stdin:
                self.process.stdin.write(stdin)
                self.process.stdin.flush()
            if not until:
                self.process.stdin.close()
        except BrokenPipeError:
            pass

    def read_out(self):
        for line in self.process.stdout:
            if self.until is None or len(self.lines) < self.until:
                self.lines.append(line)
            if self.until is not None and len(self.lines) == self.until and not self.stopped.is_set():
                self.stopped.set()
                self.process.send_signal(signal.SIGINT)

    def read_err(self):
        self.errors = self.process.stderr.read()

    def kill(self):
        """With what it has started: a child that lives on would keep the pipes open."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def finish(self):
        late = ""
        try:
            code = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self.process.wait()
            late = "killed: it did not end within %d s" % TIMEOUT
            if self.until:
                late += ", having printed %d of %d lines" % (len(self.lines), self.until)
        for reader in self.readers:
            reader.join(1)
        if any(reader.is_alive() for reader in self.readers):
            self.kill()
            late = late or "what it started did not end with it"
            for reader in self.readers:
                reader.join(1)
        self.errors += late
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        if self.stopped.is_set() and not late:
            return "".join(self.lines), "", 0
        return "".join(self.lines), self.errors, code


class Runner:
    def __init__(self, cluster, client, etcdctl, temporary):
        self.cluster, self.client, self.etcdctl, self.temporary = cluster, client, etcdctl, temporary
        self.environment = {**os.environ, "ETCDCTL_API": "3", "LC_ALL": "C.UTF-8"}
        for name in ("ETCDCTL_ENDPOINTS", "QUORATE_ENDPOINTS"):
            self.environment.pop(name, None)

    # ---- the cluster

    def ask(self, *words, endpoint=None):
        argv = [self.etcdctl, "--endpoints", endpoint or self.cluster.endpoints[0], *words]
        try:
            return subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=TIMEOUT).stdout
        except subprocess.TimeoutExpired:
            raise OSError("no answer within %d s to: %s" % (TIMEOUT, " ".join(argv))) from None

    def revision(self):
        return json.loads(self.ask("get", "x", "-w", "json"))["header"]["revision"]

    def members(self):
        return json.loads(self.ask("member", "list", "-w", "json"))["members"]

    def leader(self):
        for endpoint in self.cluster.endpoints:
            status = json.loads(self.ask("endpoint", "status", "-w", "json", endpoint=endpoint))[0]["Status"]
            if status["header"]["member_id"] == status.get("leader"):
                return endpoint, status["leader"]
        raise SystemExit("no leader")

    def clean(self):
        self.ask("del", "", "--from-key")
        for lease in json.loads(self.ask("lease", "list", "-w", "json")).get("leases") or []:
            self.ask("lease", "revoke", "%x" % lease["id"])

    # ---- commands

    def expand(self, text):
        if "{rev" in text or "{base" in text:
            now = self.revision() if "{rev" in text else 0
            text = re.sub(r"\{(rev|base)([+-]\d+)?\}",
                          lambda m: str((now if m[1] == "rev" else self.base) + int(m[2] or 0)), text)
        text = re.sub(r"\{lease(\d+)\}", lambda m: self.leases[int(m[1]) - 1], text)
        if "{unstarted}" in text:
            ids = [m["ID"] for m in self.members() if not m.get("name")]
            text = text.replace("{unstarted}", "%x" % ids[0] if ids else "0")
        if "{follower}" in text:
            leader = self.leader()[1]
            text = text.replace("{follower}", "%x" % next(m["ID"] for m in self.members() if m["ID"] != leader))
        return text.replace("{tmp}", self.temporary)

    def argv(self, case):
        words = shlex.split(self.expand(case.body))
        endpoint = self.cluster.endpoints[0]
        if "--at-leader" in words:
            words.remove("--at-leader")
            endpoint = self.leader()[0]
        program = self.etcdctl if self.client == "etcdctl" else self.client
        # Before `--` and before the words of a command to execute.
        return [program, words[0], "--endpoints=" + endpoint, *words[1:]]

    def http(self, case):
        path, _, body = self.expand(case.body).partition(" ")
        method = "POST"
        if path == "GET":
            method, path, body = "GET", body, ""
        request = urllib.request.Request("http://" + self.cluster.endpoints[0] + path, method=method,
                                         data=body.encode() if method == "POST" else None,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                if case.until:
                    lines = [answer.readline().decode() for _ in range(case.until)]
                    return "HTTP %d\n%s" % (answer.status, "".join(lines))
                return "HTTP %d\n%s" % (answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return "HTTP %d\n%s" % (error.code, error.read().decode())
        except OSError as error:
            return "HTTP failed: %s\n" % error

    def learn(self, case, stdout):
        if not case.body.startswith("lease grant"):
            return
        match = re.search(r"lease ([0-9a-f]+) granted", stdout)
        number = re.search(r'"ID"\s*:\s*(\d+)', stdout)
        if match or number:
            self.leases.append(match[1] if match else "%x" % int(number[1]))

    def run_one(self, case, normaliser):
        if case.who == "http":
            # The gateway may pretty-print or not: one message a line.
            return normaliser.text(self.http(case), "", 0)
        if case.body == "wait":
            stdout, stderr, code = self.background.pop(0).finish()
        else:
            stdin = self.expand(case.stdin) if case.stdin else case.stdin
            process = Process(self.argv(case), self.environment, stdin, case.until)
            if case.meanwhile:
                self.background.append(process)
                time.sleep(0.15)  # only so that the usual order is tried; the output must not depend on it
                return []
            stdout, stderr, code = process.finish()
        self.learn(case, stdout)
        lines = normaliser.text(stdout, stderr, code)
        if case.agree:
            lines = ["hashes: %d" % len(set(re.findall(r", (\d+)$", stdout, re.MULTILINE)))]
        return lines + ["[%d]" % code]

    def run_file(self, path):
        """Yields (case, output lines)."""
        self.clean()
        self.base, self.leases, self.background = self.revision(), [], []
        members = {m["ID"] for m in self.members()}
        normaliser = Normaliser(self.base, members)
        only_other = "quorate" if self.client == "etcdctl" else "etcdctl"
        try:
            for case in Case.parse(path):
                if case.who == only_other:
                    continue
                try:
                    yield case, self.run_one(case, normaliser)
                except (OSError, ValueError, KeyError, IndexError, StopIteration) as error:
                    yield case, ["cannot run: %r" % error]
        finally:
            for process in self.background:
                process.kill()
                process.finish()


def golden_path(path):
    return os.path.join(HERE, "golden", os.path.basename(path))


def read_golden(path):
    """Command → outputs, in order."""
    outputs, current = [], None
    with open(golden_path(path), encoding="utf-8") as file:
        for line in file:
            line = line.rstrip("\n")
            if line.startswith("> "):
                current = []
                outputs.append((line[2:], current))
            elif current is not None and line.startswith("  "):
                current.append(line[2:])
    return outputs


def record(runner, path):
    with open(golden_path(path), "w", encoding="utf-8") as file:
        for case, lines in runner.run_file(path):
            file.write("> %s\n%s" % (case.text, "".join("  %s\n" % line for line in lines)))


def compare(runner, path, label, verbose):
    golden = read_golden(path)
    passed = failed = at = 0
    for case, lines in runner.run_file(path):
        while at < len(golden) and golden[at][0] != case.text:
            at += 1
        expected = golden[at][1] if at < len(golden) else ["(not recorded: run with --record)"]
        at += 1
        if runner.client != "etcdctl" and case.who == "http":
            continue  # counted in the first round
        if lines == expected:
            passed += 1
            if verbose:
                print("ok    %s: %s" % (label, case.text))
            continue
        failed += 1
        print("FAIL  %s %s:%d: %s" % (label, os.path.basename(path), case.number, case.text))
        for line in difflib.unified_diff(expected, lines, "etcd", "here", lineterm="", n=1):
            if not line.startswith(("---", "+++", "@@")):
                print("      " + line)
    return passed, failed


def check_perf(args, cluster):
    """etcd's own test: 150 writes a second for a minute, by 50 clients."""
    done = subprocess.run([args.etcdctl, "--endpoints", ",".join(cluster.endpoints), "check", "perf", "--load=s"],
                          env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, text=True, timeout=180)
    good = done.returncode == 0 and "PASS" in done.stdout
    print("%-5s etcdctl: check perf\n%s" % ("ok" if good else "FAIL", "" if good else done.stdout + done.stderr))
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--endpoint", help="HOST:PORT[,HOST:PORT...] of a running cluster")
    where.add_argument("--etcd", action="store_true", help="start three etcd nodes")
    where.add_argument("--quorate", metavar="BINARY", help="start three of our own nodes")
    parser.add_argument("--client", metavar="BINARY", help="our program, for the second round (default: --quorate's)")
    parser.add_argument("--etcdctl", default="etcdctl")
    parser.add_argument("--only", help="comma-separated case files, without .txt")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--perf", action="store_true", help="also `etcdctl check perf`: a minute, on a machine left alone")
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args()

    names = sorted(os.listdir(os.path.join(HERE, "cases")))
    if args.only:
        names = [name for name in names if name.removesuffix(".txt") in args.only.split(",")]
    paths = [os.path.join(HERE, "cases", name) for name in names]
    with tempfile.TemporaryDirectory() as temporary:
        with clusters.start(args, temporary) as cluster:
            if args.record:
                os.makedirs(os.path.join(HERE, "golden"), exist_ok=True)
                for path in paths:
                    record(Runner(cluster, "etcdctl", args.etcdctl, temporary), path)
                return 0
            passed = failed = 0
            binary = args.client or args.quorate
            for client in ["etcdctl"] + ([os.path.abspath(binary)] if binary else []):
                label = "etcdctl" if client == "etcdctl" else "quorate"
                for path in paths:
                    p, f = compare(Runner(cluster, client, args.etcdctl, temporary), path, label, args.verbose)
                    passed, failed = passed + p, failed + f
            if args.perf:
                good = check_perf(args, cluster)
                passed, failed = passed + good, failed + (not good)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
