"""Turns what a client printed into a form that is the same for every cluster: ids, terms, sizes, times and
addresses become names, revisions become distances from the revision at which the case file began."""

import base64
import itertools
import json
import re

LOCK_KEY = re.compile(r"^(\w+)/([0-9a-f]{4,16})$")
HEX_ID = re.compile(r"\b[0-9a-f]{14,16}\b")
VERSION = re.compile(r"^\d+\.\d+(\.\d+)?\S*$")

REVISIONS = {"revision", "create_revision", "mod_revision", "compact_revision", "CompactRevision", "rev"}
MEMBER_IDS = {"cluster_id", "member_id", "leader", "memberID"}
NUMBERS = {"raft_term", "raftTerm", "raftIndex", "raftAppliedIndex", "dbSize", "dbSizeInUse", "hash"}
IDS = {"ID", "id", "lease"}
NEWER = {"storageVersion", "dbSizeQuota", "downgradeInfo", "reason", "storage", "hash_revision"}


class Normaliser:
    def __init__(self, base, members):
        self.base = base
        self.members = members  # numbers
        self.names = {}

    # ---- parts

    def revision(self, value):
        number = int(value)
        if number <= 0:
            return value
        text = "base%+d" % (number - self.base)
        return "'%s'" % text if isinstance(value, str) else text

    def identity(self, number):
        if number in self.members:
            return "<member>"
        if number < 1 << 32:
            return str(number)  # chosen by the case itself
        return self.names.setdefault(number, "<id%d>" % (len(self.names) + 1))

    def key(self, text):
        match = LOCK_KEY.match(text)
        return "%s/%s" % (match[1], self.identity(int(match[2], 16))) if match else text

    # ---- JSON

    def json_value(self, value, name=""):
        if isinstance(value, dict):
            return self.json_object(value)
        if isinstance(value, list):
            items = [self.json_value(item, name) for item in value]
            return sorted(items, key=json.dumps) if name in ("members", "leases", "keys", "") else items
        if name in REVISIONS and value != "<n>":
            return self.revision(value)
        if name in MEMBER_IDS:
            return "<%s>" % name
        if name in NUMBERS:
            return "'<n>'" if isinstance(value, str) else "<n>"
        if name in IDS and isinstance(value, (int, str)) and str(value).lstrip("-").isdigit():
            text = self.identity(int(value) % (1 << 64))
            return "'%s'" % text if isinstance(value, str) else text
        if name in ("key", "name") and isinstance(value, str):
            return self.json_key(value, name)
        if name in ("took", "Endpoint", "endpoint"):
            return "<%s>" % name
        if name in ("peerURLs", "clientURLs"):
            return "<url>" if not re.search(r":[12]$", value) else value
        if name in ("version", "etcdserver", "etcdcluster") and isinstance(value, str) and VERSION.match(value) and "." in value:
            return "<version>"
        return value

    def json_object(self, value):
        if "ttl" in value and value.get("granted-ttl", 0) > 0:
            value = dict(value, ttl="<ttl>")
        if "grantedTTL" in value:
            value = dict(value, TTL="<ttl>")
        if "message" in value and "code" in value:  # an error of the gateway; newer ones add details
            # How a parser words its complaint is its own affair.
            message = value["message"] if value["message"].startswith(("etcdserver", "election")) else "<message>"
            value = {"message": message, "code": value["code"]}
        if "alarms" in value:  # etcd 3.4 answers without a header
            value = {k: v for k, v in value.items() if k != "header"}
        if "hash" in value:
            value = dict(value, compact_revision="<n>")
        return {k: self.json_value(v, k) for k, v in value.items() if k not in NEWER}

    def json_key(self, value, name):
        if name == "name" and not re.match(r"^[A-Za-z0-9+/]{8,}=*$", value):
            return "<name>" if value not in ("", "new") else value
        try:
            text = base64.b64decode(value, validate=True).decode()
        except ValueError:
            return value
        return "base64:" + self.key(text) if LOCK_KEY.match(text) else value

    # ---- lines

    def line(self, line):
        if line.startswith(("{", "[{", "[]")):
            try:
                return json.dumps(self.json_value(json.loads(line)), sort_keys=True, ensure_ascii=False)
            except ValueError:
                pass
        if line.startswith("+-"):
            return "+---+"
        if line.startswith("| "):
            return self.table_row(line)
        if re.match(r'^"\w+" : ', line):
            return self.field(line)
        return self.plain(line)

    def table_row(self, line):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].isupper():
            return " | ".join(cells)
        return " | ".join("<%s>" % self.shape(cell) for cell in cells)

    @staticmethod
    def shape(cell):
        for name, pattern in (("empty", r"^$"), ("url", r"^(http://)?[\d.]+:\d+$"), ("bool", r"^(true|false)$"), ("number", r"^\d+$"),
                              ("id", r"^[0-9a-f]{1,16}$"), ("version", r"^\d+\.\d+\.\d+\S*$"),
                              ("size", r"^[\d.]+ \w+$"), ("took", r"^[\d.]+[mµn]?s$")):
            if re.match(pattern, cell):
                # An id may consist of digits only, and be short.
                return "number/id" if name in ("number", "id") else name
        return "text"

    def field(self, line):
        name, value = line.split(" : ", 1)
        bare = name.strip('"')
        if bare in ("ClusterID", "MemberID", "Leader"):
            value = "<id>"
        elif bare.endswith("Revision"):
            value = str(self.revision(int(value)))
        elif bare in ("RaftTerm", "RaftIndex", "RaftAppliedIndex", "DBSize", "Hash", "Took"):
            value = "<n>" if value != "0" else value
        elif bare in ("ID", "Lease", "PrevLease"):
            value = self.identity(int(value) % (1 << 64))
        elif bare == "TTL" and int(value) > 0:
            value = "<ttl>"
        elif bare in ("Name", "PeerURL", "ClientURL", "Endpoint"):
            value = "<%s>" % bare
        elif bare == "Version" and "." in value:
            value = "<version>"
        elif bare in ("Key", "PrevKey"):
            value = '"%s"' % self.key(value.strip('"'))
        return "%s : %s" % (name, value)

    def plain(self, line):
        match = re.match(r"^([0-9a-f]+), (started|unstarted), (.*), (.*), (.*), (true|false)$", line)
        if match:
            url = match[4] if re.search(r":[12]$", match[4]) else "<url>"
            return "<id>, %s, %s, %s, %s, %s" % (match[2], "<name>" if match[3] else "", url,
                                                 "<url>" if match[5] else "", match[6])
        if re.match(r"^\S+, [0-9a-f]+, [\d.]+\S*, [\d.]+ \w+, ", line):
            cells = line.split(", ")
            return "<endpoint>, <id>, <version>, <size>, <bool>, %s, <n>, <n>, <n>, %s" % (cells[5], cells[9])
        line = re.sub(r"^(http://)?[\d.]+:\d+, \d+$", "<endpoint>, <hash>", line)
        line = re.sub(r"took = \S+", "took = <took>", line)
        line = re.sub(r"^(http://)?[\d.]+:\d+ is ", "<endpoint> is ", line)
        line = re.sub(r"member\[\S+\]", "member[<endpoint>]", line)
        line = re.sub(r"remaining\(\d+s\)", "remaining(<ttl>)", line)
        line = re.sub(r"attached keys\(\[(.*)\]\)",
                      lambda m: "attached keys([%s])" % " ".join(sorted(m[1].split(" "))), line)
        line = re.sub(r"compacted revision (\d+)", lambda m: "compacted revision " + self.revision(int(m[1])), line)
        line = re.sub(r"transferred from [0-9a-f]+ to [0-9a-f]+", "transferred from <id> to <id>", line)
        line = re.sub(r"/tmp/\S+/", "<tmp>/", line)
        line = re.sub(r"^Member +", "Member ", line)
        line = re.sub(r"cluster +[0-9a-f]+\b", "cluster <id>", line)
        return HEX_ID.sub(lambda m: self.hex_identity(m[0]), line)

    @staticmethod
    def sorted_runs(lines):
        """Lists whose order etcd leaves to chance: consecutive "ID" or "Key" fields."""
        out = []
        kind = lambda line: re.sub(r"^<id\d+>$", "<id>", line.split(" : ")[0])  # noqa: E731
        for name, run in itertools.groupby(lines, kind):
            out += sorted(run) if name in ('"ID"', '"Key"', "<id>") else run
        return out

    def hex_identity(self, text):
        number = int(text, 16)
        return text if number < 1 << 32 else self.identity(number)

    def text(self, stdout, stderr, code):
        """One command's output. Of a wrong use only the status counts: every program words its own help."""
        if code in (3, 4, 128):
            return ["Error: <usage>"]
        lines = [self.line(line) for line in stdout.split("\n")]
        if lines and lines[-1] == "":
            lines.pop()
        if lines and lines[0] == "HTTP 412":
            lines[0] = "HTTP 400"  # FailedPrecondition, in newer gateways
        if lines and lines[0].startswith("HTTP 4") and not lines[-1].startswith("{"):
            lines = lines[:1]  # the text of a plain 404 page
        if any(line.startswith(("<id>, ", "<endpoint>")) for line in lines):
            lines.sort()
        lines = self.sorted_runs(lines)
        for line in stderr.split("\n"):
            # etcdctl logs beside its answers; and says some things on standard error that are results.
            if line and not line.startswith(('{"level"', "20")):
                lines.append(self.plain(line))
        return lines
