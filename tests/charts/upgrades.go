package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// The objects that are there, by kind and name.
type cluster map[string]values

// GetClientFor is what Helm's `lookup` asks.
func (it cluster) GetClientFor(_, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	return client{cluster: it, kind: kind}, true, nil
}

type client struct {
	dynamic.NamespaceableResourceInterface
	cluster cluster
	kind    string
}

func (it client) Namespace(string) dynamic.ResourceInterface { return it }

func (it client) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	if object, is := it.cluster[it.kind+"/"+name]; is {
		return &unstructured.Unstructured{Object: object}, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: it.kind}, name)
}

// What there is of a kind, for a `lookup` without a name.
func (it client) List(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	list := &unstructured.UnstructuredList{}
	for name, object := range it.cluster {
		if strings.HasPrefix(name, it.kind+"/") {
			list.Items = append(list.Items, unstructured.Unstructured{Object: object})
		}
	}
	return list, nil
}

// A release of five Keepers and threshold three, after Bootstrap or before, with so many pods that are ready.
func running(bootstrapped string, nexus, keepers int64) cluster {
	set := func(component string, ready int64) values {
		it := values{
			"metadata": values{
				"name":        "spike-" + component,
				"annotations": values{"spike.ist/quorum": "3-of-5"},
				"labels": values{
					"app.kubernetes.io/name":      "spike",
					"app.kubernetes.io/instance":  "spike",
					"app.kubernetes.io/component": component,
				},
			},
			"status": values{},
		}
		// The field is left out where it is 0.
		if ready > 0 {
			it["status"] = values{"readyReplicas": ready}
		}
		return it
	}
	it := cluster{"StatefulSet/spike-nexus": set("nexus", nexus), "StatefulSet/spike-keeper": set("keeper", keepers)}
	if bootstrapped != "" {
		it["ConfigMap/spike-bootstrap-state"] = values{"data": values{"bootstrap-completed": bootstrapped}}
	}
	return it
}

func checkUpgrades(root string) error {
	five := values{"replicas": 5, "threshold": 3}
	var wrong []error
	for _, it := range []struct {
		name    string
		cluster cluster
		keeper  values
		// What becomes of the Keepers: the partition of their StatefulSet, or why the upgrade is refused.
		becomes string
	}{
		{"all is well", running("true", 1, 5), five, "partition: 0"},
		{"one Keeper is empty", running("true", 1, 4), five, "partition: 5"},
		{"no Keeper is ready", running("true", 1, 0), five, "partition: 5"},
		{"Nexus is sealed", running("true", 0, 5), five, "partition: 5"},
		{"a person insists", running("true", 0, 4), with(five, values{"partition": 0}), "partition: 0"},
		{"a person holds back", running("true", 1, 5), with(five, values{"partition": 3}), "partition: 3"},
		{"before Bootstrap nothing can be lost", running("", 0, 0), five, "partition: 0"},
		{"Bootstrap is at it", running("false", 0, 0), five, "partition: 0"},
		{"another number of Keepers", running("true", 1, 5), values{"replicas": 7, "threshold": 3}, "fixed once Bootstrap has run"},
		{"another threshold", running("true", 1, 5), values{"replicas": 5, "threshold": 4}, "fixed once Bootstrap has run"},
		{"another number before Bootstrap", running("", 0, 0), values{"replicas": 7, "threshold": 4}, "partition: 0"},
	} {
		rendered, err := release{
			name: it.name, cluster: it.cluster,
			set: values{"image": values{"registry": registry}, "keeper": it.keeper},
		}.render(root)
		if err != nil {
			if !strings.Contains(err.Error(), it.becomes) {
				wrong = append(wrong, fmt.Errorf("%s: %w", it.name, err))
			}
			continue
		}
		keepers := ""
		for _, object := range rendered.objects {
			if strings.Contains(object, "kind: StatefulSet") && strings.Contains(object, "name: spike-keeper\n") {
				keepers = object
			}
		}
		if !strings.Contains(keepers, it.becomes+"\n") {
			wrong = append(wrong, fmt.Errorf("%s: the Keepers have no %q", it.name, it.becomes))
		}
		told := strings.Contains(rendered.notes, "HELD BACK")
		if told != (it.becomes == "partition: 5") {
			wrong = append(wrong, fmt.Errorf("%s: the notes tell that Keepers were held back: %v", it.name, told))
		}
	}
	for _, other := range []values{{"fullnameOverride": "vault"}, {"nameOverride": "vault"}, {"nameOverride": "pike"}} {
		set := with(other, values{"image": values{"registry": registry}, "keeper": five})
		for _, state := range []string{"true", ""} {
			_, err := release{name: "another name", cluster: running(state, 1, 5), set: set}.render(root)
			if err == nil || !strings.Contains(err.Error(), "nameOverride and fullnameOverride are fixed") {
				wrong = append(wrong, fmt.Errorf("%v: an upgrade that replaces every Keeper at once: %v", other, err))
			}
		}
	}
	return errors.Join(wrong...)
}
