package main

import (
	"encoding/json"
	"os"
	"time"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// tailSize is how much of a probe's output is told, as much as Docker keeps.
const tailSize = 4096

// probe tries a command until it succeeds, or has failed too often, and always
// exits 0: anything else would end the service's container.
func probe(opt protocol.Probe, argv []string) int {
	answers := json.NewEncoder(os.Stdout)
	begin := time.Now()
	for failed := 0; ; {
		a := attempt(opt, argv)
		starting := time.Since(begin) < milliseconds(opt.StartPeriodMS)
		if !starting {
			failed++
		}
		a.Final = a.Exit == 0 || failed >= max(opt.Retries, 1)
		if err := answers.Encode(a); err != nil || a.Final {
			return 0
		}
		pause := opt.IntervalMS
		if starting && opt.StartIntervalMS > 0 {
			pause = opt.StartIntervalMS
		}
		time.Sleep(milliseconds(pause))
	}
}

// attempt runs the command once.
func attempt(opt protocol.Probe, argv []string) protocol.Attempt {
	a, err := tryOnce(opt, argv)
	if err != nil {
		return protocol.Attempt{Exit: codeOf(err), Error: err.Error()}
	}
	return a
}

func tryOnce(opt protocol.Probe, argv []string) (protocol.Attempt, error) {
	if err := adopt(); err != nil {
		return protocol.Attempt{}, err
	}
	file, err := tailFile()
	if err != nil {
		return protocol.Attempt{}, err
	}
	defer file.Close()
	c := command{argv: argv, env: os.Environ(), stdin: os.Stdin.Fd(), stdout: file.Fd(), stderr: file.Fd()}
	if opt.User != "" {
		if c.as, err = lookupAccount(opt.User); err != nil {
			return protocol.Attempt{}, err
		}
		c.env = c.as.environ(c.env)
	}
	pid, err := spawn(c)
	if err != nil {
		return protocol.Attempt{}, err
	}
	out := supervise(pid, watch{
		limit: milliseconds(opt.TimeoutMS), grace: grace(opt.GraceMS), ending: func(string) {},
	})
	a := protocol.Attempt{Exit: out.status.ExitStatus(), TimedOut: out.timedOut}
	if out.status.Signaled() {
		a.Exit = 128 + int(out.status.Signal())
	}
	if out.timedOut {
		a.Exit = protocol.ExitTimeout
	}
	a.Output = tail(file)
	return a, nil
}
