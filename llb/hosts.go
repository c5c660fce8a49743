package llb

import "github.com/moby/buildkit/solver/pb"

// Hosts are the names that the build's options add for every RUN instruction, for
// containers that are no steps of a build.
func (s *Stage) Hosts() []*pb.HostIP {
	var out []*pb.HostIP
	for _, h := range s.config.ExtraHosts {
		out = append(out, &pb.HostIP{Host: h.Host, IP: h.IP.String()})
	}
	return out
}
