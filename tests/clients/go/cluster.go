package main

import (
	"context"
	"io"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func init() {
	register("lease", keepLease)
	register("status, hash and alarms", inspect)
	register("snapshot", saveSnapshot)
	register("move the leader", moveLeader)
}

func keepLease(ctx context.Context, c *clientv3.Client) error {
	lease, err := c.Grant(ctx, 10)
	if err != nil {
		return err
	}
	if _, err := c.Put(ctx, "lease/key", "v", clientv3.WithLease(lease.ID)); err != nil {
		return err
	}
	alive, err := c.KeepAlive(ctx, lease.ID)
	if err != nil {
		return err
	}
	<-alive
	left, err := c.TimeToLive(ctx, lease.ID, clientv3.WithAttachedKeys())
	if err != nil {
		return err
	}
	if err := expect(left.TTL > 0 && len(left.Keys) == 1, "time to live is %v", left); err != nil {
		return err
	}
	if _, err := c.Revoke(ctx, lease.ID); err != nil {
		return err
	}
	return holds(ctx, c, "lease/key", "")
}

func inspect(ctx context.Context, c *clientv3.Client) error {
	if err := c.Sync(ctx); err != nil {
		return err
	}
	for _, endpoint := range c.Endpoints() {
		status, err := c.Status(ctx, endpoint)
		if err != nil {
			return err
		}
		if err := expect(status.Leader != 0 && len(status.Errors) == 0, "%s: %v", endpoint, status); err != nil {
			return err
		}
		if _, err := c.HashKV(ctx, endpoint, 0); err != nil {
			return err
		}
		if _, err := c.Defragment(ctx, endpoint); err != nil {
			return err
		}
	}
	alarms, err := c.AlarmList(ctx)
	if err != nil {
		return err
	}
	return expect(len(alarms.Alarms) == 0, "alarms: %v", alarms)
}

// The client checks the sum behind the content itself.
func saveSnapshot(ctx context.Context, c *clientv3.Client) error {
	content, err := c.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer content.Close()
	size, err := io.Copy(io.Discard, content)
	if err != nil {
		return err
	}
	return expect(size > 0, "it is empty")
}

func moveLeader(ctx context.Context, c *clientv3.Client) error {
	before, err := c.Status(ctx, c.Endpoints()[0])
	if err != nil {
		return err
	}
	members, err := c.MemberList(ctx)
	if err != nil {
		return err
	}
	for _, member := range members.Members {
		if member.ID == before.Leader {
			continue
		}
		if _, err := c.MoveLeader(ctx, member.ID); err != nil {
			return err
		}
		after, err := c.Status(ctx, member.ClientURLs[0])
		if err != nil {
			return err
		}
		return expect(after.Leader == member.ID, "%x leads, %x should", after.Leader, member.ID)
	}
	return expect(false, "there is no other member")
}
