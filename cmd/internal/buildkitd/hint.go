package buildkitd

import "strings"

// hint says what to do about a failed connection.
func (t target) hint(err error) string {
	u, text := t.url, err.Error()
	has := func(s string) bool { return strings.Contains(text, s) }
	switch {
	case has("certificate signed by unknown authority"):
		return "the daemon's certificate was not made by the given CA: check --tlscacert or --tlsdir"
	case has("x509: certificate is valid for"), has("x509: certificate is not valid for"), has("doesn't contain any IP SANs"):
		return "name the host in the daemon's certificate with --tlsservername"
	case has("x509: certificate has expired"):
		return "renew the daemon's certificate, or check this machine's clock"
	case has("certificate required"), has("bad certificate"), has("unknown certificate authority"):
		return "the daemon wants a client certificate made by its own CA: check --tlsdir, or --tlscert and --tlskey"
	case has("does not look like a TLS handshake"):
		return "the daemon does not speak TLS at this address: leave the TLS flags away, or start it with --tlscert, --tlskey and --tlscacert"
	case u.Scheme == "tcp" && t.tls == nil && has("error reading server preface"):
		return "something else than buildkitd listens there, or it wants TLS: give --tlsdir"
	case has("permission denied") && u.Scheme == "unix":
		return "this user may not open the socket: use a rootless buildkitd, --addr private, or ask for access to the socket's group"
	case has("executable file not found"):
		return "install the command that " + u.Scheme + ":// needs, or use another address"
	case has(errNoWorkers.Error()):
		return "the daemon finds no runc or containerd: see its log"
	case u.Scheme == "unix":
		return "start buildkitd there, or use --addr auto"
	default:
		return "check that buildkitd runs and listens there, or use --addr auto"
	}
}
