// Reads Kubernetes objects as one minor version of Kubernetes declares them: a field that it does not know, one that stands
// twice, and a value of another type are errors. go.mod names the newest version; kubernetes-*.mod name the ones before.
//
//	schema FILE...
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// A new object of each kind that the chart may render.
var kinds = map[string]func() any{
	"v1/Namespace":                             func() any { return &corev1.Namespace{} },
	"v1/Pod":                                   func() any { return &corev1.Pod{} },
	"v1/Service":                               func() any { return &corev1.Service{} },
	"v1/ServiceAccount":                        func() any { return &corev1.ServiceAccount{} },
	"apps/v1/Deployment":                       func() any { return &appsv1.Deployment{} },
	"apps/v1/StatefulSet":                      func() any { return &appsv1.StatefulSet{} },
	"batch/v1/Job":                             func() any { return &batchv1.Job{} },
	"networking.k8s.io/v1/NetworkPolicy":       func() any { return &networkingv1.NetworkPolicy{} },
	"policy/v1/PodDisruptionBudget":            func() any { return &policyv1.PodDisruptionBudget{} },
	"rbac.authorization.k8s.io/v1/Role":        func() any { return &rbacv1.Role{} },
	"rbac.authorization.k8s.io/v1/RoleBinding": func() any { return &rbacv1.RoleBinding{} },
	"spire.spiffe.io/v1alpha1/ClusterSPIFFEID": func() any { return &clusterSPIFFEID{} },
	"monitoring.coreos.com/v1/ServiceMonitor":  func() any { return &serviceMonitor{} },
}

// What the controller manager of SPIRE reads, as far as the chart may use it.
type clusterSPIFFEID struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		SPIFFEIDTemplate  string                `json:"spiffeIDTemplate"`
		TTL               metav1.Duration       `json:"ttl"`
		DNSNameTemplates  []string              `json:"dnsNameTemplates"`
		NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector"`
		PodSelector       *metav1.LabelSelector `json:"podSelector"`
		ClassName         string                `json:"className"`
		Hint              string                `json:"hint"`
	} `json:"spec"`
}

// What the Prometheus operator reads, as far as the chart may use it.
type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Path     string `json:"path"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

func main() {
	count := 0
	var wrong []error
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		for number, object := range bytes.Split(text, []byte("---\n")) {
			if len(bytes.TrimSpace(withoutComments(object))) == 0 {
				continue
			}
			count++
			if err := read(object); err != nil {
				wrong = append(wrong, fmt.Errorf("%s, object %d: %w", path, number, err))
			}
		}
	}
	if len(wrong) > 0 {
		fmt.Fprintln(os.Stderr, errors.Join(wrong...))
		os.Exit(1)
	}
	fmt.Println(count)
}

func withoutComments(object []byte) []byte {
	var kept []byte
	for _, line := range bytes.Split(object, []byte("\n")) {
		if !bytes.HasPrefix(line, []byte("#")) {
			kept = append(append(kept, line...), '\n')
		}
	}
	return kept
}

func read(object []byte) error {
	text, err := yaml.YAMLToJSONStrict(object)
	if err != nil {
		return err
	}
	var head metav1.TypeMeta
	if err := json.UnmarshalCaseSensitivePreserveInts(text, &head); err != nil {
		return err
	}
	kind := head.APIVersion + "/" + head.Kind
	fresh, is := kinds[kind]
	if !is {
		return fmt.Errorf("%s: nobody said that the chart renders this", kind)
	}
	strict, err := json.UnmarshalStrict(text, fresh())
	return errors.Join(append(strict, err)...)
}
