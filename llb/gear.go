package llb

import (
	"context"
	"errors"
	"io"
	"maps"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/session"
	sessioncontent "github.com/moby/buildkit/session/content"
	"github.com/moby/buildkit/session/secrets"
	"github.com/moby/buildkit/session/sshforward"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Gear is what a trial offers to the daemon beside what the build offers. The zero
// value is nothing.
type Gear struct {
	// Stores are content stores for OCILayout sources, by the ID of the store.
	Stores map[string]content.Store
	// Secret is asked for secrets before those of the build; nil means that it
	// is none of the trial's.
	Secret func(id string) []byte
	// Socket is asked for SSH agents before those of the build; nil means
	// that it is none of the trial's. What it returns is given each connection
	// that is made to the socket, and ends it when it returns.
	Socket func(id string) func(context.Context, io.ReadWriter) error
	// Witness is a command for a platform, from a session that has this gear: a step
	// that runs it stands in caches for what the image has passed. Default, and if
	// it is nil: caches that nobody but the daemon can write to do not know.
	Witness func(session string, p ocispecs.Platform) *Witness
}

// attach has a session offer what attachables and gear do. A session takes only one
// server of each kind, so those of secrets and agents are put together.
func (g Gear) attach(s *session.Session, attachables []session.Attachable, stores map[string]content.Store) {
	store, agents := &gearSecrets{own: g.Secret}, &gearSockets{own: g.Socket}
	for _, a := range attachables {
		if server, ok := a.(secrets.SecretsServer); ok && store.SecretsServer == nil {
			store.SecretsServer = server
		} else if server, ok := a.(sshforward.SSHServer); ok && agents.SSHServer == nil {
			agents.SSHServer = server
		} else {
			s.Allow(a)
		}
	}
	if store.SecretsServer != nil || store.own != nil {
		s.Allow(store)
	}
	if agents.SSHServer != nil || agents.own != nil {
		s.Allow(agents)
	}
	all := map[string]content.Store{}
	maps.Copy(all, stores)
	for id, st := range g.Stores {
		all["oci:"+id] = st
	}
	if len(all) > 0 {
		s.Allow(sessioncontent.NewAttachable(all))
	}
}

// gearSecrets are the build's secrets, nil for none, and the trial's.
type gearSecrets struct {
	secrets.SecretsServer
	own func(id string) []byte
}

// Register implements session.Attachable.
func (s *gearSecrets) Register(server *grpc.Server) { secrets.RegisterSecretsServer(server, s) }

// GetSecret is called by the daemon.
func (s *gearSecrets) GetSecret(ctx context.Context, req *secrets.GetSecretRequest) (*secrets.GetSecretResponse, error) {
	if s.own != nil {
		if data := s.own(req.ID); data != nil {
			return &secrets.GetSecretResponse{Data: data}, nil
		}
	}
	if s.SecretsServer == nil || strings.HasPrefix(req.ID, proofPrefix) {
		return nil, status.Errorf(codes.NotFound, "secret %s: not found", req.ID)
	}
	return s.SecretsServer.GetSecret(ctx, req)
}

// gearSockets are the build's agents, nil for none, and the trial's.
type gearSockets struct {
	sshforward.SSHServer
	own func(id string) func(context.Context, io.ReadWriter) error
}

// Register implements session.Attachable.
func (s *gearSockets) Register(server *grpc.Server) { sshforward.RegisterSSHServer(server, s) }

// CheckAgent is called by the daemon.
func (s *gearSockets) CheckAgent(ctx context.Context, req *sshforward.CheckAgentRequest) (*sshforward.CheckAgentResponse, error) {
	if s.serve(req.ID) != nil {
		return &sshforward.CheckAgentResponse{}, nil
	}
	if s.SSHServer == nil {
		return nil, status.Errorf(codes.NotFound, "unset ssh forward key %s", req.ID)
	}
	return s.SSHServer.CheckAgent(ctx, req)
}

func (s *gearSockets) serve(id string) func(context.Context, io.ReadWriter) error {
	if s.own == nil {
		return nil
	}
	return s.own(id)
}

// ForwardAgent is called by the daemon for each connection.
func (s *gearSockets) ForwardAgent(stream grpc.BidiStreamingServer[sshforward.BytesMessage, sshforward.BytesMessage]) error {
	id := sshforward.DefaultID
	if md, ok := metadata.FromIncomingContext(stream.Context()); ok {
		if v := md[sshforward.KeySSHID]; len(v) > 0 && v[0] != "" {
			id = v[0]
		}
	}
	if serve := s.serve(id); serve != nil {
		return serve(stream.Context(), &socketStream{stream: stream})
	}
	if s.SSHServer == nil {
		return status.Errorf(codes.NotFound, "unset ssh forward key %s", id)
	}
	return s.SSHServer.ForwardAgent(stream)
}

// socketStream is a connection as bytes.
type socketStream struct {
	stream grpc.BidiStreamingServer[sshforward.BytesMessage, sshforward.BytesMessage]
	msg    sshforward.BytesMessage // whose bytes the next one takes
	rest   []byte
}

// Read implements io.Reader.
func (s *socketStream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		s.msg.Data = s.msg.Data[:0]
		if err := s.stream.RecvMsg(&s.msg); err != nil {
			return 0, err
		}
		s.rest = s.msg.Data
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// maxSocketMessage is far below what gRPC takes, large enough for what a message costs not
// to matter, and fills the buffer that gRPC has for messages beyond 32 KiB (see
// pieceLimit).
const maxSocketMessage = 1<<20 - 64

// ReadFrom implements io.ReaderFrom. io.Copy's own buffer is small.
func (s *socketStream) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{r}, make([]byte, maxSocketMessage))
}

// Write implements io.Writer.
func (s *socketStream) Write(p []byte) (int, error) {
	sent := 0
	for len(p) > 0 {
		n := min(len(p), maxSocketMessage)
		if err := s.stream.Send(&sshforward.BytesMessage{Data: p[:n]}); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrClosedPipe // the other side is gone
			}
			return sent, err
		}
		sent, p = sent+n, p[n:]
	}
	return sent, nil
}
