package protocol

import (
	"encoding/json"
	"fmt"
)

// The helper's modes, its first argument. The second is the JSON of the options,
// the rest is the command.
const (
	ModeRun     = "run"     // Run
	ModeForward = "forward" // Forwards
	ModeProbe   = "probe"   // Probe
	ModePorts   = "ports"   // Ports
	ModeFill    = "fill"    // Fill
	ModeSplit   = "split"   // Split
)

// Run says how the helper runs a command: a test's or a service's.
type Run struct {
	// Name is what the command is called in Hello.
	Name string `json:"name,omitempty"`
	// Out is a directory that the helper may write to, for LogFile and ResultFile.
	// Default: neither is written.
	Out string `json:"out,omitempty"`
	// Control is the path of a Control. A file that is not there is no error.
	Control string `json:"control,omitempty"`
	// Doorbell is the path of a socket that seatrial answers: the command starts
	// when a Go arrives there. Default: it starts at once.
	Doorbell string `json:"doorbell,omitempty"`
	// User is who the command runs as, in the form of a Dockerfile's USER.
	// Default: as the helper, which must be root for anything else.
	User string `json:"user,omitempty"`
	// Key is not used: it makes the command line, and so its cache key, another one.
	Key string `json:"key,omitempty"`
	// Stop is the number of the signal that ends a service. A command that ends after
	// it has ended well, whatever it exits with. Default: none is.
	Stop int `json:"stop,omitempty"`
	// Volumes is a directory in which there is to be one for the volumes of this run,
	// told in Hello. It goes with the command. Default: none is made.
	Volumes string `json:"volumes,omitempty"`
	// Split keeps stdout and stderr apart, on the helper's own and in files.
	// Default: both are one stream, in the order in which they were written.
	Split bool `json:"split,omitempty"`
	// Forwards are kept up while the command runs.
	Forwards
}

// Forwards are connections that the helper passes on.
type Forwards struct {
	// Listen are TCP addresses that lead to Unix sockets.
	Listen []Forward `json:"listen,omitempty"`
	// Export are Unix sockets that lead to TCP addresses. Their directories go with
	// the last of them, and so do those beside that were left behind.
	Export []Forward `json:"export,omitempty"`
}

// Forward is a TCP address and the Unix socket that stands for it.
type Forward struct {
	Address string `json:"address"` // HOST:PORT, the host an IP address or in /etc/hosts
	Socket  string `json:"socket"`  // a path
	// Upward, of one that listens, does so once the service behind the socket does:
	// connections are refused until then. Default: at once.
	Upward bool `json:"upward,omitempty"`
}

// Volume is a directory that several containers share.
type Volume struct {
	// Dir is where it lies. The first who uses it makes it.
	Dir string `json:"dir"`
	// Target is where it is to be found. It begins with what the image has there.
	Target string `json:"target"`
}

// Fill prepares volumes for a container that is going to mount them. The helper exits 0,
// and prints why it could not.
type Fill struct {
	Volumes []Volume `json:"volumes"`
}

// Control is what the helper reads from a file because it must not be part of a
// cache key. It must not change what a test finds.
type Control struct {
	// TimeoutMS ends the command after so many milliseconds. Default: never.
	TimeoutMS int64 `json:"timeout_ms,omitempty"`
	// GraceMS is the time between SIGTERM and SIGKILL. Default: DefaultGraceMS.
	GraceMS int64 `json:"grace_ms,omitempty"`
	// Env is added to the command's environment.
	Env map[string]string `json:"env,omitempty"`
	// Durations are how many seconds files took before, for Split.
	Durations map[string]float64 `json:"durations,omitempty"`
}

// DefaultGraceMS is what Control.GraceMS and Probe.GraceMS default to.
const DefaultGraceMS = 300

// Result is how a command ended. A file that has no Ended is one of a helper that
// was killed.
type Result struct {
	Version int `json:"version"`
	// Exit is the helper's own exit code.
	Exit int `json:"exit"`
	// Signal is the name of the signal that ended the command, as SIGSEGV.
	Signal   string `json:"signal,omitempty"`
	TimedOut bool   `json:"timed_out,omitempty"`
	// Started and Ended are in the form of RFC 3339.
	Started string `json:"started,omitempty"`
	Ended   string `json:"ended,omitempty"`
	// MaxRSS is the most memory that one of the processes had, in bytes.
	MaxRSS int64 `json:"max_rss,omitempty"`
	// Error is why there was nothing to run, or why the helper ended it.
	Error string `json:"error,omitempty"`
	// LogTruncated says why the log file is not complete.
	LogTruncated string `json:"log_truncated,omitempty"`
	// Full are filesystems that were full when the command had failed.
	Full []Filesystem `json:"full,omitempty"`
}

// Filesystem is one that is mounted in the container.
type Filesystem struct {
	// Path is where it is mounted.
	Path string `json:"path"`
	// Memory tells a tmpfs, which has no disk.
	Memory bool `json:"memory,omitempty"`
}

// Probe says how to find out whether a service is ready. The helper prints one
// Attempt a line, and exits 0 whatever comes out.
type Probe struct {
	// TimeoutMS is for one attempt. Default: none.
	TimeoutMS int64 `json:"timeout_ms,omitempty"`
	// GraceMS is the time between SIGTERM and SIGKILL. Default: DefaultGraceMS.
	GraceMS int64 `json:"grace_ms,omitempty"`
	// User is as in Run.
	User string `json:"user,omitempty"`
	// Retries is how many attempts in a row must fail before the last one is
	// Final. Those during the start period do not count. Default: 1.
	Retries int `json:"retries,omitempty"`
	// IntervalMS lies between two attempts, StartIntervalMS during the first
	// StartPeriodMS. The first attempt is made at once.
	IntervalMS      int64 `json:"interval_ms,omitempty"`
	StartIntervalMS int64 `json:"start_interval_ms,omitempty"`
	StartPeriodMS   int64 `json:"start_period_ms,omitempty"`
}

// Attempt is what came out of running a probe once.
type Attempt struct {
	Exit     int    `json:"exit"`
	TimedOut bool   `json:"timed_out,omitempty"`
	Output   string `json:"output,omitempty"` // its end
	Error    string `json:"error,omitempty"`  // why it could not be run
	// Final is set on the last line: the first attempt that succeeded, or the one
	// that used up the retries.
	Final bool `json:"final,omitempty"`
}

// Ports asks which TCP ports somebody listens on. The helper prints a PortList
// and exits 0.
type Ports struct {
	// Want are the ports that it waits for. Default: it looks once.
	Want []int `json:"want,omitempty"`
	// Any is content with one of them.
	Any bool `json:"any,omitempty"`
	// TimeoutMS is how long it waits at most. Default: as long as it takes.
	TimeoutMS int64 `json:"timeout_ms,omitempty"`
}

// PortList is the answer to Ports.
type PortList struct {
	Listening []Listener `json:"listening"`
	// Missing are those of Ports.Want that nobody listens on.
	Missing []int  `json:"missing,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Listener is a TCP socket that accepts connections.
type Listener struct {
	Address string `json:"address"` // an IP address
	Port    int    `json:"port"`
}

// Args is the command line that runs argv in one of the modes. It fails only for
// options that JSON does not know.
func Args(mode string, options any, argv ...string) ([]string, error) {
	raw, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("encoding the helper's options: %w", err)
	}
	return append([]string{Init, mode, string(raw)}, argv...), nil
}
