"""tools/verify itself: what it forbids, planted in a tree of its own, is found; what it allows is not."""
import importlib.machinery
import importlib.util
import os
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader('verify', os.path.join(ROOT, 'tools', 'verify'))
verify = importlib.util.module_from_spec(importlib.util.spec_from_loader('verify', loader))
loader.exec_module(verify)

# (file, text, the check that must object)
FORBIDDEN = [
    ('src/core/a.h', '#include "storage/disk.h"', verify.layer_errors),
    ('src/replog/raft/a.cc', '#include "models/etcd/store.h"', verify.layer_errors),
    ('src/models/etcd/a.cc', '#include "replog/raft/raft.h"', verify.layer_errors),
    ('src/replica/a.cc', '#include "runtime/node.h"', verify.layer_errors),
    ('src/models/etcd/a.cc', '#include "api/http/rpc.h"', verify.layer_errors),
    ('src/nowhere/a.cc', '', verify.layer_errors),
    ('src/replog/raft/a.cc', '#include <thread>', verify.purity_errors),
    ('src/replog/raft/a.cc', '#include <sys/socket.h>', verify.purity_errors),
    ('src/models/etcd/a.cc', '#include <fstream>', verify.purity_errors),
    ('src/replog/raft/a.cc', 'auto t = std::chrono::steady_clock::now();', verify.purity_errors),
    ('src/replog/raft/a.cc', 'auto t = std::time(nullptr);', verify.purity_errors),
    ('src/replog/raft/a.cc', 'auto t = time(nullptr);', verify.purity_errors),
    ('src/agreement/paxos/a.cc', 'std::random_device d;', verify.purity_errors),
    ('src/agreement/paxos/a.cc', 'int x = rand();', verify.purity_errors),
    ('src/agreement/paxos/a.cc', 'std::uniform_int_distribution<int> d;', verify.purity_errors),
    ('src/replica/a.cc', 'std::mutex m;', verify.purity_errors),
    ('src/replica/a.cc', 'std::map<const Node*, int> by_address;', verify.purity_errors),
    ('src/replica/a.cc', 'std::unordered_map<int, int> x_;\nfor (auto& e : x_) f(e);', verify.purity_errors),
    ('src/replica/a.cc', 'for (auto& e : held_) f(e);', verify.purity_errors),  # declared in b.h, see below
    ('src/replica/a.cc', 'for (auto& e : state.held_) f(e);', verify.purity_errors),
    ('src/replica/a.cc', 'for (auto& e : held()) f(e);', verify.purity_errors),
    ('src/replica/a.cc', 'auto it = held_.begin();', verify.purity_errors),
    ('src/replica/a.cc', 'std::ranges::for_each(held_, f);', verify.purity_errors),
    ('src/replica/a.cc', 'auto path = "/' + 'work/x";', verify.path_errors),
    ('tools/a', '#!/usr/bin/env bash\nif then', verify.script_errors),
    ('docs/a.md', 'See [there](../src/none.md).', verify.link_errors),
    ('docs/a.md', '# One\n[below](#two)', verify.link_errors),
    ('docs/a.md', '![picture](images/none.svg)', verify.link_errors),
]
ALLOWED = [
    ('src/replog/raft/a.cc', '#include "quorum/quorum.h"', verify.layer_errors),
    ('src/replog/raft/a.cc', '// a thread with a std::mutex and time(nullptr)', verify.purity_errors),
    ('src/replog/raft/a.cc', 'const auto time = env.now; runtime(time); log_.time(0);', verify.purity_errors),
    ('src/replica/a.cc', 'auto it = held_.find(1);', verify.purity_errors),
    ('src/replica/a.cc', 'for (auto& e : held_) n += e.second;  // a sum: order-free', verify.purity_errors),
    ('src/replica/a.cc', 'std::vector<int> list; for (auto e : list) f(e);', verify.purity_errors),
    ('docs/a.md', '# The `one` thing!\n[it](#the-one-thing) [b](../src/replica/b.h) [far](https://a.b/c)', verify.link_errors),
    ('docs/a.md', '```\n[in an example](none.md)\n```\nand `[here](none.md)`', verify.link_errors),
    ('src/runtime/a.cc', 'std::jthread t; auto n = std::chrono::steady_clock::now();', verify.purity_errors),
]
HEADER = 'struct S { std::unordered_map<int, int> held_; const std::unordered_map<int, int>& held() const; };'


def objections(path, text, check):
    with tempfile.TemporaryDirectory() as root:
        verify.ROOT = root
        for name, content in ((path, text), ('src/replica/b.h', HEADER)):
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            with open(os.path.join(root, name), 'w', encoding='utf-8') as file:
                file.write(content + '\n')
        return check([path])


def main():
    failed = 0
    for cases, wanted in ((FORBIDDEN, True), (ALLOWED, False)):
        for path, text, check in cases:
            found = objections(path, text, check)
            if bool(found) != wanted:
                failed += 1
                print(f'FAIL: {path}: {text!r}: {"not found" if wanted else found}')
    print(f'{len(FORBIDDEN) + len(ALLOWED) - failed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
