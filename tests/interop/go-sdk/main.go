// The unmodified Go SDK against a running Nexus: put, get, list, delete, undelete and metadata.
//
// It takes its identity from SPIFFE_ENDPOINT_SOCKET and Nexus from SPIKE_NEXUS_API_URL, as every program built on the
// SDK does, and must be the superuser Pilot; with the argument "workload" or "denied" it is a workload, which a policy
// lets read what is its own, or which none does; with "steady SECONDS CALLS_PER_SECOND" it is one that reads its own again
// and again. It prints one line per step and ends with status 1 at the first answer that is not what the SDK's
// documentation promises.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/spiffe/spike-sdk-go/api"
	sdkErrors "github.com/spiffe/spike-sdk-go/errors"
)

// limit bounds the whole run, the wait for an identity included, beyond the time that a run is asked to take.
const limit = 60 * time.Second

// path is where the steps work; it must not exist before.
const path = "interop/go-sdk/db"

// step is one thing that the SDK does, and what must come of it.
type step struct {
	name string
	run  func(context.Context, *api.API) error
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	steps, takes, err := stepsOf(os.Args[1:])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit+takes)
	defer cancel()
	client, failed := api.NewWithContext(ctx)
	if failed != nil {
		return fmt.Errorf("no identity: %w", failed)
	}
	defer func() { _ = client.Close() }()
	for _, step := range steps {
		if err := step.run(ctx, client); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Println("ok:", step.name)
	}
	return nil
}

// stepsOf tells what is to be done, and how long that takes by its nature.
func stepsOf(arguments []string) ([]step, time.Duration, error) {
	switch {
	case len(arguments) == 0:
		return superuserSteps(), 0, nil
	case arguments[0] == "steady":
		return steadySteps(arguments[1:])
	default:
		return workloadSteps(arguments[0] == "workload"), 0, nil
	}
}

func superuserSteps() []step {
	first := map[string]string{"user": "app", "pass": "s3cret"}
	// What Go's encoder escapes, what JSON escapes, and what is neither.
	second := map[string]string{"user": "a<b>&c", "pass": "\u2028 \"quoted\" \\ \n\t grün 🔑", "empty": ""}
	return []step{
		{"a secret that was never put is not found", func(ctx context.Context, client *api.API) error {
			_, err := client.GetSecret(ctx, path)
			return is(err, sdkErrors.ErrAPINotFound)
		}},
		{"put, twice", func(ctx context.Context, client *api.API) error {
			for _, values := range []map[string]string{first, second} {
				if err := client.PutSecret(ctx, path, values); err != nil {
					return err
				}
			}
			return nil
		}},
		{"get the current version", get(0, second)},
		{"get an earlier version", get(1, first)},
		{"list", func(ctx context.Context, client *api.API) error {
			keys, err := client.ListSecretKeys(ctx)
			if err != nil {
				return err
			}
			if keys == nil || !slices.Contains(*keys, path) || !slices.IsSorted(*keys) {
				return fmt.Errorf("got %v", keys)
			}
			return nil
		}},
		{"metadata of two live versions", metadata(2, 1)},
		{"delete the current version", func(ctx context.Context, client *api.API) error {
			return plain(client.DeleteSecret(ctx, path))
		}},
		{"the version before it is current now", get(0, first)},
		{"a deleted version is not found", func(ctx context.Context, client *api.API) error {
			_, err := client.GetSecretVersion(ctx, path, 2)
			return is(err, sdkErrors.ErrAPINotFound)
		}},
		{"metadata tells what is deleted", metadata(1, 1, 2)},
		{"undelete it by its number", func(ctx context.Context, client *api.API) error {
			return plain(client.UndeleteSecret(ctx, path, []int{2}))
		}},
		{"it is as it was", get(0, second)},
		{"delete several versions", func(ctx context.Context, client *api.API) error {
			return plain(client.DeleteSecretVersions(ctx, path, []int{1, 2}))
		}},
		{"with all versions deleted the secret is not found", func(ctx context.Context, client *api.API) error {
			_, err := client.GetSecret(ctx, path)
			return is(err, sdkErrors.ErrAPINotFound)
		}},
		{"undelete without a number revives the highest", func(ctx context.Context, client *api.API) error {
			return plain(client.UndeleteSecret(ctx, path, nil))
		}},
		{"and only that one", metadata(2, 2, 1)},
		{"a malformed path is refused as a bad request", func(ctx context.Context, client *api.API) error {
			return is(client.PutSecret(ctx, "not a path", first), sdkErrors.ErrAPIBadRequest)
		}},
	}
}

func get(version int, want map[string]string) func(context.Context, *api.API) error {
	return func(ctx context.Context, client *api.API) error {
		secret, err := client.GetSecretVersion(ctx, path, version)
		if err != nil {
			return err
		}
		if secret == nil || !reflect.DeepEqual(secret.Data, want) {
			return errors.New("the values are not those that were put")
		}
		return nil
	}
}

func metadata(current, oldest int, deleted ...int) func(context.Context, *api.API) error {
	return func(ctx context.Context, client *api.API) error {
		known, err := client.GetSecretMetadata(ctx, path, 0)
		if err != nil {
			return err
		}
		about := known.Metadata
		if about.CurrentVersion != current || about.OldestVersion != oldest || about.MaxVersions != 10 {
			return fmt.Errorf("got %+v", about)
		}
		if about.CreatedTime.IsZero() || about.UpdatedTime.Before(about.CreatedTime) {
			return fmt.Errorf("got %+v", about)
		}
		if len(known.Versions) != 2 {
			return fmt.Errorf("got versions %+v", known.Versions)
		}
		for number, version := range known.Versions {
			wantDeleted := slices.Contains(deleted, number)
			if version.Version != number || (version.DeletedTime != nil) != wantDeleted {
				return fmt.Errorf("got version %+v under %d", version, number)
			}
		}
		return nil
	}
}

// is compares codes, as the SDK asks its users to.
func is(err *sdkErrors.SDKError, want *sdkErrors.SDKError) error {
	if err == nil {
		return fmt.Errorf("no error where %q was due", want.Code)
	}
	if !err.Is(want) {
		return fmt.Errorf("not %q: %w", want.Code, err)
	}
	return nil
}

// plain keeps a nil error of the SDK's own type from becoming a non-nil error.
func plain(err *sdkErrors.SDKError) error {
	if err == nil {
		return nil
	}
	return err
}
