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
			rendered, err := it.render(root)
			if err != nil {
				return err
			}
			wanted := fmt.Sprintf(head, name) + joined(rendered.objects)
			// Nobody manages these with Helm.
			wanted = strings.ReplaceAll(wanted, "app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl")
			wrong = append(wrong, do(filepath.Join(root, "deploy/kubernetes", name+".yaml"), wanted))
		}
	}
	return errors.Join(wrong...)
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
