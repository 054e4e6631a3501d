package main

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func init() {
	register("watch with fragments and progress", watchFragments)
	register("watch of compacted history", watchCompacted)
}

func watchFragments(ctx context.Context, c *clientv3.Client) error {
	const puts = 300
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	events := c.Watch(ctx, "watch/", clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify(),
		clientv3.WithFragment())
	if first := <-events; !first.Created {
		return fmt.Errorf("first came %v", first)
	}
	for i := 0; i < puts; i++ {
		if _, err := c.Put(ctx, fmt.Sprintf("watch/%d", i), strings.Repeat("v", 10_000)); err != nil {
			return err
		}
	}
	for seen := 0; seen < puts; {
		batch := <-events
		if batch.Err() != nil {
			return batch.Err()
		}
		for _, event := range batch.Events {
			if want := fmt.Sprintf("watch/%d", seen); string(event.Kv.Key) != want {
				return fmt.Errorf("%s came where %s was due", event.Kv.Key, want)
			}
			seen++
		}
	}
	if err := c.RequestProgress(ctx); err != nil {
		return err
	}
	last := <-events
	return expect(last.IsProgressNotify(), "in place of progress came %v", last)
}

// At one member: another may not have compacted yet when the watch comes to it.
func watchCompacted(ctx context.Context, all *clientv3.Client) error {
	c, err := clientv3.New(clientv3.Config{Endpoints: all.Endpoints()[:1]})
	if err != nil {
		return err
	}
	defer c.Close()
	for i := 0; i < 5; i++ {
		if _, err := c.Put(ctx, "compacted", "v"); err != nil {
			return err
		}
	}
	now, err := c.Get(ctx, "compacted")
	if err != nil {
		return err
	}
	at := now.Header.Revision
	if _, err := c.Compact(ctx, at, clientv3.WithCompactPhysical()); err != nil {
		return err
	}
	answer := <-c.Watch(ctx, "compacted", clientv3.WithRev(at-2))
	return expect(answer.CompactRevision == at, "compacted at %d, the watch says %v", at, answer)
}
