package testenv

import (
	"crypto/ed25519"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// GitSSH serves git repositories by SSH on loopback.
type GitSSH struct {
	URL string // of the directory with the repositories: "ssh://git@127.0.0.1:port"
	Key string // a private key that is let in, in PEM

	dir      string
	config   *ssh.ServerConfig
	listener net.Listener
	done     sync.WaitGroup
}

// ServeGitSSH serves the git repositories below dir, which may come later, by SSH on
// loopback, to whoever has the key.
func ServeGitSSH(t testing.TB, dir string) *GitSSH {
	t.Helper()
	host, _ := sshSigner(t)
	client, key := sshSigner(t)
	g := &GitSSH{Key: key, dir: dir, config: &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
			if string(k.Marshal()) != string(client.PublicKey().Marshal()) {
				return nil, os.ErrPermission
			}
			return &ssh.Permissions{}, nil
		},
	}}
	g.config.AddHostKey(host)
	var err error
	if g.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatalf("listening for SSH: %v", err)
	}
	g.URL = "ssh://git@" + g.listener.Addr().String()
	g.done.Go(func() {
		for {
			conn, err := g.listener.Accept()
			if err != nil {
				return
			}
			g.done.Go(func() { g.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = g.listener.Close()
		g.done.Wait()
	})
	return g
}

// SSHKey is a new private key in PEM, which no server knows.
func SSHKey(t testing.TB) string {
	t.Helper()
	_, key := sshSigner(t)
	return key
}

// sshSigner is a new key, and the same in PEM.
func sshSigner(t testing.TB) (ssh.Signer, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatalf("making an SSH key: %v", err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatalf("making an SSH key: %v", err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatalf("making an SSH key: %v", err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

func (g *GitSSH) serve(conn net.Conn) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, g.config)
	if err != nil {
		return // nobody who may come in, or who wants the host's key alone
	}
	go ssh.DiscardRequests(requests)
	for ch := range channels {
		if ch.ChannelType() != "session" {
			_ = ch.Reject(ssh.UnknownChannelType, "sessions alone")
			continue
		}
		channel, requests, err := ch.Accept()
		if err != nil {
			return
		}
		g.done.Go(func() { g.session(channel, requests) })
	}
}

// session runs the one command that it is asked for.
func (g *GitSSH) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for req := range requests {
		var command struct{ Line string }
		if req.Type != "exec" || ssh.Unmarshal(req.Payload, &command) != nil {
			_ = req.Reply(false, nil)
			continue
		}
		_ = req.Reply(true, nil)
		exit := struct{ Status uint32 }{g.uploadPack(channel, command.Line)}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(exit))
		return
	}
}

// uploadPack is "git-upload-pack '/REPOSITORY'", and returns the exit code.
func (g *GitSSH) uploadPack(channel ssh.Channel, line string) uint32 {
	name, quoted, _ := strings.Cut(line, " ")
	if name != "git-upload-pack" {
		_, _ = channel.Stderr().Write([]byte("git-upload-pack alone\n"))
		return 128
	}
	// Whoever the repositories belong to.
	cmd := exec.Command("git", "-c", "safe.directory=*", "upload-pack", filepath.Join(g.dir, strings.Trim(quoted, "'")))
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 1
	}
	if err := cmd.Start(); err != nil {
		return 1
	}
	go func() {
		defer stdin.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := channel.Read(buf)
			if _, werr := stdin.Write(buf[:n]); err != nil || werr != nil {
				return
			}
		}
	}()
	if cmd.Wait() != nil {
		return 128
	}
	return 0
}
