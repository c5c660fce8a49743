package testsuite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	bkllb "github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"

	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// A volume that several containers mount lies in a cache mount, in a directory that the
// helper makes in the test for this run and removes after it. Services mount it from
// there. The test is a step of the build, whose mounts must not change from run to run:
// there it is a symbolic link.

// volumesID is the cache mount, of all tests on a daemon: each ID would stay in its list
// for good.
const volumesID = "seatrial-volumes"

// shelterName is what the helper may call a directory.
var shelterName = regexp.MustCompile(`^[0-9a-f]{32}$`)

// shared are the IDs of the volumes that are mounted more than once, in order.
func (t Test) shared() []string {
	count := map[string]int{}
	add := func(mounts []Mount) {
		for _, m := range mounts {
			if m.Type == MountVolume && m.ID != "" {
				count[m.ID]++
			}
		}
	}
	add(t.Mounts)
	for _, v := range t.Services {
		add(v.Mounts)
	}
	var out []string
	for id, n := range count {
		if n > 1 {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// apart separates the shared volumes of a container from its other mounts.
func apart(mounts []Mount, shared []string) (own, volumes []Mount) {
	for _, m := range mounts {
		if m.Type == MountVolume && slices.Contains(shared, m.ID) {
			volumes = append(volumes, m)
		} else {
			own = append(own, m)
		}
	}
	return own, volumes
}

// volumesMount is what the test has of the shared volumes, if there are any.
func volumesMount(shared []string) []bkllb.RunOption {
	if len(shared) == 0 {
		return nil
	}
	return []bkllb.RunOption{bkllb.AddMount(protocol.VolumesDir, bkllb.Scratch(), bkllb.AsPersistentCacheDir(volumesID, bkllb.CacheMountShared))}
}

// volumeDir is where a volume lies in the cache mount. Its name may be anything.
func (k *stack) volumeDir(id string) string {
	return path.Join(k.shelter, strconv.Itoa(slices.Index(k.shared, id)))
}

// volumes are the shared ones of a container as the helper is told them.
func (k *stack) volumes(mounts []Mount) []protocol.Volume {
	_, shared := apart(mounts, k.shared)
	var out []protocol.Volume
	for _, m := range shared {
		out = append(out, protocol.Volume{Dir: path.Join(protocol.VolumesDir, k.volumeDir(m.ID)), Target: path.Clean("/" + m.Target)})
	}
	return out
}

// sharedMounts are the shared volumes of a service. A container of its image fills them
// beforehand, for one that has them mounted does not see what the image has there.
func (c *instance) sharedMounts(ctx context.Context, root, helper gateway.Reference) ([]gateway.Mount, error) {
	_, shared := apart(c.Mounts, c.stack.shared)
	if len(shared) == 0 {
		return nil, nil
	}
	if err := c.fill(ctx, root, helper); err != nil {
		return nil, err
	}
	var out []gateway.Mount
	for _, m := range shared {
		mount := volumesAt(m.Target)
		mount.Selector, mount.Readonly = c.stack.volumeDir(m.ID), m.ReadOnly
		out = append(out, mount)
	}
	return out, nil
}

// volumesAt mounts what all volumes lie in.
func volumesAt(target string) gateway.Mount {
	return gateway.Mount{Dest: target, MountType: pb.MountType_CACHE, CacheOpt: &pb.CacheOpt{ID: volumesID, Sharing: pb.CacheSharingOpt_SHARED}}
}

// fill runs the helper in a container of its own.
func (c *instance) fill(ctx context.Context, root, helper gateway.Reference) error {
	p := c.stage.Platform
	ctr, err := c.stack.trial.Client.NewContainer(context.WithoutCancel(ctx), gateway.NewContainerRequest{
		NetMode: pb.NetMode_NONE, Platform: &pb.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant},
		Mounts: []gateway.Mount{
			{Dest: pb.RootMount, Ref: root, MountType: pb.MountType_BIND},
			{Dest: protocol.BinDir, Ref: helper, MountType: pb.MountType_BIND, Readonly: true},
			volumesAt(protocol.VolumesDir),
		},
	})
	if err != nil {
		return fmt.Errorf("creating the container that fills its volumes: %w", err)
	}
	var said bytes.Buffer
	err = fillIn(ctx, ctr, protocol.Fill{Volumes: c.stack.volumes(c.Mounts)}, &said)
	return errors.Join(err, ctr.Release(context.WithoutCancel(ctx)))
}

func fillIn(ctx context.Context, ctr gateway.Container, opt protocol.Fill, said *bytes.Buffer) error {
	args, err := protocol.Args(protocol.ModeFill, opt)
	if err != nil {
		return err
	}
	proc, err := ctr.Start(ctx, gateway.StartRequest{Args: args, Cwd: "/", Stdout: writerFunc(said.Write), Stderr: writerFunc(said.Write)})
	if err == nil {
		err = proc.Wait()
	}
	if err == nil && said.Len() > 0 {
		err = errors.New(strings.TrimSpace(said.String()))
	}
	return err
}
