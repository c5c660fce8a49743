package compose

import (
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/seatrial/seatrial/testsuite"
)

// probe leaves out what the image's own health check says.
func probe(h *types.HealthCheckConfig) *testsuite.Probe {
	switch {
	case h == nil:
		return nil
	case h.Disable || len(h.Test) > 0 && h.Test[0] == "NONE":
		return &testsuite.Probe{Test: []string{"NONE"}}
	}
	p := &testsuite.Probe{
		Test:          h.Test,
		Interval:      duration(h.Interval),
		Timeout:       duration(h.Timeout),
		StartPeriod:   duration(h.StartPeriod),
		StartInterval: duration(h.StartInterval),
	}
	if h.Retries != nil {
		p.Retries = int(min(*h.Retries, 1<<20))
	}
	return p
}

func duration(d *types.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return time.Duration(*d)
}
