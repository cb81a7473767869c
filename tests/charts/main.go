// Renders the chart in deploy/helm/spike with Helm's own engine, and checks what comes out.
//
//	charts check ROOT           the checks below; a line for each on standard output
//	charts update ROOT          writes deploy/kubernetes anew
//	charts cases ROOT DIR       what each case renders, a file each
//	charts pods ROOT NODE FILE  what `podman kube play` understands of a release; see pods.go
//	charts forward PORT TARGET  passes connections on, as a Service whose port is not that of its pod does
//
// ROOT is the directory of the repository. It ends with 1 if anything is wrong.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "charts: %v\n", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return errors.New("expected check, update, cases, pods or forward, and what it is about")
	}
	if arguments[0] == "forward" && len(arguments) == 3 {
		return forward(arguments[1], arguments[2])
	}
	root, rest := arguments[1], arguments[2:]
	switch {
	case arguments[0] == "check" && len(rest) == 0:
		return check(root)
	case arguments[0] == "update" && len(rest) == 0:
		return update(root)
	case arguments[0] == "cases" && len(rest) == 1:
		return writeCases(root, rest[0])
	case arguments[0] == "pods" && len(rest) == 2:
		return writePods(root, rest[0], rest[1])
	}
	return fmt.Errorf("%q: not understood", arguments)
}

// check goes through everything, and tells of all that is wrong.
func check(root string) error {
	var wrong []error
	for _, step := range []struct {
		name string
		run  func(string) error
	}{
		{"deploy/kubernetes is what the chart renders", checkGolden},
		{"every case passes Pod Security restricted", checkPodSecurity},
		{"values that make no sense are refused, and the message names them", checkRefusals},
		{"an upgrade asks the cluster what it may replace", checkUpgrades},
	} {
		if err := step.run(root); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", step.name, err))
			continue
		}
		fmt.Println("ok:", step.name)
	}
	return errors.Join(wrong...)
}

func writeCases(root, directory string) error {
	for _, it := range cases {
		manifests, err := it.render(root)
		if err != nil {
			return fmt.Errorf("%s: %w", it.name, err)
		}
		path := filepath.Join(directory, it.name+".yaml")
		if err := os.WriteFile(path, []byte(manifests.text()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
