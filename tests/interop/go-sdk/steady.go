package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/spiffe/spike-sdk-go/api"
)

// callsAtOnce bounds how many calls may wait for their answers. A machine that is too slow for the rate makes calls later;
// it does not make them fail.
const callsAtOnce = 64

// steadySteps read the workload's own secret perSecond times a second for so many seconds. Every call of the SDK opens a
// connection of its own, which stays open, unused, for half a minute.
func steadySteps(arguments []string) ([]step, time.Duration, error) {
	if len(arguments) != 2 {
		return nil, 0, errors.New("expected: steady SECONDS CALLS_PER_SECOND")
	}
	seconds, err := strconv.Atoi(arguments[0])
	if err != nil {
		return nil, 0, err
	}
	perSecond, err := strconv.Atoi(arguments[1])
	if err != nil {
		return nil, 0, err
	}
	run := func(ctx context.Context, client *api.API) error {
		return steady(ctx, client, seconds*perSecond, time.Second/time.Duration(perSecond))
	}
	return []step{{"every call was answered", run}}, time.Duration(seconds) * time.Second, nil
}

func steady(ctx context.Context, client *api.API, calls int, pause time.Duration) error {
	var (
		group   sync.WaitGroup
		lock    sync.Mutex
		failed  []error
		slowest time.Duration
	)
	places := make(chan struct{}, callsAtOnce)
	begun := time.Now()
	for number := range calls {
		time.Sleep(time.Until(begun.Add(time.Duration(number) * pause)))
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			asked := time.Now()
			err := readOwn(ctx, client)
			took := time.Since(asked)
			lock.Lock()
			defer lock.Unlock()
			slowest = max(slowest, took)
			if err != nil {
				failed = append(failed, fmt.Errorf("call %d, after %v: %w", number, took, err))
			}
		})
	}
	group.Wait()
	took := time.Since(begun)
	rate := float64(calls) / took.Seconds()
	fmt.Printf("%d calls in %v, %.0f a second, the slowest %v, %d failed\n", calls, took, rate, slowest, len(failed))
	return errors.Join(failed[:min(len(failed), 5)]...)
}

func readOwn(ctx context.Context, client *api.API) error {
	secret, err := client.GetSecret(ctx, ownPath)
	if err != nil {
		return err
	}
	if secret == nil || !reflect.DeepEqual(secret.Data, map[string]string{"pass": "s3cr3t"}) {
		return errors.New("not what was put")
	}
	return nil
}
