package main

import (
	"errors"
	"fmt"
	"strings"
)

// Values that Helm must not take, and a word of what it says.
var refused = []struct {
	set  values
	says string
}{
	{values{}, "image.registry is needed"},
	{values{"nexus": values{"replicas": 2}}, "replicas"},
	{values{"keeper": values{"replicas": 3, "threshold": 3}}, "keeper.threshold must be below keeper.replicas"},
	{values{"keeper": values{"threshold": 1}}, "threshold"},
	{values{"keeper": values{"replicas": "3"}}, "replicas"},
	{values{"keeper": values{"antiAffinity": "hard"}}, "antiAffinity"},
	{values{"keeper": values{"partition": "all"}}, "partition"},
	{values{"nexus": values{"backend": "memory"}}, "backend"},
	{values{"nexus": values{"persistence": values{"size": "lots"}}}, "size"},
	{values{"nexus": values{"env": values{"spike": "x"}}}, "spike"},
	{values{"trustDomain": "spiffe://example.org"}, "trustDomain"},
	{values{"trustRoots": values{"nexus": "a b"}}, "nexus"},
	{values{"image": values{"digests": values{"nexus": "sha256:1"}}}, "nexus"},
	{values{"image": values{"registry": "registry.example.org/"}}, "registry"},
	{values{"image": values{"registry": "https://registry.example.org"}}, "registry"},
	{values{"trustDomain": ".."}, "trustDomain"},
	{values{"nexus": values{"persistence": values{"size": "0Gi"}}}, "size"},
	{values{"nexus": values{"persistence": values{"existingClaim": "Bad_Name"}}}, "existingClaim"},
	{values{"fullnameOverride": "1spike"}, "fullnameOverride"},
	{values{"fullnameOverride": strings.Repeat("a", 41)}, "fullnameOverride"},
	{values{"typo": true}, "typo"},
}

func checkRefusals(root string) error {
	var wrong []error
	for _, it := range refused {
		set := it.set
		if _, has := set["image"]; !has && len(set) > 0 {
			set = with(set, values{"image": values{"registry": registry}})
		}
		_, err := release{name: "refused", set: set}.render(root)
		switch {
		case err == nil:
			wrong = append(wrong, fmt.Errorf("%v is taken", it.set))
		case !strings.Contains(err.Error(), it.says):
			wrong = append(wrong, fmt.Errorf("%v: the message does not say %q: %w", it.set, it.says, err))
		}
	}
	// Names that Helm takes for a release, and that Kubernetes refuses for a Service.
	for _, called := range []string{"1spike", "spike.prod"} {
		_, err := release{name: "refused", called: called, set: values{"image": values{"registry": registry}}}.render(root)
		if err == nil || !strings.Contains(err.Error(), "cannot be the name of a Service") {
			wrong = append(wrong, fmt.Errorf("a release called %s: %v", called, err))
		}
	}
	return errors.Join(wrong...)
}
