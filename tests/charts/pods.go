package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// A directory of this machine in which everything is that a node would bring: the socket of the SPIFFE CSI driver in
// `socket`, the ConfigMap of Bootstrap in `bootstrap-state`, volumes in `volumes`.
type node string

// writePods turns a release into what `podman kube play` understands: pods, one in a file each. What a pod is made of stays
// as it is rendered. Podman knows no StatefulSet, Job, CSI driver and claim, and asks its probes by programs in the image,
// where there are none: so those are replaced by pods and directories, or left out.
//
// file has the objects; "try-out" renders the chart. A line for each pod goes to standard output: its name, and the names by
// which others reach it.
func writePods(root, directory, file string) error {
	objects, err := objectsOf(root, file)
	if err != nil {
		return err
	}
	out := filepath.Join(directory, "pods")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var services []corev1.Service
	for _, object := range objects {
		var service corev1.Service
		if err := yaml.Unmarshal([]byte(object), &service); err == nil && service.Kind == "Service" {
			services = append(services, service)
		}
	}
	for _, object := range objects {
		found, is, err := podOf(object)
		if err != nil {
			return err
		}
		if !is {
			continue
		}
		for _, it := range node(directory).pods(found) {
			if err := makeDirectories(it); err != nil {
				return err
			}
			text, err := yaml.Marshal(it)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(out, it.Name+".yaml"), text, 0o644); err != nil {
				return err
			}
			fmt.Println(it.Name, strings.Join(namesOf(it, found, services), " "))
		}
	}
	return nil
}

func objectsOf(root, file string) ([]string, error) {
	if file != "try-out" {
		text, err := os.ReadFile(file)
		return strings.Split(string(text), "\n---\n"), err
	}
	for _, it := range cases {
		if it.name == file {
			it.set = values{"image": values{"registry": "localhost", "tag": "walk"}, "pilot": values{"shell": "localhost/busybox:walk"}}
			rendered, err := it.render(root)
			return append(rendered.objects, rendered.hooks...), err
		}
	}
	return nil, fmt.Errorf("no case %s", file)
}

func (it node) pods(found pod) []corev1.Pod {
	switch found.kind {
	case "StatefulSet":
		var pods []corev1.Pod
		for number := range found.replicas {
			pods = append(pods, it.pod(found, fmt.Sprintf("%s-%d", found.name, number)))
		}
		return pods
	case "Job", "Deployment", "Pod":
		return []corev1.Pod{it.pod(found, found.name)}
	}
	return nil
}

func (it node) pod(found pod, name string) corev1.Pod {
	spec := *found.spec.DeepCopy()
	spec.Hostname = name
	for number := range spec.Containers {
		container := &spec.Containers[number]
		container.StartupProbe, container.LivenessProbe, container.ReadinessProbe = nil, nil, nil
		// Podman would publish them, which it cannot in a network that it has not made.
		container.Ports = nil
		if found.kind == "Job" {
			// In Kubernetes it writes into a ConfigMap; there is none, so that it writes a file.
			container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "state", MountPath: "/.spike"})
		}
	}
	if found.kind == "Job" {
		spec.Volumes = append(spec.Volumes, it.directory("state", "volumes/bootstrap"))
	}
	for number, volume := range spec.Volumes {
		switch {
		case volume.EmptyDir != nil:
			spec.Volumes[number] = it.directory(volume.Name, "volumes/"+name+"-"+volume.Name)
		case volume.CSI != nil:
			spec.Volumes[number] = it.directory(volume.Name, "socket")
		case volume.ConfigMap != nil:
			spec.Volumes[number] = it.directory(volume.Name, "bootstrap-state")
		}
	}
	for _, claim := range found.claims {
		spec.Volumes = append(spec.Volumes, it.directory(claim.Name, "volumes/"+claim.Name))
	}
	// Podman 4.3 fails when it removes an init container that has just ended, so that it is told to keep them.
	keep := map[string]string{"io.podman.annotations.init.container.type": "always"}
	return corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: found.meta.Labels, Annotations: keep},
		Spec:       spec,
	}
}

func (it node) directory(name, path string) corev1.Volume {
	kind := corev1.HostPathDirectory
	source := corev1.HostPathVolumeSource{Path: filepath.Join(string(it), path), Type: &kind}
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &source}}
}

// Those of a node that are not there yet, as fsGroup leaves them.
func makeDirectories(it corev1.Pod) error {
	for _, volume := range it.Spec.Volumes {
		path := volume.HostPath.Path
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if group := it.Spec.SecurityContext.FSGroup; group != nil {
			if err := errors.Join(os.Chown(path, 0, int(*group)), os.Chmod(path, 0o770|os.ModeSetgid)); err != nil {
				return err
			}
		}
	}
	return nil
}

// The names that the cluster would have for a pod.
func namesOf(it corev1.Pod, found pod, services []corev1.Service) []string {
	var names []string
	add := func(name string) { names = append(names, name, name+".spike.svc.cluster.local") }
	if found.service != "" {
		add(it.Name + "." + found.service)
	}
	for _, service := range services {
		selects := len(service.Spec.Selector) > 0
		for label, value := range service.Spec.Selector {
			selects = selects && it.Labels[label] == value
		}
		if selects {
			add(service.Name)
		}
	}
	// A Service of the set's own name, where its objects are not given.
	if len(services) == 0 && found.kind == "StatefulSet" && found.service == "" {
		add(found.name)
	}
	return names
}
