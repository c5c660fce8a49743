package main

import (
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// Every builder is asked about its share; what they all say is said once.
func TestCheckOfSeveralBuilders(t *testing.T) {
	w, addrs := newFleetWorld(t, testenv.Rootless)
	project := testenv.Dir(t, "Dockerfile", fleetDockerfile+"MAINTAINER me\nRUN --mount=type=secret,id=token,required=true true\n")
	args := append([]string{project, "--untested", "--secret", "id=token,env=TOKEN"}, addrs...)
	env := append(w.env(), "TOKEN=abcdef")

	c := start(t, env, append([]string{"check"}, args...)...)
	c.exits(0)
	c.says("0 errors, 1 warning in Dockerfile, builder " + addrs[1] + ", builder " + addrs[3])
	if got := c.out.String(); strings.Count(got, "MaintainerDeprecated:") != 1 {
		t.Errorf("standard output = %q, want one warning", got)
	}

	c = start(t, w.env(), append([]string{"check", project, "--untested"}, addrs...)...)
	c.exits(3)
	if got := c.out.String(); strings.Count(got, `secret "token" is not offered`) != 1 {
		t.Errorf("standard output = %q, want one finding about the secret", got)
	}

	c = start(t, env, append([]string{"check", "--platform", "linux/s390x"}, args...)...)
	c.exits(2)
	if got := c.out.String(); !strings.Contains(got, "no builder can run linux/s390x") {
		t.Errorf("standard output = %q, want that no builder has the platform", got)
	}

	c = start(t, env, append([]string{"run", "-t", w.registry.Host + "/acme/warned"}, args...)...)
	c.exits(0)
	if got := c.stderr(); strings.Count(got, "MaintainerDeprecated:") != 1 || !strings.Contains(got, "1 warning:") {
		t.Errorf("standard error = %q, want one warning", got)
	}
}
