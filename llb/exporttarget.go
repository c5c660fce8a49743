package llb

import (
	"errors"
	"io/fs"
	"sync"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session/filesync"
	fstypes "github.com/tonistiigi/fsutil/types"
	"google.golang.org/grpc"
)

// exportTarget writes files that the daemon exports, and keeps why it could not: all that
// the daemon says of a full disk here may be that the stream has ended.
type exportTarget struct {
	*filesync.SyncTarget
	dirs bool // there are no streams among them

	mu  sync.Mutex
	err error
}

// newExportTarget returns nil if something is not exported as files or a stream: BuildKit's
// client offers what that needs.
func newExportTarget(exports []client.ExportEntry) (*exportTarget, error) {
	t := &exportTarget{SyncTarget: filesync.NewFSSyncTarget(), dirs: true}
	for i, e := range exports {
		mode, err := client.ParseLocalExporterMode(e.Attrs["mode"])
		switch {
		case e.Type != client.ExporterLocal && e.Output != nil:
			t.Add(filesync.WithFSSync(i, e.Output))
			t.dirs = false
		case e.Type != client.ExporterLocal || e.OutputDir == "":
			return nil, nil
		case err != nil:
			return nil, err
		case mode == client.LocalExporterModeDelete:
			t.Add(filesync.WithFSSyncDirDelete(i, e.OutputDir))
		default:
			t.Add(filesync.WithFSSyncDir(i, e.OutputDir))
		}
	}
	return t, nil
}

// Register implements session.Attachable.
func (t *exportTarget) Register(server *grpc.Server) { filesync.RegisterFileSendServer(server, t) }

// DiffCopy implements filesync.FileSendServer. The daemon, which is sent the error of a
// directory, ends the call when it has heard it: in fsutil it would wait for ever for
// somebody to send the next file if the call just ended while many were asked for.
func (t *exportTarget) DiffCopy(stream filesync.FileSend_DiffCopyServer) error {
	err := t.SyncTarget.DiffCopy(stream)
	if t.dirs && err != nil {
		// Of one that cannot be there at all fsutil has not sent it.
		_ = stream.SendMsg(&fstypes.Packet{Type: fstypes.PACKET_ERR, Data: []byte(err.Error())})
		for stream.RecvMsg(&fstypes.Packet{}) == nil {
			continue
		}
	}
	var file *fs.PathError
	if errors.As(err, &file) { // others may be the daemon's own, which it tells better
		t.mu.Lock()
		defer t.mu.Unlock()
		t.err = file
	}
	return err
}

// cause is why an export failed that failed with err.
func (t *exportTarget) cause(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil && t.err != nil {
		return t.err
	}
	return err
}
