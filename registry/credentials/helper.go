package credentials

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

const (
	helperPrefix = "docker-credential-"
	// helperLimit is how long a helper may take: some ask a cloud, or a human.
	helperLimit = 30 * time.Second
	// hubServer is what helpers know Docker Hub by.
	hubServer = "https://" + name.DefaultRegistry + "/v1/"
	// answerLimit is how much a helper may say: one that loops would fill the memory.
	answerLimit = 1 << 20
	// keep is how long an answer counts. Tokens of Google's workload identity, the
	// shortest-lived, last five minutes.
	keep = 4 * time.Minute
)

// helpers run credential helpers, each once for a host.
type helpers struct {
	limit   time.Duration
	apart   bool          // in groups of their own, which cannot read from a terminal
	running chan struct{} // holds one token: two helpers at a time may ask a human twice
	mu      sync.Mutex
	answers map[string]answer
}

type answer struct {
	auth *authn.AuthConfig
	at   time.Time
}

func newHelpers(limit time.Duration) *helpers {
	return &helpers{limit: limit, apart: !atTerminal(), running: make(chan struct{}, 1), answers: map[string]answer{}}
}

// get is nil if the helper has nothing for the host.
func (h *helpers) get(ctx context.Context, helper, host string) (*authn.AuthConfig, error) {
	select {
	case h.running <- struct{}{}:
		defer func() { <-h.running }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	key := helper + " " + host
	h.mu.Lock()
	a, ok := h.answers[key]
	h.mu.Unlock()
	if ok && time.Since(a.at) < keep {
		return a.auth, nil
	}
	auth, err := h.run(ctx, helperPrefix+helper, host)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.answers[key] = answer{auth, time.Now()}
	h.mu.Unlock()
	return auth, nil
}

// run speaks the protocol of credential helpers: the server on standard input, JSON on
// standard output, or there as well what went wrong.
func (h *helpers) run(ctx context.Context, program, host string) (*authn.AuthConfig, error) {
	server := host
	if host == name.DefaultRegistry {
		server = hubServer
	}
	limited, cancel := context.WithTimeout(ctx, h.limit)
	defer cancel()
	cmd := exec.CommandContext(limited, program, credentials.ActionGet)
	if h.apart {
		setApart(cmd)
	}
	cmd.WaitDelay = time.Second // a child of its own may hold its output open
	cmd.Stdin = strings.NewReader(server)
	var out, stderr output
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended well, and left an agent or the like that holds its output open
	}
	said := strings.TrimSpace(out.text.String())
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case limited.Err() != nil:
		return nil, fmt.Errorf("credential helper %s has not answered for %s in %s", program, host, h.limit)
	case out.tooLong || stderr.tooLong:
		return nil, fmt.Errorf("credential helper %s says more than %d bytes for %s", program, answerLimit, host)
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("credential helper %s for %s is not on PATH", program, host)
	case err != nil && credentials.IsErrCredentialsNotFoundMessage(said):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("credential helper %s failed for %s: %w%s", program, host, err, complaint(said, stderr.text.String()))
	}
	var found credentials.Credentials
	if err := json.Unmarshal(out.text.Bytes(), &found); err != nil {
		return nil, fmt.Errorf("credential helper %s: its answer for %s is no JSON", program, host)
	}
	switch {
	case found.Secret == "":
		return nil, nil
	case found.Username == "<token>": // how the protocol marks an identity token
		return &authn.AuthConfig{IdentityToken: found.Secret}, nil
	}
	return &authn.AuthConfig{Username: found.Username, Password: found.Secret}, nil
}

// output is what a helper says, up to answerLimit.
type output struct {
	text    bytes.Buffer
	tooLong bool
}

// Write ends the helper, which nobody listens to any longer, when that is exceeded.
func (o *output) Write(p []byte) (int, error) {
	if o.text.Len()+len(p) > answerLimit {
		o.tooLong = true
		return 0, io.ErrShortWrite
	}
	return o.text.Write(p)
}

// complaint is the first line of what a helper said when it failed, unless that is
// what it should have given, or a shell's trace of how it came by that.
func complaint(said ...string) string {
	for _, s := range said {
		for line := range strings.Lines(s) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "+") {
				continue
			}
			if !strings.Contains(line, "{") && len(line) < 300 {
				return ": " + line
			}
			break
		}
	}
	return ""
}
