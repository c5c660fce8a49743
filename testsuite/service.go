package testsuite

import "time"

// Service is a container that runs beside a test, with a root filesystem, processes
// and a network of its own.
type Service struct {
	// Name is the host name that the test and the other services reach it by.
	Name string
	// Aliases are more such names.
	Aliases []string
	// From is the image. The zero value is the one that was built.
	From Source
	// Platform is that of From.Image, as linux/arm64. Default: that of the
	// image under test.
	Platform string

	// Entrypoint replaces the image's, and then its command is not used. An
	// empty, non-nil one clears it.
	Entrypoint []string
	// Args replaces the image's command.
	Args []string
	// Shell is a command for the image's shell, instead of entrypoint and
	// command.
	Shell string
	// Env is added to the image's environment.
	Env map[string]string
	// Workdir and User replace the image's.
	Workdir, User string
	// Hostname is what the service calls itself. Default: Name.
	Hostname string
	// Hosts are more names that the service knows, with their addresses.
	Hosts map[string]string
	// Mounts are what the service sees beside its image: tmpfs, secrets, and
	// parts of the build context, which it can write to, for itself alone.
	Mounts []Mount
	// Ports are where it listens, beside those that its image exposes (TCP).
	Ports []int
	// Network is NetworkNone, the default: the test and the other services
	// alone can be reached. NetworkDefault adds the builder's network.
	Network string

	// Ready tells when the service can be used. Default: the image's
	// HEALTHCHECK; if it has none, that a port is open; if it has no ports,
	// that it runs.
	Ready *Probe
	// DependsOn are the services that it waits for.
	DependsOn []Dependency
	// StopSignal ends it. Default: the image's, or SIGTERM.
	StopSignal string
}

// Probe tells whether a service is ready. At most one of Test, Port and Log is set.
// Its times and counts are those of Docker's HEALTHCHECK, with its defaults where
// they are 0.
type Probe struct {
	// Test is as in Docker's health checks: NONE, CMD with arguments, or
	// CMD-SHELL with one command for the image's shell.
	Test []string
	// Port is one that must accept connections (TCP).
	Port int
	// Log is a regular expression that a line of the output must match.
	Log string

	// Interval is the time between probes. Default 30 s; while the service
	// starts it is StartInterval.
	Interval time.Duration
	// Timeout is how long one probe may take. Default 30 s.
	Timeout time.Duration
	// StartPeriod is for how long failures do not count. Default 0.
	StartPeriod time.Duration
	// StartInterval is the time between probes until the first success.
	// Default 0.1 s, where Docker has 5 s: the test waits for it.
	StartInterval time.Duration
	// Retries is how many failures in a row make the service unhealthy.
	// Default 3. While it starts there are more of them, so it has the time that
	// so many take at Interval, after StartPeriod.
	Retries int
}

// Condition is what a dependency has to reach.
type Condition string

// The conditions, as Compose names them.
const (
	Started   Condition = "service_started"
	Healthy   Condition = "service_healthy" // the default
	Completed Condition = "service_completed_successfully"
)

// Dependency is a service that another one, or the test, waits for.
type Dependency struct {
	Service   string
	Condition Condition
	// Optional allows the service not to be there.
	Optional bool
}
