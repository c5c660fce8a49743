package buildkitd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// defaultSocketTimeout bounds the wait for a default socket that accepts
// connections: whoever listens is there already, so it need not come up first.
const defaultSocketTimeout = 5 * time.Second

// lateAfter is how long a builder may take to answer before that is noted.
const lateAfter = time.Second

// Connect returns a builder that has answered. An address that the user gave
// must work: another builder would have another cache, and perhaps another
// network. Every error is an *Error, except when ctx ended.
func Connect(ctx context.Context, opt Options) (*Builder, error) {
	opt = opt.withDefaults()
	switch opt.Addr {
	case Auto:
		return connectAuto(ctx, opt)
	case Private:
		return connectPrivate(ctx, opt)
	default:
		return connectTo(ctx, opt, opt.Addr)
	}
}

func connectAuto(ctx context.Context, opt Options) (*Builder, error) {
	if host := opt.Env("BUILDKIT_HOST"); host != "" {
		b, err := connectTo(ctx, opt, host)
		var e *Error
		if errors.As(err, &e) && !e.Usage {
			e.Hint = strings.TrimSpace(e.Hint + "\nthe address comes from BUILDKIT_HOST; unset it to have a builder found or started")
		}
		return b, err
	}
	for _, addr := range defaultAddrs(opt) {
		b, err := connectDefault(ctx, addr)
		if err == nil {
			return b, nil
		}
		if ctx.Err() != nil {
			return nil, interrupted(ctx)
		}
		if !errors.Is(err, os.ErrNotExist) {
			opt.Notes("not using the builder at %s: %v", addr, err)
		}
	}
	b, err := connectPrivate(ctx, opt)
	var e *Error
	if errors.As(err, &e) {
		e.Addr = ""
		e.Err = fmt.Errorf("no buildkitd was found, and none could be started: %w", e.Err)
		e.Hint = strings.TrimSpace(e.Hint + "\nor name a running buildkitd with --addr or BUILDKIT_HOST")
	}
	return b, err
}

// defaultAddrs are buildkitd's own, the rootful one first.
func defaultAddrs(opt Options) []string {
	addrs := []string{opt.seams.rootAddr}
	runtime := opt.Env("XDG_RUNTIME_DIR")
	if runtime == "" {
		// A login through su, cron or a container has no XDG_RUNTIME_DIR, and
		// yet the directory may be there.
		runtime = "/run/user/" + strconv.Itoa(os.Geteuid())
	}
	if user := "unix://" + filepath.Join(runtime, "buildkit", "buildkitd.sock"); user != addrs[0] {
		addrs = append(addrs, user)
	}
	return addrs
}

// connectDefault uses the socket only if somebody listens on it.
func connectDefault(ctx context.Context, addr string) (*Builder, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultSocketTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", unixPath(addr))
	switch {
	case err == nil:
		conn.Close()
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return nil, os.ErrNotExist
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, errors.New("nobody listens on the socket")
	case errors.Is(err, syscall.EACCES):
		return nil, errors.New("permission denied")
	default:
		return nil, err
	}
	c, version, err := dialOnce(ctx, addr, nil)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("no answer within %s", defaultSocketTimeout)
	}
	if err != nil {
		return nil, err
	}
	return &Builder{Client: c, Addr: addr, Version: version, Dial: dialSocket(addr)}, nil
}

// connectTo insists on one address.
func connectTo(ctx context.Context, opt Options, addr string) (*Builder, error) {
	u, err := parseAddr(addr)
	if err != nil {
		return nil, err
	}
	t, err := newTarget(opt, u)
	if err != nil {
		return nil, err
	}
	late := time.AfterFunc(lateAfter, func() { opt.Notes("waiting for the builder at %s", redact(u)) })
	c, version, err := t.dialPatiently(ctx, opt.Timeout)
	late.Stop()
	if err != nil && ctx.Err() != nil {
		return nil, interrupted(ctx)
	}
	if err != nil {
		return nil, &Error{Addr: redact(u), Err: err, Hint: t.hint(err)}
	}
	return &Builder{Client: c, Addr: redact(u), Version: version, Dial: t.dialer()}, nil
}

func interrupted(ctx context.Context) error {
	return fmt.Errorf("looking for a builder: %w", context.Cause(ctx))
}
