package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/moby/buildkit/cmd/buildctl/build"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	mask = "***"
	// minMasked is the shortest line of a secret that is masked: replacing
	// every "1" would make the output unreadable and tell the secret.
	minMasked = 4
)

// secretStore gives secrets to the builder, and masks in the output those that it
// gave. Only what a step was given can be in its output.
type secretStore struct {
	secrets.SecretsServer
	ids   []string
	own   map[string][]byte // those that no flag names, by their IDs
	mu    sync.RWMutex
	given [][]byte // lines, the longest first
	all   sync.Once
}

// newSecretStore opens what --secret names. A file that is not there and a variable
// that is not set are errors.
func newSecretStore(values []string) (*secretStore, error) {
	var ids []string
	for _, v := range values {
		for _, field := range strings.Split(v, ",") {
			if id, ok := strings.CutPrefix(field, "id="); ok {
				ids = append(ids, id)
			}
			key, src, _ := strings.Cut(field, "=")
			if fi, err := os.Stat(src); err == nil && fi.IsDir() && slices.Contains([]string{"src", "source"}, strings.ToLower(key)) {
				return nil, usagef("a secret is one file: name each with an id of its own", "--secret %s: %s is a directory", v, src)
			}
			name, ok := strings.CutPrefix(field, "env=")
			if _, set := os.LookupEnv(name); ok && !set {
				return nil, usagef("set it, or name a file: id=ID,src=FILE", "--secret %s: the variable %s is not set", v, name)
			}
		}
	}
	a, err := build.ParseSecret(values)
	if err != nil {
		return nil, err
	}
	server, ok := a.(secrets.SecretsServer)
	if !ok {
		return nil, usagef("", "--secret: this BuildKit gives no access to its secrets (%T)", a)
	}
	return &secretStore{SecretsServer: server, ids: ids}, nil
}

var _ session.Attachable = (*secretStore)(nil)

// Register implements session.Attachable.
func (s *secretStore) Register(server *grpc.Server) { secrets.RegisterSecretsServer(server, s) }

// GetSecret is called by the builder.
func (s *secretStore) GetSecret(ctx context.Context, req *secrets.GetSecretRequest) (*secrets.GetSecretResponse, error) {
	if data, ok := s.own[req.ID]; ok {
		s.note(data)
		return &secrets.GetSecretResponse{Data: data}, nil
	}
	if s.SecretsServer == nil {
		return nil, status.Errorf(codes.NotFound, "secret %s: not found", req.ID)
	}
	resp, err := s.SecretsServer.GetSecret(ctx, req)
	if err == nil {
		s.note(resp.Data)
	}
	return resp, err
}

// has tells whether the builder would be given a secret. A store that is nil has none.
func (s *secretStore) has(id string) bool {
	if s == nil {
		return false
	}
	if _, ok := s.own[id]; ok {
		return true
	}
	if s.SecretsServer == nil {
		return false
	}
	_, err := s.SecretsServer.GetSecret(context.Background(), &secrets.GetSecretRequest{ID: id})
	return status.Code(err) != codes.NotFound
}

func (s *secretStore) note(secret []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range bytes.Split(secret, []byte("\n")) {
		line = bytes.TrimSpace(line)
		known := func(b []byte) bool { return bytes.Equal(b, line) }
		if len(line) >= minMasked && !slices.ContainsFunc(s.given, known) {
			s.given = append(s.given, line)
		}
	}
	slices.SortFunc(s.given, func(a, b []byte) int { return len(b) - len(a) })
}

// redact masks what was given. It sees output in the pieces that the builder
// sends, which end where a write of the step ended: a secret that a step writes
// in parts is not found.
func (s *secretStore) redact(data []byte) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, line := range s.given {
		data = bytes.ReplaceAll(data, line, []byte(mask))
	}
	return data
}

// redactAny masks all secrets that could have been given, now or when a step ran that
// comes from the cache now.
func (s *secretStore) redactAny(data []byte) []byte {
	s.all.Do(func() {
		for _, id := range s.ids {
			if resp, err := s.GetSecret(context.Background(), &secrets.GetSecretRequest{ID: id}); err == nil {
				s.note(resp.Data)
			}
		}
		for _, data := range s.own {
			s.note(data)
		}
	})
	return s.redact(data)
}
