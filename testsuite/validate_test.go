package testsuite

import (
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	on := func(services ...Service) Test { return Test{Command: "true", Services: services} }
	for _, test := range []struct {
		test Test
		want string
	}{
		{on(Service{Name: "db", From: Source{Context: true}}), `test "true": service "db": it runs in no image and no stage: the build context is no root filesystem`},
		{on(Service{}), `test "true": service "": "" is no host name for it: letters, digits, hyphens and dots are`},
		{on(Service{Name: "localhost"}), `test "true": service "localhost": "localhost" is no host name for it: letters, digits, hyphens and dots are`},
		{on(Service{Name: "10.0.0.1"}), `test "true": service "10.0.0.1": "10.0.0.1" is no host name for it: letters, digits, hyphens and dots are`},
		{on(Service{Name: "db"}, Service{Name: "DB"}), `test "true": service "DB": the name "DB" is that of service "db" already`},
		{on(Service{Name: "db", Aliases: []string{"a"}}, Service{Name: "x", Aliases: []string{"a"}}), `test "true": service "x": the name "a" is that of service "db" already`},
		{on(Service{Name: "a", DependsOn: []Dependency{{Service: "b"}}}, Service{Name: "b", DependsOn: []Dependency{{Service: "a"}}}), `test "true": services wait for each other: a -> b -> a`},
		{on(Service{Name: "a", DependsOn: []Dependency{{Service: "a"}}}), `test "true": services wait for each other: a -> a`},
		{on(Service{Name: "a", DependsOn: []Dependency{{Service: "b"}}}), `test "true": service "a": it waits for "b", which is no service of the test`},
		{on(Service{Name: "a", DependsOn: []Dependency{{Service: "b", Optional: true}}}), ""},
		{on(Service{Name: "a"}, Service{Name: "b", DependsOn: []Dependency{{Service: "a", Condition: "service_ready"}}}),
			`test "true": service "b": it waits for "a" to be "service_ready": service_started, service_healthy and service_completed_successfully are known`},
		{Test{Command: "true", DependsOn: []Dependency{{Service: "db"}}}, `test "true": it waits for "db", which is no service of the test`},
		{Test{Stage: "test", Services: []Service{{Name: "db"}}}, `test "test": a stage of the Dockerfile cannot have services, a command can: "db"`},
		{on(Service{Name: "a", Ready: &Probe{Port: 1, Log: "x"}}), `test "true": service "a": readiness: a command, a port and a line of the log: one of them tells, not several`},
		{on(Service{Name: "a", Ready: &Probe{Test: []string{"pg_isready"}}}), `test "true": service "a": readiness: ["pg_isready"]: it is NONE, CMD with arguments, or CMD-SHELL with one command`},
		{on(Service{Name: "a", Ready: &Probe{Log: "("}}), "test \"true\": service \"a\": readiness: log: error parsing regexp: missing closing ): `(`"},
		{on(Service{Name: "a", Ready: &Probe{Interval: -time.Second}}), `test "true": service "a": readiness: a time or count is negative`},
		{on(Service{Name: "a", Ports: []int{70000}}), `test "true": service "a": port 70000: not between 1 and 65535`},
		{on(Service{Name: "a", Network: "host"}), `test "true": service "a": network "host": a service knows none and default`},
		{on(Service{Name: "a", StopSignal: "SIGNOPE"}), `test "true": service "a": stop signal "SIGNOPE": not known`},
		{on(Service{Name: "a", Hosts: map[string]string{"x": "y"}}), `test "true": service "a": host "x": "y" is no IP address`},
		{on(Service{Name: "a", Shell: "x", Args: []string{"y"}}), `test "true": service "a": it has a command for the shell, and another one`},
		{Test{Command: "true", Forwards: []Forward{{Name: "db", Address: "localhost"}}}, `test "true": forward db=localhost: "localhost" is not HOST:PORT`},
		{Test{Command: "true", Forwards: []Forward{{Name: "db", Address: "localhost:0"}}}, `test "true": forward db=localhost:0: port "0": not between 1 and 65535`},
		{Test{Command: "true", Forwards: []Forward{{Name: "db", Address: "a:1"}, {Name: "db", Address: "b:1"}}}, `test "true": forward db=b:1: there are two for port 1 of "db"`},
		{Test{Command: "true", Forwards: []Forward{{Name: "db", Address: "a:1"}, {Name: "db", Address: "b:2"}}}, ""},
		{Test{Command: "true", Services: []Service{{Name: "db"}}, Forwards: []Forward{{Name: "db", Address: "a:1"}}}, `test "true": forward db=a:1: the name "db" is that of service "db" already`},
		{Test{Command: "true", Forwards: []Forward{{Name: "db", Address: "hä:1"}}}, `test "true": forward db=hä:1: "hä:1" is not HOST:PORT`},
	} {
		got := ""
		if err := (&Suite{Tests: []Test{test.test}}).Validate(); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("Validate(%+v) = %q, want %q", test.test, got, test.want)
		}
	}
}
