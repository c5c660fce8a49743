package registry

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// maxRetryAfter bounds how long a registry can make us wait before the next
// request.
const maxRetryAfter = time.Minute

// pause holds requests back from a host that asked for it by Retry-After. That
// goes for all requests to the host, which would only be refused as well.
type pause struct {
	waiting func(Wait) (over func())

	mu    sync.Mutex
	until map[string]time.Time
}

// note takes notice of a Retry-After.
func (p *pause) note(resp *http.Response) {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return
	}
	wait := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	if wait <= 0 {
		return
	}
	until := time.Now().Add(min(wait, maxRetryAfter))
	p.mu.Lock()
	defer p.mu.Unlock()
	if host := resp.Request.URL.Host; until.After(p.until[host]) {
		p.until[host] = until
	}
}

// wait returns when the host may be asked again, or ctx ends. What the host asks
// for meanwhile counts as well.
func (p *pause) wait(ctx context.Context, host string) error {
	for {
		p.mu.Lock()
		left := time.Until(p.until[host])
		p.mu.Unlock()
		if left <= 0 {
			return context.Cause(ctx)
		}
		over := p.waiting(Wait{Host: host, For: left})
		err := sleep(ctx, left)
		over()
		if err != nil {
			return err
		}
	}
}

// retryAfter reads the header's two forms, seconds and date. It is 0 for
// anything else.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return date.Sub(now)
	}
	return 0
}

// sleep is a time.Sleep that ends with ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
