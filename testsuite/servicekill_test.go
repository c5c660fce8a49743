package testsuite

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
)

// TestServicesEndWithTheClient has a client that is killed, which can tidy up nothing.
func TestServicesEndWithTheClient(t *testing.T) {
	if marker := os.Getenv("SEATRIAL_TO_BE_KILLED"); marker != "" {
		runToBeKilled(t, marker)
		return
	}
	onEach(t, func(t *testing.T, b *builder) {
		marker := "killed" + time.Now().Format("150405.000000000")
		cmd := exec.Command(os.Args[0], "-test.run=^TestServicesEndWithTheClient$")
		cmd.Env = append(os.Environ(), "SEATRIAL_TO_BE_KILLED="+marker, "SEATRIAL_ADDR="+b.addr, "SEATRIAL_IMAGE="+b.image)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(60 * time.Second); processes(t, ": test "+marker) == 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the test has not begun")
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // says that it was killed
		for deadline := time.Now().Add(60 * time.Second); processes(t, marker) > 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d processes are left", processes(t, marker))
			}
		}
	})
}

func runToBeKilled(t *testing.T, marker string) {
	c, err := client.New(t.Context(), os.Getenv("SEATRIAL_ADDR"))
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{client: c, image: os.Getenv("SEATRIAL_IMAGE")}
	_, err = b.solve(t, "FROM busybox\n", &Suite{Tests: []Test{{Command: ": test " + marker + "; sleep 1000", Services: []Service{
		{Name: "db", Ports: []int{5432}, Shell: ": service " + marker + "; " + echo("5432", "x")},
	}}}})
	t.Fatal(err)
}
