package testsuite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// Docker's defaults, but for startInterval: nobody waits for Docker's.
const (
	defaultInterval      = 30 * time.Second
	defaultTimeout       = 30 * time.Second
	defaultStartInterval = 100 * time.Millisecond
	defaultRetries       = 3
)

// readiness is what tells when v is ready, complete: what was declared, else the image's
// HEALTHCHECK, else that a port is open. Nil is that it runs.
func (v *service) readiness() *Probe {
	p := Probe{}
	if v.Ready != nil {
		p = *v.Ready
	}
	if len(p.Test) == 0 && p.Port == 0 && p.Log == "" {
		p = p.orElse(v.stage.Image.Config.Healthcheck)
	}
	switch {
	case len(p.Test) > 0 && p.Test[0] == "NONE":
		return nil
	case len(p.Test) == 0 && p.Port == 0 && p.Log == "" && len(v.Spec.Ports) == 0:
		return nil
	}
	return p.complete()
}

// orElse adds what an image says.
func (p Probe) orElse(check *dockerspec.HealthcheckConfig) Probe {
	if check == nil {
		return p
	}
	p.Test = check.Test
	for _, d := range []struct {
		to   *time.Duration
		from time.Duration
	}{{&p.Interval, check.Interval}, {&p.Timeout, check.Timeout}, {&p.StartPeriod, check.StartPeriod}, {&p.StartInterval, check.StartInterval}} {
		if *d.to == 0 {
			*d.to = d.from
		}
	}
	if p.Retries == 0 {
		p.Retries = check.Retries
	}
	return p
}

func (p Probe) complete() *Probe {
	if p.Interval <= 0 {
		p.Interval = defaultInterval
	}
	if p.Timeout <= 0 {
		p.Timeout = defaultTimeout
	}
	if p.StartInterval <= 0 {
		p.StartInterval = defaultStartInterval
	}
	if p.Retries <= 0 {
		p.Retries = defaultRetries
	}
	return &p
}

// patience is how long it may take until it is ready: Docker makes its first probe after
// an interval, and gives up after so many.
func (p *Probe) patience() time.Duration { return p.StartPeriod + time.Duration(p.Retries)*p.Interval }

// await waits until the service is ready. Its error says what it waited for.
func (c *instance) await(ctx context.Context) error {
	p := c.Spec.Ready
	switch {
	case p == nil:
		return nil
	case p.Log != "":
		return c.awaitLog(ctx, p)
	case len(p.Test) > 0:
		return c.awaitCommand(ctx, p)
	case p.Port != 0:
		return c.awaitPort(ctx, p, p.Port)
	default:
		return c.awaitPort(ctx, p, c.Spec.Ports...)
	}
}

func (c *instance) awaitLog(ctx context.Context, p *Probe) error {
	timer := time.NewTimer(p.patience())
	defer timer.Stop()
	select {
	case <-c.log.matched:
		return nil
	case <-c.ended:
		return c.endedEarly()
	case <-timer.C:
		return fmt.Errorf("is not ready after %s: no line of its output matches %q", p.patience(), p.Log)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitPort waits for one of them.
func (c *instance) awaitPort(ctx context.Context, p *Probe, ports ...int) error {
	list, err := c.askPorts(ctx, protocol.Ports{Want: ports, Any: true, TimeoutMS: p.patience().Milliseconds()})
	if err != nil {
		return err
	}
	if len(list.Missing) < len(ports) {
		return nil
	}
	return fmt.Errorf("is not ready after %s: it does not listen on port %s%s", p.patience(), joinInts(ports, " or "), elsewhere(list))
}

// askPorts asks where it listens.
func (c *instance) askPorts(ctx context.Context, opt protocol.Ports) (listening, error) {
	var out bytes.Buffer
	if err := c.ask(ctx, protocol.ModePorts, opt, nil, out.Write); err != nil {
		return listening{}, err
	}
	var list listening
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		return list, fmt.Errorf("did not say where it listens: %w", err)
	}
	if list.Error != "" {
		return list, fmt.Errorf("did not say where it listens: %s", list.Error)
	}
	return list, nil
}

// listening is where a service listens.
type listening struct{ protocol.PortList }

// everywhere tells whether nobody else can listen at an address because the service
// listens at all.
func (l listening) everywhere(address string) bool {
	_, port, _ := net.SplitHostPort(address)
	return slices.ContainsFunc(l.Listening, func(at protocol.Listener) bool {
		ip := net.ParseIP(at.Address)
		return strconv.Itoa(at.Port) == port && ip != nil && ip.IsUnspecified()
	})
}

// elsewhere says where a service listens that was expected to listen somewhere else.
func elsewhere(list listening) string {
	var ports []int
	for _, l := range list.Listening {
		if l.Address == "127.0.0.1" || !strings.HasPrefix(l.Address, "127.") { // not its peers
			ports = append(ports, l.Port)
		}
	}
	if len(ports) == 0 {
		return ""
	}
	slices.Sort(ports)
	return ", but on " + joinInts(slices.Compact(ports), ", ")
}

func joinInts(list []int, sep string) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", sep), "[]")
}

// awaitCommand tries the command until it succeeds.
func (c *instance) awaitCommand(ctx context.Context, p *Probe) error {
	argv := slices.Clone(p.Test[1:])
	if p.Test[0] == "CMD-SHELL" {
		argv = append(slices.Clone(c.stage.Shell()), argv...)
	}
	opt := protocol.Probe{
		User: c.Spec.User, Retries: 1, TimeoutMS: p.Timeout.Milliseconds(),
		IntervalMS: p.StartInterval.Milliseconds(), StartIntervalMS: p.StartInterval.Milliseconds(),
		StartPeriodMS: p.patience().Milliseconds(),
	}
	var last protocol.Attempt
	enough := false
	lines := &lineReader{line: func(line []byte) error {
		if enough {
			return nil
		}
		last = protocol.Attempt{}
		if err := json.Unmarshal(line, &last); err != nil {
			return err
		}
		if enough = last.Final || last.Error != "" || last.Exit == protocol.ExitNotFound; enough {
			return errEnough
		}
		return nil
	}}
	err := c.ask(ctx, protocol.ModeProbe, opt, argv, lines.Write)
	shown := strings.Join(p.Test[1:], " ")
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return err
	case last.Final && last.Exit == 0 && last.Error == "":
		return nil
	case last.Error != "":
		return fmt.Errorf("cannot be asked whether it is ready by %q: %s", shown, last.Error)
	case last.Exit == protocol.ExitNotFound:
		return fmt.Errorf("cannot be asked whether it is ready by %q: it exits with %d%s", shown, last.Exit, said(last.Output))
	case last.TimedOut:
		return fmt.Errorf("is not ready after %s: %q takes more than %s", p.patience(), shown, p.Timeout)
	}
	return fmt.Errorf("is not ready after %s: %q exits with %d%s", p.patience(), shown, last.Exit, said(last.Output))
}

func said(output string) string {
	output = strings.TrimSpace(output)
	if output == "" {
		return ""
	}
	return ": " + output
}

// errEnough says that what was to be known is known.
var errEnough = errors.New("enough was said")

// lineReader calls line for every line that is written to it.
type lineReader struct {
	line func([]byte) error
	rest []byte
}

// Write implements io.Writer.
func (l *lineReader) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		if err := l.line(l.rest[:i]); err != nil {
			return len(p), err
		}
		l.rest = l.rest[i+1:]
	}
}
