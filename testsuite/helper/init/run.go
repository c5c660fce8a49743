package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
	"golang.org/x/sys/unix"
)

// slowReader is how long whoever reads our output may take for the last of it;
// after a time limit there is no more than lastWord.
const (
	slowReader = 10 * time.Second
	lastWord   = 100 * time.Millisecond
)

// run runs a test's or a service's command.
func run(opt protocol.Run, argv []string) int {
	if err := adopt(); err != nil {
		return refuse(fmt.Errorf("becoming the parent of orphans: %w", err))
	}
	res, err := openReport(opt.Out)
	if err != nil {
		return refuse(fmt.Errorf("writing the result: %w", err))
	}
	out, err := openOutput(opt)
	if err != nil {
		return refuse(fmt.Errorf("recording the output: %w", err))
	}
	r := &runner{opt: opt, res: res, out: out, signals: catch(unix.Signal(opt.Stop))}
	wait := slowReader
	if err := r.run(argv); err != nil {
		r.res.Exit, r.res.Error = codeOf(err), err.Error()
		out.say(err.Error())
	}
	if r.res.TimedOut {
		wait = lastWord
	}
	if err := out.finish(wait); err != nil {
		res.LogTruncated = err.Error()
	}
	if err := res.close(); err != nil {
		fmt.Fprintln(os.Stderr, "seatrial: writing the result:", err)
	}
	patience := goodbye
	if r.volumes != nil {
		defer r.volumes.close()
		patience = longGoodbye
	}
	if r.bell != nil {
		r.bell.report(res.Result, patience)
	}
	return res.Exit
}

// runner is what one run needs.
type runner struct {
	opt     protocol.Run
	res     *report
	out     *output
	signals <-chan os.Signal
	bell    *doorbell // nil: nobody is to be asked
	volumes *shelter  // nil: there are none
}

// run does everything up to the end of the command.
func (r *runner) run(argv []string) error {
	control, err := readControl(r.opt.Control)
	if err != nil {
		return err
	}
	env := setenv(os.Environ(), control.Env)
	forwards := r.opt.Forwards
	if r.opt.Doorbell != "" {
		start, err := r.ring()
		if err != nil {
			return err
		}
		forwards.Listen = append(forwards.Listen, start.Listen...)
		env = setenv(env, start.Env)
		if _, err := os.Lstat(start.Sees); start.Sees != "" && err != nil {
			return errors.New(protocol.Apart)
		}
		if err := linkVolumes(start.Volumes); err != nil {
			return err
		}
	}
	links, err := open(forwards)
	if err != nil {
		return err
	}
	defer links.close()
	c := command{argv: argv, env: env, stdin: os.Stdin.Fd(), stdout: r.out.out.write.Fd(), stderr: r.out.err.write.Fd()}
	if r.opt.User != "" {
		if c.as, err = lookupAccount(r.opt.User); err != nil {
			return err
		}
		c.env = c.as.environ(c.env)
		r.out.give(c.as)
	}
	r.res.Started = now()
	pid, err := spawn(c)
	r.out.started()
	if err != nil {
		return err
	}
	w := watch{
		limit: milliseconds(control.TimeoutMS), grace: grace(control.GraceMS), signals: r.signals, told: unix.Signal(r.opt.Stop),
		ending: func(why string) { r.out.say(why + ": ending the command") },
	}
	if r.bell != nil {
		w.stop = r.bell.aborted
	}
	r.ended(supervise(pid, w), w)
	return nil
}

// ring asks to start, and waits for the answer.
func (r *runner) ring() (*protocol.Go, error) {
	hello := protocol.Hello{Name: r.opt.Name}
	if r.opt.Volumes != "" {
		var err error
		if r.volumes, err = openShelter(r.opt.Volumes); err != nil {
			return nil, fmt.Errorf("making a directory for volumes: %w", err)
		}
		hello.Volumes = filepath.Base(r.volumes.dir)
	}
	bell, err := ring(r.opt.Doorbell, hello)
	if err != nil {
		return nil, fmt.Errorf("asking seatrial for the services: %w", err)
	}
	r.bell = bell
	for {
		select {
		case start := <-bell.answered:
			return start, nil
		case a := <-bell.aborted:
			return nil, &exitError{exitOf(a), errors.New(a.Reason)}
		case s := <-r.signals:
			if s, ok := s.(unix.Signal); ok && ends(s) {
				return nil, &exitError{128 + int(s), fmt.Errorf("%s came before the command was started", unix.SignalName(s))}
			}
		}
	}
}

// ended turns the outcome into a result.
func (r *runner) ended(out outcome, w watch) {
	res := &r.res.Result
	res.MaxRSS = out.maxRSS
	res.Exit = out.status.ExitStatus()
	if out.status.Signaled() {
		res.Exit = 128 + int(out.status.Signal())
		res.Signal = unix.SignalName(out.status.Signal())
	}
	switch {
	case out.timedOut:
		res.TimedOut, res.Exit = true, protocol.ExitTimeout
		res.Error = fmt.Sprintf("the time limit of %s is over", w.limit)
	case out.told:
		res.Exit = 0
	case out.abort != nil:
		res.Exit, res.Error = exitOf(*out.abort), out.abort.Reason
	}
	if res.Exit != 0 {
		res.Full = fullFilesystems()
	}
}

func exitOf(a protocol.Abort) int {
	if a.Exit == 0 {
		return protocol.ExitHelper
	}
	return a.Exit
}

func readControl(path string) (protocol.Control, error) {
	var control protocol.Control
	if path == "" {
		return control, nil
	}
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return control, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &control)
	}
	if err != nil {
		return control, fmt.Errorf("reading the settings of this run, %s: %w", path, err)
	}
	return control, nil
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func grace(ms int64) time.Duration {
	if ms == 0 {
		ms = protocol.DefaultGraceMS
	}
	return milliseconds(ms)
}

// catch collects the signals that are the command's business. SIGPIPE is caught
// so that nobody reading our output does not end us; a signal that is caught,
// unlike one that is ignored, is back at its default in the command.
func catch(also unix.Signal) <-chan os.Signal {
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2,
		unix.SIGALRM, unix.SIGCONT, unix.SIGWINCH)
	if also != 0 {
		signal.Notify(signals, also)
	}
	return signals
}

// ends tells whether a signal asks to end.
func ends(s unix.Signal) bool {
	return s == unix.SIGHUP || s == unix.SIGINT || s == unix.SIGQUIT || s == unix.SIGTERM
}
