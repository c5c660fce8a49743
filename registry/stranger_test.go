package registry_test

import (
	"net/http"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// scant is a registry's answer to HEAD without what it need not say.
type scant struct {
	http.ResponseWriter
	without []string
	told    *bool // WriteHeader was called
}

func (s scant) WriteHeader(status int) {
	for _, key := range s.without {
		s.Header().Del(key)
	}
	s.ResponseWriter.WriteHeader(status)
	*s.told = true
}

func (s scant) Write(p []byte) (int, error) {
	if !*s.told {
		s.WriteHeader(http.StatusOK)
	}
	return s.ResponseWriter.Write(p)
}

// A registry that says less of what it has than most is one all the same.
func TestRegistryThatSaysLittle(t *testing.T) {
	for name, without := range map[string][]string{
		"no digest":               {"Docker-Content-Digest"},
		"no length":               {"Content-Length"},
		"no digest and no type":   {"Docker-Content-Digest", "Content-Type"},
		"no digest and no length": {"Docker-Content-Digest", "Content-Length"},
		"nothing":                 {"Docker-Content-Digest", "Content-Length", "Content-Type", "Docker-Distribution-Api-Version"},
	} {
		t.Run(name, func(t *testing.T) {
			onRegistries(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if req.Method == http.MethodHead || req.URL.Path == "/v2/" {
						w = scant{w, without, new(bool)}
					}
					next.ServeHTTP(w, req)
				})
			}, func(t *testing.T, reg *testenv.Registry) {
				tags := []string{reg.Host + "/app:1", reg.Host + "/app:2"}
				first, second := loaded(t), loaded(t)
				for _, a := range []registry.Artifact{first, second, second, first} {
					push(t, a, registry.Options{}, tags...)
					for _, tag := range tags {
						if got, want := names(t, tag), must(a.Digest())(t).String(); got != want {
							t.Errorf("%s names %s, want %s", tag, got, want)
						}
					}
				}
			})
		})
	}
}
