package testenv

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ActionsCache is the cache service of GitHub Actions, version 2, on loopback: what
// is in it is kept in a store like Azure's, as there.
type ActionsCache struct {
	// Env is what the runner has in the environment of a job.
	Env []string

	server *httptest.Server
	token  string
	mu     sync.Mutex
	keys   []string // in the order in which they were made
}

// StartActionsCache starts the service. Its one scope can be read and written.
func StartActionsCache(t testing.TB) *ActionsCache {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"ac":  `[{"Scope":"refs/heads/main","Permission":3}]`,
		"exp": time.Now().Add(24 * time.Hour).Unix(),
		"nbf": time.Now().Add(-time.Hour).Unix(),
	}).SignedString([]byte("not secret"))
	if err != nil {
		t.Fatalf("making a token: %v", err)
	}
	c := &ActionsCache{token: token}
	mux := http.NewServeMux()
	const service = "POST /results/twirp/github.actions.results.api.v1.CacheService/"
	mux.HandleFunc(service+"CreateCacheEntry", c.authorized(c.create))
	mux.HandleFunc(service+"FinalizeCacheEntryUpload", c.authorized(c.finalize))
	mux.HandleFunc(service+"GetCacheEntryDownloadURL", c.authorized(c.find))
	mux.Handle("/blobs/", newBlobStore())
	c.server = httptest.NewServer(mux)
	t.Cleanup(c.server.Close)
	c.Env = []string{
		"ACTIONS_CACHE_SERVICE_V2=True", "ACTIONS_RUNTIME_TOKEN=" + token,
		"ACTIONS_RESULTS_URL=" + c.server.URL + "/results/", "ACTIONS_CACHE_URL=" + c.server.URL + "/gone/",
	}
	return c
}

// Keys are those of the entries that are complete.
func (c *ActionsCache) Keys() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.keys...)
}

// entryRequest is what all calls are told.
type entryRequest struct {
	Key         string   `json:"key"`
	RestoreKeys []string `json:"restore_keys"`
}

func (c *ActionsCache) authorized(call func(entryRequest) map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+c.token {
			http.Error(w, `{"code":"unauthenticated"}`, http.StatusUnauthorized)
			return
		}
		var req entryRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, `{"code":"malformed"}`, http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(call(req)) // whoever has gone needs no answer
	}
}

func (c *ActionsCache) create(req entryRequest) map[string]any {
	return map[string]any{"ok": true, "signed_upload_url": c.url(req.Key)}
}

func (c *ActionsCache) finalize(req entryRequest) map[string]any {
	c.keys = append(c.keys, req.Key)
	return map[string]any{"ok": true, "entry_id": "1"}
}

// find looks for the key, and for the latest that begins with one of the others.
func (c *ActionsCache) find(req entryRequest) map[string]any {
	for _, prefix := range append([]string{req.Key}, req.RestoreKeys...) {
		for i := len(c.keys) - 1; i >= 0; i-- {
			if strings.HasPrefix(c.keys[i], prefix) {
				return map[string]any{"ok": true, "signed_download_url": c.url(c.keys[i]), "matched_key": c.keys[i]}
			}
		}
	}
	return map[string]any{"ok": false}
}

func (c *ActionsCache) url(key string) string {
	return c.server.URL + path.Join("/blobs", "cache", url.PathEscape(key)) + "?sig=1"
}
