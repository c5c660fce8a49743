package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// TestRawSocket has a step speak to a server on this machine that is no SSH agent.
func TestRawSocket(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		socket := filepath.Join(testenv.Dir(t), "s")
		server, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		go func() {
			for {
				conn, err := server.Accept()
				if err != nil {
					return
				}
				line, _ := bufio.NewReader(conn).ReadString('\n')
				fmt.Fprintf(conn, "you said %s", line)
				conn.Close()
			}
		}()
		project := testenv.Dir(t, "Dockerfile", "FROM busybox\nCOPY dialsocket /\nRUN --mount=type=ssh,id=sock,required=true /dialsocket\n")
		build := exec.Command("go", "build", "-o", filepath.Join(project, "dialsocket"), "./testdata/dialsocket")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build, err, out)
		}
		c := start(t, w.env(), "build", "--ssh", "sock="+socket+",raw=true", "--no-cache", project)
		c.exits(0)
		c.says("you said hello")

		c = start(t, w.env(), "build", "--ssh", "sock="+socket+",raw=perhaps", project)
		c.exits(2)
		c.says("raw")
	})
}
