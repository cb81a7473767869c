package main

import (
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// A pod, or the template of one, and what it is in.
type pod struct {
	kind, name string
	meta       metav1.ObjectMeta
	spec       corev1.PodSpec
	replicas   int32
	service    string
	// The volumes that a StatefulSet makes for it.
	claims []corev1.PersistentVolumeClaim
}

func podOf(object string) (pod, bool, error) {
	var head metav1.PartialObjectMetadata
	if err := yaml.Unmarshal([]byte(object), &head); err != nil {
		return pod{}, false, err
	}
	found := pod{kind: head.Kind, name: head.Name}
	var err error
	take := func(template corev1.PodTemplateSpec) { found.meta, found.spec = template.ObjectMeta, template.Spec }
	switch head.Kind {
	case "StatefulSet":
		var it appsv1.StatefulSet
		err = yaml.Unmarshal([]byte(object), &it)
		take(it.Spec.Template)
		found.claims, found.service = it.Spec.VolumeClaimTemplates, it.Spec.ServiceName
		if it.Spec.Replicas != nil {
			found.replicas = *it.Spec.Replicas
		}
	case "Deployment":
		var it appsv1.Deployment
		err = yaml.Unmarshal([]byte(object), &it)
		take(it.Spec.Template)
	case "Job":
		var it batchv1.Job
		err = yaml.Unmarshal([]byte(object), &it)
		take(it.Spec.Template)
	case "Pod":
		var it corev1.Pod
		err = yaml.Unmarshal([]byte(object), &it)
		found.meta, found.spec = it.ObjectMeta, it.Spec
	default:
		return pod{}, false, nil
	}
	return found, true, err
}

func checkPodSecurity(root string) error {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	var wrong []error
	for _, it := range cases {
		rendered, err := it.render(root)
		if err != nil {
			return fmt.Errorf("%s: %w", it.name, err)
		}
		pods := 0
		for _, object := range append(rendered.objects, rendered.hooks...) {
			pod, is, err := podOf(object)
			if err != nil {
				return err
			}
			if !is {
				continue
			}
			pods++
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.meta, &pod.spec))
			if !result.Allowed {
				wrong = append(wrong, fmt.Errorf("%s, %s: %s", it.name, pod.kind+" "+pod.name, result.ForbiddenDetail()))
			}
		}
		if pods < 2 {
			wrong = append(wrong, fmt.Errorf("%s: only %d pods were found", it.name, pods))
		}
	}
	// What would be seen if the library allowed everything.
	root0 := int64(0)
	bad := corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{RunAsUser: &root0}, Containers: []corev1.Container{{Name: "x"}}}
	if policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &metav1.ObjectMeta{}, &bad)).Allowed {
		wrong = append(wrong, errors.New("a pod that runs as root is allowed"))
	}
	return errors.Join(wrong...)
}
