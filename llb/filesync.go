package llb

import (
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/filesync"
	"google.golang.org/grpc"
)

// fileSync sends what in offers. fsutil would wait for the daemon for ever when it
// cannot read a file: the daemon hears of an error when the call ends, and the call
// ends when the daemon has said something.
type fileSync struct {
	filesync.FileSyncServer
	in *inputs
}

// newFileSync returns BuildKit's own provider if that cannot be wrapped.
func newFileSync(in *inputs) session.Attachable {
	provider := filesync.NewFSSyncProvider(in, in.filter)
	if server, ok := provider.(filesync.FileSyncServer); ok {
		return &fileSync{server, in}
	}
	return provider
}

// Register implements session.Attachable.
func (f *fileSync) Register(server *grpc.Server) { filesync.RegisterFileSyncServer(server, f) }

// DiffCopy implements filesync.FileSyncServer.
func (f *fileSync) DiffCopy(stream filesync.FileSync_DiffCopyServer) error {
	return f.FileSyncServer.DiffCopy(&fileStream{stream, f.in})
}

type fileStream struct {
	filesync.FileSync_DiffCopyServer
	in *inputs
}

// RecvMsg ends when a file could not be sent.
func (s *fileStream) RecvMsg(m any) error {
	received := make(chan error, 1)
	go func() { received <- s.FileSync_DiffCopyServer.RecvMsg(m) }()
	select {
	case err := <-received:
		return err
	case <-s.in.failed:
		return s.in.cause(errChanged)
	}
}
