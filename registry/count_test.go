package registry_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

// connections counts those that requests came by.
func connections(t *testing.T) (wrap func(http.Handler) http.Handler, count func() int) {
	t.Helper()
	var mu sync.Mutex
	from := map[string]bool{}
	wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			mu.Lock()
			from[req.RemoteAddr] = true
			mu.Unlock()
			next.ServeHTTP(w, req)
		})
	}
	return wrap, func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(from)
	}
}

// One more tag is one request to write it, and one to read it back. Only one of those that
// move is looked at before: without that, a registry that moves no tag could not be told from
// another push that moves it on. Where that one is new, all are looked at. Unchanged, a
// tag is only looked at. A lone tag puts the manifest, too.
func TestRequestsForOneMoreTag(t *testing.T) {
	old, a := loadedMany(t, 5, 1000), loadedMany(t, 5, 1000)
	for _, tags := range [][]string{{"1"}, {"1", "2"}, {"1", "2", "3"}} {
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
		var refs []string
		for _, tag := range tags {
			refs = append(refs, reg.Host+"/app:"+tag)
		}
		// The ping, the manifest (is it there? put it), and each of 6 blobs (is it
		// there? begin, put it).
		image := 1 + 2 + 3*6
		if len(tags) == 1 {
			image--
		}
		for _, one := range []struct {
			what string
			want int
			push registry.Artifact
		}{
			{"new", image + 3*len(tags), old},
			{"moved", image + 3 + 2*(len(tags)-1), a},
		} {
			reg.Forget()
			p := newPush(t, registry.Options{}, refs...)
			if err := p.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			upload(t, p, one.push)
			commit(t, p, one.push)
			if got := len(reg.Requests()); got != one.want {
				t.Errorf("%d %s tags cost %d requests, want %d: %v", len(tags), one.what, got, one.want, reg.Requests())
			}
		}
		reg.Forget()
		push(t, a, registry.Options{}, refs...)
		if want, got := 1+1+len(tags), len(reg.Requests()); got != want {
			t.Errorf("%d tags that need not move cost %d requests, want %d: %v", len(tags), got, want, reg.Requests())
		}
	}
}

// A token is asked for once for what it allows, and connections are kept.
func TestTokensAndConnections(t *testing.T) {
	wrap, count := connections(t)
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: testenv.AuthToken, Wrap: wrap})
	opt := registry.Options{Keychain: reg.Keychain(), Jobs: 3}
	push(t, loadedMany(t, 20, 1000), opt, reg.Host+"/app:1", reg.Host+"/app:2")
	if diff := cmp.Diff([]string{"repository:app:push,pull"}, reg.Scopes()); diff != "" {
		t.Errorf("scopes asked for (-want +got):\n%s", diff)
	}
	// One finds out that this is no TLS. Small blobs and questions take twice the jobs.
	if n := count(); n > 2*3+1 {
		t.Errorf("%d connections for 3 jobs, want no more than they need", n)
	}
}

// What the daemon notes of where blobs came from tells where to mount them from.
func TestMountByTheDaemonsLabels(t *testing.T) {
	for _, auth := range []testenv.Auth{testenv.AuthNone, testenv.AuthToken} {
		reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: auth})
		opt := registry.Options{Keychain: reg.Keychain()}
		d := startDaemon(t)
		img := testenv.RandomImage(t, 2, 20_000)
		push(t, d.load(t, d.add(t, img), registry.LoadOptions{}), opt, reg.Host+"/team/first:1")
		host, _, _ := strings.Cut(reg.Host, ":") // containerd leaves the port out
		for _, h := range digestsOf(t, img) {
			d.label(t, h, "containerd.io/distribution.source."+host, "team/gone,team/first")
		}
		d.label(t, digestsOf(t, img)[0], "containerd.io/distribution.source.elsewhere.example", "secret/name")
		next := d.load(t, d.add(t, onTop(t, img)), registry.LoadOptions{})
		reg.Forget()
		pushed := push(t, next, opt, reg.Host+"/team/second:1")
		if n := reg.Count("PUT", "/blobs/uploads/"); n != 2 {
			t.Errorf("authentication %d: %d blobs sent, want the new layer and the config", auth, n)
		}
		for _, req := range reg.Requests() {
			if strings.Contains(req.String(), "secret") {
				t.Errorf("%s tells a name of another registry", req)
			}
		}
		pull(t, pushed[0].Reference, reg)
	}
}
