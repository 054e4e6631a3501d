package main

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/ordering"
)

func init() {
	register("put and get", putAndGet)
	register("nested transaction", nestedTransaction)
	register("namespace", inNamespace)
	register("ordering", ordered)
	register("leasing cache", leasingCache)
	register("mirror", mirrored)
	register("endpoints of a service", serviceEndpoints)
}

func valueOf(ctx context.Context, kv clientv3.KV, key string) (string, error) {
	got, err := kv.Get(ctx, key)
	if err != nil || len(got.Kvs) == 0 {
		return "", err
	}
	return string(got.Kvs[0].Value), nil
}

func holds(ctx context.Context, kv clientv3.KV, key, want string) error {
	value, err := valueOf(ctx, kv, key)
	if err != nil {
		return err
	}
	return expect(value == want, "%s is %q, not %q", key, value, want)
}

func putAndGet(ctx context.Context, c *clientv3.Client) error {
	if _, err := c.Put(ctx, "kv/a", "1"); err != nil {
		return err
	}
	return holds(ctx, c, "kv/a", "1")
}

func nestedTransaction(ctx context.Context, c *clientv3.Client) error {
	if _, err := c.Put(ctx, "txn/a", "1"); err != nil {
		return err
	}
	inner := clientv3.OpTxn(
		[]clientv3.Cmp{clientv3.Compare(clientv3.Value("txn/a"), "=", "1")},
		[]clientv3.Op{clientv3.OpPut("txn/b", "inner")},
		[]clientv3.Op{clientv3.OpPut("txn/b", "never")})
	done, err := c.Txn(ctx).
		If(clientv3.Compare(clientv3.Version("txn/a"), ">", 0)).
		Then(inner, clientv3.OpGet("txn/a")).
		Else(clientv3.OpDelete("txn/a")).
		Commit()
	if err != nil {
		return err
	}
	if err := expect(done.Succeeded && len(done.Responses) == 2, "answer is %v", done); err != nil {
		return err
	}
	return holds(ctx, c, "txn/b", "inner")
}

func inNamespace(ctx context.Context, c *clientv3.Client) error {
	if _, err := namespace.NewKV(c.KV, "ns/").Put(ctx, "x", "y"); err != nil {
		return err
	}
	return holds(ctx, c, "ns/x", "y")
}

func ordered(ctx context.Context, c *clientv3.Client) error {
	violated := false
	kv := ordering.NewKV(c.KV, func(clientv3.Op, clientv3.OpResponse, int64) error {
		violated = true
		return nil
	})
	for i := 0; i < 20; i++ {
		if _, err := c.Put(ctx, "ordering", "v"); err != nil {
			return err
		}
		if _, err := kv.Get(ctx, "ordering"); err != nil {
			return err
		}
	}
	return expect(!violated, "a revision went back")
}

func leasingCache(ctx context.Context, c *clientv3.Client) error {
	kv, closeCache, err := leasing.NewKV(c, "leasing/")
	if err != nil {
		return err
	}
	defer closeCache()
	if _, err := kv.Put(ctx, "leased", "1"); err != nil {
		return err
	}
	if err := holds(ctx, kv, "leased", "1"); err != nil {
		return err
	}
	if _, err := c.Put(ctx, "other", "2"); err != nil {
		return err
	}
	return holds(ctx, kv, "other", "2")
}

func mirrored(ctx context.Context, c *clientv3.Client) error {
	for _, key := range []string{"mirror/1", "mirror/2", "mirror/3"} {
		if _, err := c.Put(ctx, key, "v"); err != nil {
			return err
		}
	}
	answers, errs := mirror.NewSyncer(c, "mirror/", 0).SyncBase(ctx)
	count := 0
	for answer := range answers {
		count += len(answer.Kvs)
	}
	if err := <-errs; err != nil {
		return err
	}
	return expect(count == 3, "%d keys came", count)
}

func serviceEndpoints(ctx context.Context, c *clientv3.Client) error {
	manager, err := endpoints.NewManager(c, "service")
	if err != nil {
		return err
	}
	if err := manager.AddEndpoint(ctx, "service/1", endpoints.Endpoint{Addr: "127.0.0.1:5"}); err != nil {
		return err
	}
	// The manager lists what some member has (a serializable read), which may come a moment later.
	for {
		all, err := manager.List(ctx)
		if err != nil {
			return err
		}
		if all["service/1"].Addr == "127.0.0.1:5" {
			return nil
		}
	}
}
