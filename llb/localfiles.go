package llb

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"

	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerui"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// localFiles answers the frontend's reads of the Dockerfile and the ignore file
// with what was read here already. Without it each costs a transfer into the
// daemon and back, and an ignore file that excludes itself would be invisible.
type localFiles struct {
	gateway.Client
	src *Source
}

// dockerignoreHint is how dockerui marks its read of .dockerignore.
const dockerignoreHint = dockerui.DefaultLocalNameContext + "-" + dockerui.DefaultDockerignoreName

func (l *localFiles) Solve(ctx context.Context, req gateway.SolveRequest) (*gateway.Result, error) {
	files := l.wanted(req.Definition)
	if files == nil {
		return l.Client.Solve(ctx, req)
	}
	res := gateway.NewResult()
	res.SetRef(files)
	return res, nil
}

// dockerfiles are the Dockerfile and its own ignore file by the names that the
// daemon knows them by.
func (s *Source) dockerfiles() map[string][]byte {
	files := map[string][]byte{s.base(): s.Data}
	if s.IgnoreName == s.Dockerfile+defaultDockerignore {
		files[path.Base(filepath.ToSlash(s.IgnoreName))] = s.IgnoreData
	}
	return files
}

// wanted is the files that a definition loads if that is all it does.
func (l *localFiles) wanted(def *pb.Definition) fileRef {
	if def == nil || len(def.Def) != 2 { // the source and the terminal op
		return nil
	}
	var op pb.Op
	if err := op.UnmarshalVT(def.Def[0]); err != nil {
		return nil
	}
	src := op.GetSource()
	switch {
	case src == nil:
		return nil
	case src.Identifier == "local://"+dockerui.DefaultLocalNameDockerfile:
		return l.src.dockerfiles()
	case src.Identifier == "local://"+dockerui.DefaultLocalNameContext && src.Attrs[pb.AttrSharedKeyHint] == dockerignoreHint:
		files := fileRef{}
		if l.src.IgnoreName != "" {
			files[dockerui.DefaultDockerignoreName] = l.src.IgnoreData
		}
		return files
	}
	return nil
}

// fileRef is a few files in memory as a gateway reference.
type fileRef map[string][]byte

func (f fileRef) ToState() (bkllb.State, error)  { return bkllb.Scratch(), nil }
func (f fileRef) Evaluate(context.Context) error { return nil }

func (f fileRef) ReadFile(_ context.Context, req gateway.ReadRequest) ([]byte, error) {
	dt, ok := f[path.Clean(req.Filename)]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", req.Filename, fs.ErrNotExist)
	}
	if r := req.Range; r != nil {
		dt = dt[min(r.Offset, len(dt)):]
		dt = dt[:min(r.Length, len(dt))]
	}
	return dt, nil
}

func (f fileRef) StatFile(_ context.Context, req gateway.StatRequest) (*fstypes.Stat, error) {
	dt, ok := f[path.Clean(req.Path)]
	if !ok {
		return nil, fmt.Errorf("stat %s: %w", req.Path, fs.ErrNotExist)
	}
	return &fstypes.Stat{Path: req.Path, Size: int64(len(dt)), Mode: 0o644}, nil
}

func (f fileRef) ReadDir(context.Context, gateway.ReadDirRequest) ([]*fstypes.Stat, error) {
	return nil, fmt.Errorf("listing a local file: %w", fs.ErrInvalid)
}
