package testsuite

import (
	"slices"
	"strconv"

	"github.com/containerd/containerd/v2/core/content"
	bkllb "github.com/moby/buildkit/client/llb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/helper"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// Phases are those of the solve that tries the image. A suite serves one solve.
func (s *Suite) Phases() llb.Phases {
	return llb.Phases{Stages: s.Stages, Try: s.Try, Gear: s.gear(), ContextPaths: s.contextPaths()}
}

// gear is what the tests need of the session.
func (s *Suite) gear() llb.Gear {
	return llb.Gear{
		Stores:  map[string]content.Store{helper.StoreID: &shelfStore{Store: helper.Store(), shelf: &s.shelf}},
		Secret:  s.control,
		Socket:  s.socket,
		Witness: s.witness,
	}
}

// wrapper has the helper start the commands of a run, whose output it keeps, and ends
// them in time. It joins them to what they are to reach.
func (s *Suite) wrapper(t *llb.Trial, r *run) (llb.Wrapper, error) {
	w := llb.Wrapper{
		Program:    func(p ocispecs.Platform) *bkllb.State { return s.program(t.Client.BuildOpts().SessionID, p) },
		ProgramDir: protocol.BinDir, OutDir: protocol.OutDir,
		Secret: r.secret(), SecretPath: protocol.ControlFile,
	}
	run := protocol.Run{Out: protocol.OutDir, Control: protocol.ControlFile}
	view := viewFrom(r.test.network(), t)
	r.view = view
	if len(r.services) > 0 {
		key, err := servicesKey(r.services)
		if err != nil {
			return w, err
		}
		run.Doorbell, run.Key = protocol.DoorbellSocket, key
		w.Sockets = append(w.Sockets, llb.Socket{ID: r.doorbell(), Path: protocol.DoorbellSocket})
		w.Hosts = view.hosts(r.services, -1)
		if len(r.test.shared()) > 0 {
			run.Volumes = protocol.VolumesDir
		}
	}
	addForwards(&w, &run, r.test.Forwards, view)
	if len(w.Sockets) > 0 {
		for _, p := range r.graph.Platforms {
			if s.shelf.image(p) == nil {
				return w, errNoHelper(p)
			}
		}
	}
	if run.Volumes != "" || slices.ContainsFunc(r.ports(), func(port int) bool { return port < privileged }) {
		w.ArgsAs = func(user string) []string {
			run.User = user
			args, err := protocol.Args(protocol.ModeRun, run)
			if err != nil {
				return w.Args // which has the same options
			}
			return args
		}
	}
	var err error
	w.Args, err = protocol.Args(protocol.ModeRun, run)
	return w, err
}

// privileged is the first port at which anybody may listen: at those below, the helper
// listens as root.
const privileged = 1024

// ports are those at which the test reaches something.
func (r *run) ports() []int {
	var out []int
	for _, v := range r.services {
		out = append(out, v.Spec.Ports...)
	}
	for _, f := range r.test.Forwards {
		if n, err := strconv.Atoi(f.port()); err == nil {
			out = append(out, n)
		}
	}
	return out
}
