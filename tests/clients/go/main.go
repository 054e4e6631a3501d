// Runs etcd's official Go client, and the recipes that come with it, against a cluster.
//
//	go run . 127.0.0.1:2379,127.0.0.1:22379,127.0.0.1:32379
//
// A line for each case; the last one is "N passed, N failed".
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

type testCase struct {
	name string
	run  func(context.Context, *clientv3.Client) error
}

var cases []testCase

func register(name string, run func(context.Context, *clientv3.Client) error) {
	cases = append(cases, testCase{name, run})
}

// expect tells what is not as it should be.
func expect(holds bool, format string, values ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, values...)
}

func runOne(c testCase, client *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return c.run(ctx, client)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run . HOST:PORT[,HOST:PORT...]")
		os.Exit(2)
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:        strings.Split(os.Args[1], ","),
		DialTimeout:      5 * time.Second,
		RejectOldCluster: true,
		Logger:           zap.NewNop(),
	})
	if err != nil {
		fmt.Println("FAIL dial:", err)
		fmt.Println("0 passed, 1 failed")
		os.Exit(1)
	}
	defer client.Close()
	failed := 0
	for _, c := range cases {
		if err := runOne(c, client); err != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", c.name, err)
			continue
		}
		fmt.Println("ok  ", c.name)
	}
	fmt.Printf("%d passed, %d failed\n", len(cases)-failed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
