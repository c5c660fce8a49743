package testsuite

import (
	"context"
	"path"

	bkllb "github.com/moby/buildkit/client/llb"

	"github.com/seatrial/seatrial/llb"
)

// textFile is where a mount's text lies in its filesystem.
const textFile = "/text"

// ofSteps tells whether a mount shows a filesystem that steps make.
func (m Mount) ofSteps() bool { return m.Type == "" || m.Type == MountBind || m.Type == MountVolume }

// shown is what a mount ofSteps shows: a filesystem, and the path in it. root is the
// filesystem of whoever mounts it, for a volume begins with what is there.
func (m Mount) shown(ctx context.Context, trial *llb.Trial, image *llb.Stage, root bkllb.State) (bkllb.State, string, error) {
	switch {
	case m.Text != "":
		return bkllb.Scratch().File(bkllb.Mkfile(textFile, 0o444, []byte(m.Text)), bkllb.WithCustomName("[test] text of "+m.Target)), textFile, nil
	case m.Type == MountVolume:
		target := path.Clean("/" + m.Target)
		return root.File(bkllb.Mkdir(target, 0o755, bkllb.WithParents(true)), bkllb.WithCustomName("[test] volume "+target)), target, nil
	}
	st, err := m.From.state(ctx, trial, image)
	if err != nil {
		return bkllb.State{}, "", err
	}
	from := path.Clean("/" + m.Path)
	if m.From.Context {
		// What is mounted to be written to has no content hash, and the
		// context is another one in every build.
		st, from = copied(st, from)
	}
	return st, from, nil
}
