package registry

import (
	"cmp"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

const (
	// shortestSecret is the length from which a secret is masked: without a shorter one,
	// a text would not be understood, and show what is missing.
	shortestSecret = 4

	mask = "***"
)

// wireSecrets are the passwords and tokens that were sent, which a registry, or a
// gateway before it, may quote.
type wireSecrets struct {
	mu  sync.Mutex
	all map[string]bool
}

// note keeps those of a request: of its header, and of what a token server is sent.
func (s *wireSecrets) note(r *http.Request) {
	scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.add(sent)
	if plain, err := base64.StdEncoding.DecodeString(sent); err == nil && strings.EqualFold(scheme, "basic") {
		_, password, _ := strings.Cut(string(plain), ":")
		s.add(password)
	}
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.GetBody == nil {
		return
	}
	body, err := r.GetBody()
	if err != nil {
		return
	}
	defer body.Close()
	raw, err := io.ReadAll(body)
	if err != nil {
		return
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return
	}
	s.add(form.Get("password"))
	s.add(form.Get("refresh_token"))
}

func (s *wireSecrets) add(secret string) {
	if len(secret) < shortestSecret {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]bool{}
	}
	s.all[secret] = true
	s.all[url.QueryEscape(secret)] = true
}

// list has the longest first: one may be within another.
func (s *wireSecrets) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for secret := range s.all {
		all = append(all, secret)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	return all
}

// withoutSecrets masks them.
func withoutSecrets(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, mask)
	}
	return text
}
