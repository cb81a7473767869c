package main

import (
	"context"
	"fmt"
	"reflect"

	"github.com/spiffe/spike-sdk-go/api"
	sdkErrors "github.com/spiffe/spike-sdk-go/errors"
)

// What the operator has put before, and lets the workload read and list: the first, and not the second.
const (
	ownPath   = "tenants/acme/db"
	otherPath = "tenants/other/db"
)

// workloadSteps are those of a program that reads its own secret; with allowed false no policy lets it any more.
func workloadSteps(allowed bool) []step {
	denied := func(name string, call func(context.Context, *api.API) *sdkErrors.SDKError) step {
		return step{name, func(ctx context.Context, client *api.API) error {
			return is(call(ctx, client), sdkErrors.ErrAccessUnauthorized)
		}}
	}
	read := func(path string) func(context.Context, *api.API) *sdkErrors.SDKError {
		return func(ctx context.Context, client *api.API) *sdkErrors.SDKError {
			_, err := client.GetSecret(ctx, path)
			return err
		}
	}
	steps := []step{
		denied("another's secret is not for it", read(otherPath)),
		denied("nor is a path where nothing is", read("nowhere")),
		denied("nor may it write its own", func(ctx context.Context, client *api.API) *sdkErrors.SDKError {
			return client.PutSecret(ctx, ownPath, map[string]string{"pass": "mine"})
		}),
		denied("nor see policies", func(ctx context.Context, client *api.API) *sdkErrors.SDKError {
			_, err := client.ListPolicies(ctx, "", "")
			return err
		}),
	}
	if !allowed {
		return append(steps,
			denied("its own secret is closed", read(ownPath)),
			denied("and so is the list", func(ctx context.Context, client *api.API) *sdkErrors.SDKError {
				_, err := client.ListSecretKeys(ctx)
				return err
			}))
	}
	return append(steps,
		step{"its own secret is open", func(ctx context.Context, client *api.API) error {
			secret, err := client.GetSecret(ctx, ownPath)
			if err != nil {
				return err
			}
			if secret == nil || !reflect.DeepEqual(secret.Data, map[string]string{"pass": "s3cr3t"}) {
				return fmt.Errorf("not what was put")
			}
			return nil
		}},
		step{"the list is of what it may list", func(ctx context.Context, client *api.API) error {
			keys, err := client.ListSecretKeys(ctx)
			if err != nil {
				return err
			}
			if keys == nil || !reflect.DeepEqual(*keys, []string{ownPath}) {
				return fmt.Errorf("got %v", keys)
			}
			return nil
		}})
}
