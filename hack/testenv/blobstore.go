package testenv

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// blobStore speaks as much of Azure's Blob service as caches need: block blobs in
// containers, by their paths, for everybody. There is no such server in Go or in
// Debian.
type blobStore struct {
	mu     sync.Mutex
	blobs  map[string][]byte
	blocks map[string][]byte // by path, and the block's ID
}

func newBlobStore() *blobStore {
	return &blobStore{blobs: map[string][]byte{}, blocks: map[string][]byte{}}
}

// StartBlobStore is a server like that of Azure's Blob service on loopback, in memory,
// for any account and with any container. It returns its URL.
func StartBlobStore(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(newBlobStore())
	t.Cleanup(server.Close)
	return server.URL
}

// ServeHTTP implements http.Handler.
func (s *blobStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-ms-request-id", "1")
	w.Header().Set("x-ms-version", r.Header.Get("x-ms-version"))
	query := r.URL.Query()
	switch {
	case query.Get("restype") == "container":
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusCreated)
		}
	case r.Method == http.MethodPut:
		if err := s.put(r.URL.Path, query.Get("comp"), query.Get("blockid"), r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
	default:
		s.get(w, r)
	}
}

func (s *blobStore) put(path, comp, block string, body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch comp {
	case "":
		s.blobs[path] = data
	case "block":
		s.blocks[path+" "+block] = data
	case "blocklist":
		var list struct {
			IDs []string `xml:"Latest"`
		}
		if err := xml.Unmarshal(data, &list); err != nil {
			return err
		}
		var whole []byte
		for _, id := range list.IDs {
			whole = append(whole, s.blocks[path+" "+id]...)
		}
		s.blobs[path] = whole
	default:
		return fmt.Errorf("comp=%s is not known", comp)
	}
	return nil
}

func (s *blobStore) get(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	data, found := s.blobs[r.URL.Path]
	s.mu.Unlock()
	if !found {
		w.Header().Set("x-ms-error-code", "BlobNotFound")
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if from := r.Header.Get("x-ms-range"); from != "" {
		r.Header.Set("Range", from)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("x-ms-blob-type", "BlockBlob")
	http.ServeContent(w, r, "", time.Now(), strings.NewReader(string(data)))
}
