package main

import (
	"context"
	"fmt"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"golang.org/x/sync/errgroup"
)

func init() {
	register("software transactional memory", countTogether)
	register("mutex", excludeEachOther)
	register("election", elect)
}

func countTogether(ctx context.Context, c *clientv3.Client) error {
	const workers, rounds = 8, 20
	var all errgroup.Group
	for i := 0; i < workers; i++ {
		all.Go(func() error {
			for j := 0; j < rounds; j++ {
				_, err := concurrency.NewSTM(c, func(memory concurrency.STM) error {
					count := 0
					fmt.Sscan(memory.Get("stm/count"), &count)
					memory.Put("stm/count", fmt.Sprint(count+1))
					return nil
				}, concurrency.WithAbortContext(ctx))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return holds(ctx, c, "stm/count", fmt.Sprint(workers*rounds))
}

func excludeEachOther(ctx context.Context, c *clientv3.Client) error {
	var inside, entered atomic.Int32
	var all errgroup.Group
	for i := 0; i < 5; i++ {
		all.Go(func() error {
			session, err := concurrency.NewSession(c, concurrency.WithTTL(5))
			if err != nil {
				return err
			}
			defer session.Close()
			mutex := concurrency.NewMutex(session, "mutex/")
			for j := 0; j < 5; j++ {
				if err := mutex.Lock(ctx); err != nil {
					return err
				}
				if now := inside.Add(1); now != 1 {
					return fmt.Errorf("%d inside at once", now)
				}
				entered.Add(1)
				inside.Add(-1)
				if err := mutex.Unlock(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return expect(entered.Load() == 25, "entered %d times", entered.Load())
}

func elect(ctx context.Context, c *clientv3.Client) error {
	session, err := concurrency.NewSession(c)
	if err != nil {
		return err
	}
	defer session.Close()
	election := concurrency.NewElection(session, "election/")
	if err := election.Campaign(ctx, "first"); err != nil {
		return err
	}
	observed := election.Observe(ctx)
	for _, word := range []string{"first", "second"} {
		if err := election.Proclaim(ctx, word); err != nil {
			return err
		}
		for now := range observed {
			if string(now.Kvs[0].Value) == word {
				break
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%q was never observed", word)
		}
	}
	return election.Resign(ctx)
}
