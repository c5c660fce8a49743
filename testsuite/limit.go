package testsuite

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// secret is the ID of the file that tells the helper the time limit. It is part of the
// cache key, the file is not.
func (r *run) secret() string { return "seatrial/" + title(r.name, r.platform) + r.shardSuffix() }

// control is that file. It is asked for when a command is about to start.
func (s *Suite) control(id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.split != nil && r.split.run != nil && r.split.run.secret() == id {
			return r.split.control(s.left(r.split.run))
		}
		if r.secret() != id {
			continue
		}
		r.asked++
		left, limited := s.left(r)
		if !limited {
			return []byte("{}")
		}
		dt, err := json.Marshal(protocol.Control{TimeoutMS: max(1, left.Milliseconds())})
		if err != nil {
			return []byte("{}")
		}
		return dt
	}
	return nil
}

// left is how long the commands of a run may still take. The time of its first command
// counts for all.
func (s *Suite) left(r *run) (time.Duration, bool) {
	now := time.Now()
	if r.began.IsZero() {
		r.began = now
	}
	left, limited := time.Duration(0), false
	if r.test.Timeout > 0 {
		left, limited = r.test.Timeout-now.Sub(r.began), true
	}
	if s.Timeout > 0 {
		if all := s.Timeout - now.Sub(s.began); !limited || all < left {
			left, limited = all, true
		}
	}
	return left, limited
}

// errOvertime is why what a test does itself is ended.
var errOvertime = errors.New("the time limit is over")

// timed ends with the time of a run, which begins now.
func (s *Suite) timed(ctx context.Context, r *run) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, limited := s.left(r)
	if !limited {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, left, errOvertime)
}

// overtime tells whether the time for all tests is over.
func (s *Suite) overtime() bool { return s.Timeout > 0 && time.Since(s.began) >= s.Timeout }
