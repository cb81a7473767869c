package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The cases that are also for those without Helm.
var golden = []string{"try-out", "production"}

// The pods in which operators work, a file for each role, to be applied for as long as somebody works. What the chart calls a
// role: what has to be said to get it.
var roles = []struct {
	name string
	set  values
}{
	{"pilot", values{"pilot": values{"enabled": true}}},
	{"recover", values{"ceremony": values{"recover": true}}},
	{"restore", values{"ceremony": values{"restore": true}}},
}

// Without Helm nobody runs `helm test`, whose pod would be a superuser.
var noTest = values{"test": values{"enabled": false}}

const roleHead = `# The pod of SPIKE for the role %s, as deploy/helm/spike renders it. Whoever may exec into it has the role: apply it for
# as long as somebody works, and delete it afterwards. docs/operations/kubernetes.md says how. Put your own registry in the place
# of registry.example.org/spike, and your trust domain in the place of example.org.
# To change it, change the chart and run: UPDATE_CHARTS=1 cargo test -p spike-tests --test specs charts
`

const head = `# SPIKE %s, as deploy/helm/spike renders it with values-%[1]s.yaml, and its namespace. Put your own registry in the place of
# registry.example.org/spike, and your trust domain in the place of example.org: docs/operations/kubernetes.md.
# To change it, change the chart and run: UPDATE_CHARTS=1 cargo test -p spike-tests --test specs charts
---
apiVersion: v1
kind: Namespace
metadata:
  name: spike
  labels:
    pod-security.kubernetes.io/enforce: restricted
`

func checkGolden(root string) error {
	return eachGolden(root, func(path, wanted string) error {
		found, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if string(found) != wanted {
			return fmt.Errorf("%s differs from what the chart renders: %s", path, firstDifference(string(found), wanted))
		}
		return nil
	})
}

func update(root string) error {
	return eachGolden(root, func(path, wanted string) error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(wanted), 0o644)
	})
}

func eachGolden(root string, do func(path, wanted string) error) error {
	var wrong []error
	for _, name := range golden {
		for _, it := range cases {
			if it.name != name {
				continue
			}
			it.set = with(it.set, noTest)
			rendered, err := it.render(root)
			if err != nil {
				return err
			}
			wanted := fmt.Sprintf(head, name) + unmanaged(rendered.objects)
			wrong = append(wrong, do(filepath.Join(root, "deploy/kubernetes", name+".yaml"), wanted))
		}
	}
	for _, role := range roles {
		set := with(with(values{"image": values{"registry": registry}, "pilot": values{"enabled": false}}, noTest), role.set)
		rendered, err := release{name: role.name, set: set}.render(root)
		if err != nil {
			return err
		}
		var own []string
		for _, object := range rendered.objects {
			// The first label is that of the object itself.
			_, label, _ := strings.Cut(object, "app.kubernetes.io/component: ")
			if strings.HasPrefix(label, role.name+"\n") {
				own = append(own, object)
			}
		}
		wanted := fmt.Sprintf(roleHead, role.name) + unmanaged(own)
		wrong = append(wrong, do(filepath.Join(root, "deploy/kubernetes/roles", role.name+".yaml"), wanted))
	}
	return errors.Join(wrong...)
}

// Nobody manages these with Helm.
func unmanaged(objects []string) string {
	return strings.ReplaceAll(joined(objects), "app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl")
}

func firstDifference(found, wanted string) string {
	lines := strings.Split(wanted, "\n")
	for number, line := range strings.Split(found, "\n") {
		if number >= len(lines) || lines[number] != line {
			return fmt.Sprintf("line %d: %q", number+1, line)
		}
	}
	return "it ends too early"
}
