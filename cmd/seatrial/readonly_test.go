package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestReadOnlyRegistry pushes to those that only give: the distribution project's as a
// cache or under maintenance, and Harbor under maintenance.
func TestReadOnlyRegistry(t *testing.T) {
	dir, _ := savedImage(t)
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"distribution": replying(405, `{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}`),
		"a web server": replying(405, "<html>405 Not Allowed</html>"),
		"Harbor":       replying(403, `{"errors":[{"code":"DENIED","message":"The system is in read only mode. Any modification is prohibited."}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			reg := faulty(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				answer(w, r)
				return true
			})
			c := start(t, nil, "push", "--untested", dir, "-t", reg.Host+"/acme/app:1")
			c.exits(6)
			c.says(reg.Host+" takes no images", "pull-through cache", "maintenance", "no tag moved")
			if strings.Contains(c.stderr(), "credentials") {
				t.Errorf("other credentials would not help:\n%s", c.stderr())
			}
		})
	}
}

// Amazon ECR says 405, too, of a manifest that is of a kind it does not take.
func TestManifestThatIsNotAllowed(t *testing.T) {
	dir, _ := savedImage(t)
	reg := faulty(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		replying(405, `{"errors":[{"code":"UNSUPPORTED","message":"Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"}]}`)(w, r)
		return true
	})
	c := start(t, nil, "push", "--untested", dir, "-t", reg.Host+"/acme/app:1")
	c.exits(6)
	c.says("Invalid parameter at 'ImageManifest'", "no tag moved")
	if strings.Contains(c.stderr(), "takes no images") {
		t.Errorf("it has taken the layers:\n%s", c.stderr())
	}
}
