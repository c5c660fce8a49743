package testsuite

import (
	"testing"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestServicesWithoutProcessSandbox has a builder, as in a pod without privileges, whose
// containers see all of its processes: services are reached, and end with their test, with
// what they have left in the background, all the same.
func TestServicesWithoutProcessSandbox(t *testing.T) {
	d := testenv.StartDaemon(t, testenv.DaemonOptions{Kind: testenv.Rootless, Flags: []string{"--oci-worker-no-process-sandbox"}})
	c, err := client.New(t.Context(), d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	b := &builder{client: c, addr: d.Addr, image: testenv.Push(t, reg.Host+"/library/busybox", testenv.BusyboxImage(t)).String()}
	marker := "unboxed" + time.Now().Format("150405.000000000")
	behind := "(trap '' TERM HUP; : " + marker + "; sleep 1000; sleep 1000) & : " + marker + "; "
	volume := Mount{Type: MountVolume, ID: "hold", Target: "/hold"}
	suite := func(ends string) *Suite {
		return &Suite{Tests: []Test{{
			Mounts: []Mount{volume}, Command: connect + `[ "$(ask front 80)" = "front of db" ] && [ "$(cat /hold/it)" = cargo ] && ` + ends,
			Services: []Service{
				{Name: "front", Ports: []int{80}, User: "app", DependsOn: []Dependency{{Service: "db"}}, Shell: connect + behind + echo("80", `"front of $(ask db 5432)"`)},
				{
					Name: "db", Ports: []int{5432}, Mounts: []Mount{volume}, Shell: behind + "echo cargo >/hold/it; " + echo("5432", "db"),
					Ready: &Probe{Test: []string{"CMD-SHELL", "test -e /hold/it"}},
				},
			},
		}}}
	}
	over := func(after string) {
		t.Helper()
		allEnd(t, marker, after)
	}
	for _, rings := range []int{1, 0} {
		s := suite("true")
		rep, err := b.solve(t, "FROM busybox\n", s)
		if err != nil || ringsOf(s, 0) != rings {
			t.Fatalf("Solve() = %v with %d rings, want %d\n%s%s", err, ringsOf(s, 0), rings, rep.Cases[0].Output.Log, rep.Cases[0].ServiceOutput)
		}
		over("a pass")
	}
	if failed := b.failing(t, suite("exit 7")); failed.Reason != "exit code 7" {
		t.Errorf("it failed because %q, want exit code 7", failed.Reason)
	}
	over("a failure")
}
