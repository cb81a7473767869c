package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
)

type values = map[string]any

// A release of the chart: its files of values, and values on top of them.
type release struct {
	name string
	// What it is called in the cluster; by default "spike".
	called string
	files  []string
	set    values
	// What `helm upgrade` finds in the cluster; nil for an installation.
	cluster cluster
}

// The registry that stands in deploy/kubernetes.
const registry = "registry.example.org/spike"

var cases = []release{
	{name: "default", set: values{"image": values{"registry": registry}}},
	{name: "try-out", files: []string{"values-try-out.yaml"}, set: values{"image": values{"registry": registry}}},
	{name: "production", files: []string{"values-production.yaml"}, set: values{"image": values{"registry": registry}}},
	{name: "everything", set: everything},
	{name: "bare", set: values{
		"image":         values{"registry": registry},
		"networkPolicy": values{"enabled": false},
		"pilot":         values{"enabled": false},
		"test":          values{"enabled": false},
	}},
	{name: "openshift", set: values{
		"image":     values{"registry": registry},
		"openshift": true,
		"nexus":     values{"backend": "lite"},
		"bootstrap": values{"enabled": false},
		"test":      values{"enabled": false},
		"pilot":     values{"enabled": false},
		"spire":     values{"identities": false},
	}},
}

// Every value that is empty by default, so that each branch of the templates is taken.
var everything = values{
	"trustDomain":      "prod.example.org",
	"trustRoots":       values{"pilot": "admins.example.org,prod.example.org"},
	"clusterDomain":    "k8s.example.org",
	"fullnameOverride": "vault",
	"image": values{
		"registry":    registry,
		"tag":         "1.2.3",
		"pullSecrets": []any{"registry-key"},
		"digests":     values{"nexus": "sha256:" + strings.Repeat("0123456789abcdef", 4)},
	},
	"spire":    values{"className": "spire-mgmt-spire", "ttl": "1h"},
	"nexus":    with(placement, values{"persistence": values{"existingClaim": "old-data"}, "env": values{"SPIKE_NEXUS_MAX_SECRET_VERSIONS": 3, "SPIKE_NEXUS_READ_CACHE_SIZE": float64(268435456)}}),
	"keeper":   with(placement, values{"replicas": 5, "threshold": 3, "partition": 5}),
	"ceremony": values{"recover": true, "restore": true},
	"networkPolicy": values{
		"metrics":   []any{values{"namespaceSelector": values{"matchLabels": values{"kubernetes.io/metadata.name": "monitoring"}}}},
		"apiServer": []any{values{"ipBlock": values{"cidr": "10.0.0.1/32"}}},
	},
	"metrics":        values{"spiffeIds": []any{"spiffe://prod.example.org/prometheus", "spiffe://prod.example.org/agent"}},
	"serviceMonitor": values{"enabled": true, "labels": values{"release": "prometheus"}},
}

var placement = values{
	"podAnnotations":    values{"example.org/a": "b"},
	"nodeSelector":      values{"kubernetes.io/os": "linux"},
	"tolerations":       []any{values{"key": "secrets", "operator": "Exists", "effect": "NoSchedule"}},
	"affinity":          values{"nodeAffinity": values{"requiredDuringSchedulingIgnoredDuringExecution": values{"nodeSelectorTerms": []any{values{"matchExpressions": []any{values{"key": "secrets", "operator": "Exists"}}}}}}},
	"priorityClassName": "system-cluster-critical",
}

func with(one, other values) values {
	both := values{}
	for key, value := range one {
		both[key] = value
	}
	for key, value := range other {
		both[key] = value
	}
	return both
}

// What a release is made of, in the order in which Helm applies it.
type manifests struct {
	objects []string
	// Those of `helm test`, which are no part of the release.
	hooks []string
	notes string
}

func (it manifests) text() string {
	return joined(append(append([]string{}, it.objects...), it.hooks...))
}

func joined(objects []string) string {
	var out strings.Builder
	for _, object := range objects {
		out.WriteString("---\n")
		for _, line := range strings.Split(object, "\n") {
			// What a template leaves behind where there is nothing to say.
			if strings.TrimSpace(line) != "" {
				out.WriteString(line + "\n")
			}
		}
	}
	return out.String()
}

func (it release) render(root string) (manifests, error) {
	directory := filepath.Join(root, "deploy/helm/spike")
	chart, err := loader.Load(directory)
	if err != nil {
		return manifests{}, err
	}
	merged := values{}
	for _, file := range it.files {
		more, err := chartutil.ReadValuesFile(filepath.Join(directory, file))
		if err != nil {
			return manifests{}, err
		}
		merged = chartutil.CoalesceTables(more.AsMap(), merged)
	}
	merged = chartutil.CoalesceTables(copyOf(it.set), merged)
	called := it.called
	if called == "" {
		called = "spike"
	}
	options := chartutil.ReleaseOptions{
		Name: called, Namespace: "spike", Revision: 1,
		IsInstall: it.cluster == nil, IsUpgrade: it.cluster != nil,
	}
	top, err := chartutil.ToRenderValues(chart, merged, options, chartutil.DefaultCapabilities)
	if err != nil {
		return manifests{}, err
	}
	var files map[string]string
	if it.cluster == nil {
		files, err = engine.Engine{Strict: true}.Render(chart, top)
	} else {
		files, err = engine.RenderWithClientProvider(chart, top, it.cluster)
	}
	if err != nil {
		return manifests{}, err
	}
	var found manifests
	for name, text := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			found.notes = text
			delete(files, name)
		}
	}
	hooks, sorted, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return manifests{}, err
	}
	for _, object := range sorted {
		found.objects = append(found.objects, object.Content)
	}
	for _, hook := range hooks {
		found.hooks = append(found.hooks, hook.Manifest)
	}
	if len(found.objects) == 0 {
		return manifests{}, fmt.Errorf("nothing was rendered")
	}
	return found, nil
}

// Helm writes into the values that it is given.
func copyOf(it values) values {
	copied := values{}
	for key, value := range it {
		if below, is := value.(values); is {
			value = copyOf(below)
		}
		copied[key] = value
	}
	return copied
}
