package testsuite

import (
	"crypto/rand"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/worker/label"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// A test and its services each have a network of their own, with nothing but loopback
// in it. Unix sockets in a directory that they share join them: whoever has a service
// for its peer listens, at an address of 127.0.0.0/8 that stands for the service, at
// the service's port.

// meshID is the cache mount that is the directory, of all tests on a daemon: each ID
// would stay in its list for good.
const meshID = "seatrial-mesh"

// meshSocket is where in the directory a port of a service is found.
func meshSocket(id string, index, port int) string {
	return path.Join(protocol.MeshDir, id, fmt.Sprintf("%d-%d.sock", index, port))
}

// viewpoint is from where services are seen.
type viewpoint struct {
	middle  [2]byte // of the addresses that they have there
	builder bool    // it is in a network that the builder's containers share
}

// viewFrom is that of a container. One without a network of its own may share loopback
// with anything, so that its addresses should be nobody else's.
func viewFrom(network string, trial *llb.Trial) viewpoint {
	if network == NetworkNone {
		return viewpoint{middle: [2]byte{64, 0}}
	}
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	return viewpoint{middle: [2]byte{64 + b[0]%128, b[1]}, builder: sharedNetwork(trial)}
}

// sharedNetwork tells whether all containers with the builder's network are in the same
// one.
func sharedNetwork(trial *llb.Trial) bool {
	return slices.ContainsFunc(trial.Client.BuildOpts().Workers, func(w gateway.WorkerInfo) bool { return w.Labels[label.Network] == "host" })
}

// direct tells whether a service listens where it is seen from: nobody else could, at its
// ports, and nobody has to.
func (v viewpoint) direct(peer *service) bool { return v.builder && peer.Network == NetworkDefault }

// address stands for the service with this index.
func (v viewpoint) address(index int) string {
	return net.IPv4(127, v.middle[0], v.middle[1], byte(index+1)).String()
}

// hosts are the names of services, but that with the index own.
func (v viewpoint) hosts(services []*service, own int) []*pb.HostIP {
	var out []*pb.HostIP
	for _, peer := range services {
		if peer.index == own {
			continue
		}
		address := v.address(peer.index)
		if v.direct(peer) {
			address = "127.0.0.1"
		}
		for _, name := range peer.names() {
			out = append(out, &pb.HostIP{Host: name, IP: address})
		}
	}
	return out
}

// listen is how one of them reaches the others. At a port of its own there may be no other
// listener: those wait until it is known whether it uses it.
func (v *service) listen(view viewpoint, id string, services []*service) (links, late []protocol.Forward) {
	for _, peer := range services {
		if peer == v || view.direct(peer) {
			continue
		}
		for _, port := range peer.Spec.Ports {
			link := protocol.Forward{
				Address: net.JoinHostPort(view.address(peer.index), strconv.Itoa(port)),
				Socket:  meshSocket(id, peer.index, port),
				Upward:  !awaited(v.DependsOn, peer.Name),
			}
			if v.has(port) {
				late = append(late, link)
			} else {
				links = append(links, link)
			}
		}
	}
	return links, late
}

// listenInTest is how the test reaches all of them. It goes by names: of two builds that
// the daemon took for one, it may have executed the other's test.
func listenInTest(view viewpoint, id string, services []*service, deps []Dependency) []protocol.Forward {
	var links []protocol.Forward
	for _, v := range services {
		if view.direct(v) {
			continue
		}
		for _, port := range v.Spec.Ports {
			links = append(links, protocol.Forward{
				Address: net.JoinHostPort(v.Name, strconv.Itoa(port)), Socket: meshSocket(id, v.index, port),
				Upward: len(deps) > 0 && !awaited(deps, v.Name),
			})
		}
	}
	return links
}

// awaited tells whether a service is ready before whoever has these dependencies starts.
func awaited(deps []Dependency, name string) bool {
	return slices.ContainsFunc(deps, func(dep Dependency) bool { return dep.Service == name && dep.Condition != Started })
}

// export is how it is reached.
func (v *service) export(id string) []protocol.Forward {
	var links []protocol.Forward
	for _, port := range v.Spec.Ports {
		links = append(links, protocol.Forward{
			Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Socket: meshSocket(id, v.index, port),
		})
	}
	return links
}
