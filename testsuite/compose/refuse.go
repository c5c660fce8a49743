package compose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/containerd/platforms"
)

// rule is a key that a test cannot honour.
type rule struct {
	key  string
	used func(s *types.ServiceConfig) bool
	hint string
}

const (
	hintUnprivileged = "remove it: tests run without privileges; keep a test that needs it apart from this build"
	hintService      = "remove it, and run what is to be reached as a service of this file"
	hintOwnPlace     = "remove it: each service has its own processes and network, and reaches the others by name"
	hintCommand      = "remove it, and do this in the service's command"
)

// refused are the keys without which a test would not be what it was written to be.
var refused = []rule{
	{"privileged", func(s *types.ServiceConfig) bool { return s.Privileged }, hintUnprivileged},
	{"cap_add", func(s *types.ServiceConfig) bool { return slices.ContainsFunc(s.CapAdd, beyondDefault) }, hintUnprivileged},
	{"devices", func(s *types.ServiceConfig) bool { return len(s.Devices) > 0 }, hintUnprivileged},
	{"device_cgroup_rules", func(s *types.ServiceConfig) bool { return len(s.DeviceCgroupRules) > 0 }, hintUnprivileged},
	{"gpus", func(s *types.ServiceConfig) bool { return len(s.Gpus) > 0 }, hintUnprivileged},
	{"security_opt", func(s *types.ServiceConfig) bool { return slices.ContainsFunc(s.SecurityOpt, loosens) }, hintUnprivileged},
	{"sysctls", func(s *types.ServiceConfig) bool { return len(s.Sysctls) > 0 }, hintUnprivileged},
	{"cgroup", func(s *types.ServiceConfig) bool { return s.Cgroup != "" && s.Cgroup != "private" }, hintUnprivileged},
	{"cgroup_parent", func(s *types.ServiceConfig) bool { return s.CgroupParent != "" }, hintUnprivileged},
	{"userns_mode", func(s *types.ServiceConfig) bool { return s.UserNSMode != "" }, hintUnprivileged},
	{"runtime", func(s *types.ServiceConfig) bool { return s.Runtime != "" }, hintUnprivileged},
	{"isolation", func(s *types.ServiceConfig) bool { return s.Isolation != "" && s.Isolation != "default" }, hintUnprivileged},
	{"storage_opt", func(s *types.ServiceConfig) bool { return len(s.StorageOpt) > 0 }, hintUnprivileged},
	{"credential_spec", func(s *types.ServiceConfig) bool { return s.CredentialSpec != nil }, hintUnprivileged},
	{"pid", func(s *types.ServiceConfig) bool { return s.Pid != "" }, hintOwnPlace},
	{"ipc", func(s *types.ServiceConfig) bool {
		return !slices.Contains([]string{"", "private", "shareable", "none"}, s.Ipc)
	}, hintOwnPlace},
	{"uts", func(s *types.ServiceConfig) bool { return s.Uts != "" }, hintOwnPlace},
	{"network_mode", func(s *types.ServiceConfig) bool {
		return !slices.Contains([]string{"", "none", "bridge", "default"}, s.NetworkMode)
	}, hintOwnPlace},
	{"external_links", func(s *types.ServiceConfig) bool { return len(s.ExternalLinks) > 0 }, hintService},
	{"use_api_socket", func(s *types.ServiceConfig) bool { return s.UseAPISocket }, hintService},
	{"provider", func(s *types.ServiceConfig) bool { return s.Provider != nil }, hintService},
	{"models", func(s *types.ServiceConfig) bool { return len(s.Models) > 0 }, hintService},
	{"volumes_from", func(s *types.ServiceConfig) bool { return len(s.VolumesFrom) > 0 }, "name the volume, and mount it in both services: volumes: [NAME:PATH]"},
	{"volume_driver", func(s *types.ServiceConfig) bool { return s.VolumeDriver != "" && s.VolumeDriver != "local" }, "remove it: a volume ends with the test"},
	{"group_add", func(s *types.ServiceConfig) bool { return len(s.GroupAdd) > 0 }, "say user: NAME:GROUP, or make the group in the image"},
	{"pre_start", func(s *types.ServiceConfig) bool { return len(s.PreStart) > 0 }, hintCommand},
	{"post_start", func(s *types.ServiceConfig) bool { return len(s.PostStart) > 0 }, hintCommand},
	{"pre_stop", func(s *types.ServiceConfig) bool { return len(s.PreStop) > 0 }, hintCommand},
}

// ignored are keys without which a container may do more than it was to.
var ignored = []rule{
	{"read_only", func(s *types.ServiceConfig) bool { return s.ReadOnly }, "the filesystem can be written to"},
	{"cap_drop", func(s *types.ServiceConfig) bool { return len(s.CapDrop) > 0 }, "the container has the builder's usual capabilities"},
	{"security_opt", func(s *types.ServiceConfig) bool { return len(s.SecurityOpt) > 0 }, "the container has the builder's usual profile"},
	{"ulimits", func(s *types.ServiceConfig) bool { return len(s.Ulimits) > 0 }, "the builder's limits hold"},
	{"pids_limit", func(s *types.ServiceConfig) bool { return s.PidsLimit > 0 }, "the builder's limits hold"},
	{"dns", func(s *types.ServiceConfig) bool { return len(s.DNS)+len(s.DNSOpts)+len(s.DNSSearch) > 0 }, "services are found by their names alone"},
	{"domainname", func(s *types.ServiceConfig) bool { return s.DomainName != "" }, "services are found by their names alone; add a network alias"},
	{"mac_address", func(s *types.ServiceConfig) bool { return s.MacAddress != "" }, "the network has no such addresses"},
	{"scale", func(s *types.ServiceConfig) bool { return s.GetScale() != 1 }, "one is started"},
	{"umask", func(s *types.ServiceConfig) bool { return s.Umask != nil }, "the image's holds"},
}

// beyondDefault tells a capability that containers do not have anyway.
func beyondDefault(name string) bool {
	return !slices.Contains([]string{
		"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
		"NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
	}, strings.TrimPrefix(strings.ToUpper(name), "CAP_"))
}

func loosens(opt string) bool { return !strings.HasPrefix(opt, "no-new-privileges") }

// refuse finds what a service asks for and cannot have.
func (m *mapper) refuse(s *types.ServiceConfig) error {
	for _, r := range refused {
		if r.used(s) {
			return m.errorf(s, r.hint, "%s asks for %s, which a test cannot have", s.Name, r.key)(r.key)
		}
	}
	if s.Deploy != nil && s.Deploy.Resources.Reservations != nil && len(s.Deploy.Resources.Reservations.Devices) > 0 {
		return m.errorf(s, hintUnprivileged, "%s asks for devices, which a test cannot have", s.Name)("deploy", "resources", "reservations", "devices")
	}
	if _, err := platforms.Parse(s.Platform); s.Platform != "" && err != nil {
		return m.errorf(s, "a platform looks like linux/amd64 or linux/arm64", "%q is no platform", s.Platform)("platform")
	}
	for _, r := range ignored {
		if r.used(s) {
			m.warn(s, r.key, r.key+" of "+s.Name+" is not honoured: "+r.hint)
		}
	}
	return nil
}

// buildRule is a key of build that is not honoured.
type buildRule struct {
	key  string
	used func(b *types.BuildConfig) bool
	// loss is what it is to do without; "" refuses the key: it would make another image.
	loss string
	// flag says the same for the image under test; "" if none does.
	flag string
}

var buildRules = []buildRule{
	{"additional_contexts", func(b *types.BuildConfig) bool { return len(b.AdditionalContexts) > 0 }, "", "--build-context"},
	{"secrets", func(b *types.BuildConfig) bool { return len(b.Secrets) > 0 }, "", "--secret"},
	{"ssh", func(b *types.BuildConfig) bool { return len(b.SSH) > 0 }, "", "--ssh"},
	{"network", func(b *types.BuildConfig) bool { return b.Network != "" && b.Network != "default" }, "", "--network"},
	{"extra_hosts", func(b *types.BuildConfig) bool { return len(b.ExtraHosts) > 0 }, "", "--add-host"},
	{"privileged", func(b *types.BuildConfig) bool { return b.Privileged }, "", "--allow security.insecure"},
	{"entitlements", func(b *types.BuildConfig) bool { return len(b.Entitlements) > 0 }, "", "--allow"},
	{"isolation", func(b *types.BuildConfig) bool { return b.Isolation != "" && b.Isolation != "default" }, "", ""},
	{"ulimits", func(b *types.BuildConfig) bool { return len(b.Ulimits) > 0 }, "", "--ulimit"},
	{"shm_size", func(b *types.BuildConfig) bool { return b.ShmSize > 0 }, "", "--shm-size"},
	{"labels", func(b *types.BuildConfig) bool { return len(b.Labels) > 0 }, "the image has no labels", "--label"},
	{"no_cache", func(b *types.BuildConfig) bool { return b.NoCache }, "steps that have not changed come from the cache", "--no-cache"},
	{"no_cache_filter", func(b *types.BuildConfig) bool { return len(b.NoCacheFilter) > 0 }, "steps that have not changed come from the cache", "--no-cache-filter"},
	{"pull", func(b *types.BuildConfig) bool { return b.Pull }, "--pull is for all images", "--pull"},
	{"platforms", func(b *types.BuildConfig) bool { return len(b.Platforms) > 0 }, "it is built for the platform of the image under test", "--platform"},
	{"cache_from", func(b *types.BuildConfig) bool { return len(b.CacheFrom) > 0 }, "the builder's own cache is used", "--cache-from"},
	{"cache_to", func(b *types.BuildConfig) bool { return len(b.CacheTo) > 0 }, "the builder's own cache is used", "--cache-to"},
	{"tags", func(b *types.BuildConfig) bool { return len(b.Tags) > 0 }, "the image is for the test alone", "--tag"},
	{"provenance", func(b *types.BuildConfig) bool { return b.Provenance != "" }, "the image is for the test alone", "--provenance"},
	{"sbom", func(b *types.BuildConfig) bool { return b.SBOM != "" }, "the image is for the test alone", "--sbom"},
}

// refuseBuild finds what a build asks for and does not get: the image under test is there
// already, and others are for the test alone.
func (m *mapper) refuseBuild(s *types.ServiceConfig, own bool) error {
	for _, r := range buildRules {
		if !r.used(s.Build) {
			continue
		}
		at := m.doc.at("services", s.Name, "build", r.key)
		w := Finding{File: m.doc.file, Line: at.Line, Column: at.Column, Msg: fmt.Sprintf("build.%s of %s is not honoured: %s", r.key, s.Name, r.loss)}
		switch {
		case own:
			w.Msg = fmt.Sprintf("build.%s of %s is not honoured: the image under test is built as the command line says", r.key, s.Name)
			if r.flag != "" {
				w.Hint = r.flag + " says so there"
			}
		case r.loss == "":
			return m.errorf(s, "put it into the Dockerfile, or build this image beforehand and name it with image:",
				"an image for a test cannot have build.%s", r.key)("build", r.key)
		}
		if !slices.Contains(m.out.Warnings, w) { // another service may have the same image
			m.out.Warnings = append(m.out.Warnings, w)
		}
	}
	return nil
}
