package llb

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/client"
	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	policypb "github.com/moby/buildkit/sourcepolicy/pb"
)

// Options says what to build and with what. The zero value builds ./Dockerfile
// for the daemon's own platform.
type Options struct {
	// Context is a directory, or a git or http(s) URL that the daemon
	// fetches. Default ".".
	Context string
	// Hidden is a file or directory that is no part of a context that it lies
	// in: what a build writes there must not make the next one another.
	// Default: none.
	Hidden string
	// Source is the Dockerfile, and the context unless that is a URL, if they
	// were read before, as standard input must be. Default: what Context and
	// Dockerfile name.
	Source *Source
	// Dockerfile is a path: of a local file when the context is a directory
	// (default CONTEXT/Dockerfile), inside the context when it is a URL.
	Dockerfile string
	// Target is the stage that becomes the image. Default: the last one.
	Target string
	// Platforms are the platforms to build for, as "linux/arm64". Default:
	// the daemon's own.
	Platforms []string
	// Index makes an index even of an image for one platform, as there is for
	// several; for a part of what several daemons build.
	Index bool
	// BuildArgs are the values of ARG instructions. They end up in the
	// image's history: never put a secret here.
	BuildArgs map[string]string
	// Labels are added to the image's configuration.
	Labels map[string]string
	// NamedContexts replace image names and stages of the Dockerfile: a
	// directory, a git or http(s) URL, docker-image://REFERENCE,
	// oci-layout://PATH[:TAG][@DIGEST], or target:STAGE of the same Dockerfile.
	NamedContexts map[string]string
	// NoCache builds every stage anew.
	NoCache bool
	// NoCacheStages are stages to build anew.
	NoCacheStages []string
	// Pull asks the registry for base images even if the daemon has them.
	Pull bool
	// Network is the network of RUN instructions and tests: "none", "host"
	// (which needs the entitlement network.host), or "" for the daemon's.
	Network string
	// Hosts are added to /etc/hosts of RUN instructions and tests.
	Hosts map[string]string
	// ShmSize is the size of /dev/shm in bytes. Default: the daemon's.
	ShmSize int64
	// Ulimits are as "nofile=1024:2048".
	Ulimits []string
	// CgroupParent is the parent cgroup of RUN instructions and tests.
	CgroupParent string
	// Resources limit what RUN instructions and tests may take, each by
	// itself. A daemon that cannot limit them is an error. Default: no limits.
	Resources bkllb.LinuxResources
	// Entitlements are what the build may do beyond the usual, if the
	// daemon's configuration allows it too: network.host,
	// security.insecure, device.
	Entitlements []string
	// AllowFrontends are frontend images that may be run in the builder if the
	// Dockerfile asks for one that is not built in. They can read everything
	// that the build offers. Default: none.
	AllowFrontends []AllowedFrontend
	// Attachables are secrets and SSH agents for RUN --mount.
	Attachables []session.Attachable
	// PullCredentials finds the credentials for a host that the build takes
	// a base image from. The daemon gets none for any other host, and no
	// token that can push. Default: everything is pulled anonymously.
	PullCredentials authprovider.AuthConfigProvider
	// TokenTransport is how the token server of a registry is asked for what
	// the daemon gets. Default: as BuildKit does, with the system's certificates.
	TokenTransport func(registry string) http.RoundTripper
	// CacheImports are caches to look into for steps that the daemon has not
	// run itself, of image and tests. One that cannot be read is passed over.
	CacheImports []client.CacheOptionsEntry
	// CacheExports are where the steps of image and tests are kept for other
	// daemons. They are written when all else is done; a failure is
	// Result.CacheErr and does not fail the solve.
	CacheExports []client.CacheOptionsEntry
	// PassedDir is a directory where it is noted as well which images passed
	// which trials, beside the daemon's history, which takes longer to read.
	// Default: none.
	PassedDir string
	// Recall tells which images are known elsewhere to have passed which
	// trials (Result.Passed of another solve), for example beside an imported
	// cache. It is asked once at most, and only if PassedDir does not know of
	// a trial that need not run. Default: nothing is known elsewhere.
	Recall func(context.Context) []Passes
	// Attestations are what the daemon attests of the image: parameters, as
	// "mode=max", by type, "provenance" or "sbom". An image with any is an
	// index. Default: nothing.
	Attestations map[string]string
	// SourcePolicy allows, denies and replaces sources of image and tests.
	// Default: all are allowed.
	SourcePolicy *policypb.Policy
	// ExportAttrs go to BuildKit's image exporter as they are.
	ExportAttrs map[string]string
	// Large is told once of each context on this machine of which LargeContext bytes
	// have been sent, while more may follow. Default: nobody is told.
	Large func(Transfer)
	// Redact is given every piece of output of a step before anyone sees
	// it, and returns what may be seen. Default: all of it.
	Redact func([]byte) []byte
	// Status is told everything that the daemon reports; each vertex once,
	// though it may serve image and tests. It is called from one goroutine
	// at a time and must not block for long. Default: nobody is told.
	Status func(*client.SolveStatus)
}

// attrs are o as the frontend contract of BuildKit's dockerfile.v0 spells it.
func (o Options) attrs() map[string]string {
	attrs := map[string]string{}
	for k, v := range o.BuildArgs {
		attrs["build-arg:"+k] = v
	}
	for k, v := range o.Labels {
		attrs["label:"+k] = v
	}
	if o.Target != "" {
		attrs["target"] = o.Target
	}
	if len(o.Platforms) > 0 {
		attrs["platform"] = strings.Join(o.Platforms, ",")
	}
	if o.Index {
		attrs["multi-platform"] = "true"
	}
	switch {
	case o.NoCache:
		attrs["no-cache"] = ""
	case len(o.NoCacheStages) > 0:
		attrs["no-cache"] = strings.Join(o.NoCacheStages, ",")
	}
	if o.Network != "" {
		attrs["force-network-mode"] = o.Network
	}
	if len(o.Hosts) > 0 {
		attrs["add-hosts"] = hosts(o.Hosts)
	}
	if o.ShmSize > 0 {
		attrs["shm-size"] = strconv.FormatInt(o.ShmSize, 10)
	}
	if len(o.Ulimits) > 0 {
		attrs["ulimit"] = strings.Join(o.Ulimits, ",")
	}
	if o.CgroupParent != "" {
		attrs["cgroup-parent"] = o.CgroupParent
	}
	maps.Copy(attrs, limitAttrs(o.Resources))
	for typ, params := range o.Attestations {
		attrs["attest:"+typ] = params
	}
	if o.Pull {
		attrs["image-resolve-mode"] = "pull"
	}
	return attrs
}

func (o Options) ignoresCache() bool { return o.NoCache || len(o.NoCacheStages) > 0 }

// hosts is NAME=IP,NAME=IP, in a stable order.
func hosts(m map[string]string) string {
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fields = append(fields, name+"="+m[name])
	}
	return strings.Join(fields, ",")
}

// names lists the named contexts in a stable order.
func (o Options) names() []string {
	return slices.Sorted(maps.Keys(o.NamedContexts))
}
