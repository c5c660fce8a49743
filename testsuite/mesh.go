package testsuite

import (
	"crypto/rand"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"

	"github.com/moby/buildkit/solver/pb"

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

// viewpoint is from where services are seen: two bytes of the addresses that they have
// there.
type viewpoint [2]byte

// viewFrom is that of a container. One without a network of its own may share loopback
// with anything, so that its addresses should be nobody else's.
func viewFrom(network string) viewpoint {
	if network == NetworkNone {
		return viewpoint{64, 0}
	}
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	return viewpoint{64 + b[0]%128, b[1]}
}

// address stands for the service with this index.
func (v viewpoint) address(index int) string {
	return net.IPv4(127, v[0], v[1], byte(index+1)).String()
}

// hosts are the names of services, but that with the index own.
func (v viewpoint) hosts(services []*service, own int) []*pb.HostIP {
	var out []*pb.HostIP
	for _, peer := range services {
		if peer.index == own {
			continue
		}
		for _, name := range peer.names() {
			out = append(out, &pb.HostIP{Host: name, IP: v.address(peer.index)})
		}
	}
	return out
}

// listen is how one of them reaches the others. At a port of its own there may be no other
// listener: those wait until it is known whether it uses it.
func (v *service) listen(view viewpoint, id string, services []*service) (links, late []protocol.Forward) {
	for _, peer := range services {
		if peer == v {
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
func listenInTest(id string, services []*service, deps []Dependency) []protocol.Forward {
	var links []protocol.Forward
	for _, v := range services {
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
