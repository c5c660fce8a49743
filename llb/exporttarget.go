package llb

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session/filesync"
	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
	"google.golang.org/grpc"
)

// exportTarget writes what the daemon exports, and keeps why it could not: all that the
// daemon says of a full disk here may be that the stream has ended.
type exportTarget struct {
	stream *filesync.SyncTarget // nil: files are written into dir
	dir    string
	calls  sync.WaitGroup // of the daemon

	mu  sync.Mutex
	err error
}

// newExportTarget returns nil for anything but a stream, or files that are added to a
// directory: BuildKit's client offers what that needs.
func newExportTarget(exports []client.ExportEntry) *exportTarget {
	if len(exports) != 1 {
		return nil
	}
	e := exports[0]
	mode, err := client.ParseLocalExporterMode(e.Attrs["mode"])
	switch {
	case e.Type != client.ExporterLocal && e.Output != nil:
		return &exportTarget{stream: filesync.NewFSSyncTarget(filesync.WithFSSync(0, e.Output))}
	case e.Type == client.ExporterLocal && e.OutputDir != "" && err == nil && mode != client.LocalExporterModeDelete:
		return &exportTarget{dir: e.OutputDir}
	}
	return nil
}

// Register implements session.Attachable.
func (t *exportTarget) Register(server *grpc.Server) { filesync.RegisterFileSendServer(server, t) }

// DiffCopy implements filesync.FileSendServer.
func (t *exportTarget) DiffCopy(stream filesync.FileSend_DiffCopyServer) error {
	t.calls.Add(1)
	defer t.calls.Done()
	if t.stream != nil {
		return t.keep(t.stream.DiffCopy(stream))
	}
	err := t.keep(t.receive(stream))
	if err == nil {
		return nil
	}
	// The daemon ends the call when it has heard of the error, which fsutil does not send of
	// a directory that cannot be there. If the call just ended while many files were asked
	// for, fsutil would wait there for ever for somebody to send the next one.
	_ = stream.SendMsg(&fstypes.Packet{Type: fstypes.PACKET_ERR, Data: []byte(err.Error())})
	for stream.RecvMsg(&fstypes.Packet{}) == nil {
		continue
	}
	return err
}

// receive is as BuildKit's client does it, but does not close the directory after an error:
// fsutil may still write other files then, and panics where that is closed. The runtime
// closes it when nobody has it any longer.
func (t *exportTarget) receive(stream filesync.FileSend_DiffCopyServer) error {
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return err
	}
	dir, err := os.OpenRoot(t.dir)
	if err != nil {
		return err
	}
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid()) //nolint:gosec // not negative where there are such files
	root := fsutil.NewRoot(dir)
	err = fsutil.ReceiveRoot(stream.Context(), stream, root, fsutil.ReceiveOpt{
		Merge: true,
		Filter: func(_ string, st *fstypes.Stat) bool {
			st.Uid, st.Gid = uid, gid
			return true
		},
	})
	if err != nil {
		return err
	}
	return root.Close()
}

// keep keeps an error about a file here. Others may be the daemon's own, which it tells better.
func (t *exportTarget) keep(err error) error {
	var file *fs.PathError
	if errors.As(err, &file) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.err = file
	}
	return err
}

// cause is why an export failed that failed with err, which may be known here a moment
// after the daemon has told err.
func (t *exportTarget) cause(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		t.calls.Wait()
	}()
	select {
	case <-over:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return t.err
	}
	return err
}
