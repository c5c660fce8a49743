package testsuite

import (
	"strings"
	"testing"
)

// TestSharedVolume has two services and a test share a directory, which begins with what
// the image has there, is anybody's who could write to it there, and is gone afterwards.
func TestSharedVolume(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		dockerfile := "FROM busybox\nRUN mkdir -p /log/old && echo image >/log/old/it && ln -s old/it /log/link && chown -R app /log\nUSER app\n"
		once := unique(t)
		suite := func() *Suite {
			volume := Mount{Type: MountVolume, ID: "log of all", Target: "/log"}
			elsewhere := volume
			elsewhere.Target, elsewhere.ReadOnly = "/seen/here", true
			return &Suite{Tests: []Test{{
				Name: "ship", Mounts: []Mount{volume}, Workdir: "/log",
				Command: once + `set -e; test "$(cat /log/link)" = image; test "$(cat /log/first)" = written; test "$(cat second)" = "written and seen"; echo sut >/log/sut`,
				Services: []Service{
					{Name: "first", Mounts: []Mount{volume}, Ready: &Probe{Test: []string{"CMD-SHELL", "test -e /log/first"}}, Shell: "echo written >/log/first; exec sleep 1000"},
					{
						Name: "second", Mounts: []Mount{elsewhere, {Type: MountVolume, ID: "own", Target: "/log"}}, DependsOn: []Dependency{{Service: "first"}},
						Ready: &Probe{Log: "^done"},
						Shell: `test ! -e /log/first && test "$(cat /log/old/it)" = image && ! echo no >/seen/here/no && echo done; exec sleep 1000`,
					},
					{
						Name: "third", Mounts: []Mount{{Type: MountVolume, ID: "log of all", Target: "/new"}}, DependsOn: []Dependency{{Service: "second"}},
						Ready: &Probe{Test: []string{"CMD-SHELL", "test -e /new/second"}}, Shell: `echo "$(cat /new/first) and seen" >/new/second; exec sleep 1000`,
					},
				},
			}}}
		}
		for _, rings := range []int{1, 0} {
			s := suite()
			rep, err := b.solve(t, dockerfile, s)
			if err != nil || ringsOf(s, 0) != rings {
				t.Fatalf("Solve() = %v with %d rings, want %d\n%s%s", err, ringsOf(s, 0), rings, rep.Cases[0].Output.Log, s.runs[0].stack().tails())
			}
		}
		left := &Suite{Tests: []Test{{Command: once + "ls -A /all", User: "root", Mounts: []Mount{{Type: MountCache, ID: volumesID, Target: "/all"}}}}}
		rep, err := b.solve(t, dockerfile, left)
		if log := string(rep.Cases[0].Output.Log); err != nil || strings.TrimSpace(log) != "" {
			t.Errorf("after the test there are volumes left: %q, %v", log, err)
		}
	})
}

// TestServiceThatIsOnlyStarted is refused by until it listens: what waits for a port in a
// loop must not find it open.
func TestServiceThatIsOnlyStarted(t *testing.T) {
	onEach(t, func(t *testing.T, b *builder) {
		s := &Suite{Tests: []Test{{
			Name: "patient",
			Command: unique(t) + `until nc db 7001 </dev/null; do sleep 0.05; done
				until got=$(nc db 7000 </dev/null); do sleep 0.05; done; test "$got" = up`,
			DependsOn: []Dependency{{Service: "db", Condition: Started}},
			Services: []Service{{
				Name: "db", Ports: []int{7000, 7001},
				Shell: "nc -l -p 7001 </dev/null; " + echo("7000", "up"),
			}},
		}}}
		rep, err := b.solve(t, "FROM busybox\n", s)
		if err != nil {
			t.Fatalf("Solve() = %v\n%s", err, rep.Cases[0].Output.Log)
		}
	})
}
