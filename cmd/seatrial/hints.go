package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seatrial/seatrial/cmd/internal/buildkitd"
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// hints say what can be done about err. They are the only place that guesses.
func hints(err error) []string {
	var (
		usage   *usageError
		syntax  *llb.SyntaxError
		cannot  *testsuite.UnexecutableError
		builder *buildkitd.Error
		lost    *lostError
		partial *registry.PartialError
		push    *pushError
		stated  *saidToFail
		missing *missingTestError
		proof   *unprovenError
		read    *readError
		build   *buildError
		failed  *testsuite.FailedError
	)
	switch {
	case errors.As(err, &usage) && usage.hint != "":
		return []string{usage.hint}
	case errors.As(err, &syntax):
		return syntaxHints(syntax)
	case errors.As(err, &cannot):
		return []string{
			fmt.Sprintf("name a builder for %s with one more --addr, or give this one an emulator (binfmt_misc),", cannot.Platform),
			"or say with --test-platform where the image is to be tested",
		}
	case errors.As(err, &builder) && builder.Hint != "":
		return strings.Split(builder.Hint, "\n")
	case errors.As(err, &lost):
		return []string{"steps that were finished are cached: run again when it is back"}
	case errors.As(err, &partial):
		return partialHints(partial)
	case errors.As(err, &push):
		return append(pushHints(err), "no tag moved")
	case errors.As(err, &stated):
		return []string{"no statement takes another one back: one that does not hold any longer has to be deleted in the registry, or another image made"}
	case errors.As(err, &missing):
		return []string{"--require-test takes names as they are listed here"}
	case errors.As(err, &proof):
		return []string{"seatrial run attests what passed, unless it is told --attest-tests=false; --sign has it signed"}
	case errors.As(err, &read):
		return readHints(err)
	case errors.As(err, &build):
		return buildHints(build)
	case errors.As(err, &failed):
		return fullHints(failed.Full)
	}
	return nil
}

const diskHint = "the builder's disk is full: buildctl prune --all, or give it more room"

// fullHints are for tests that had no room left.
func fullHints(full []testsuite.Volume) []string {
	var out []string
	for _, v := range full {
		hint := diskHint
		switch {
		case v.Path == "/dev/shm":
			hint = "/dev/shm is full: --shm-size SIZE makes it larger"
		case v.Memory:
			hint = v.Path + " is full, a tmpfs: give its mount a larger size"
		case v.Path == "":
			hint = "there was no space left, most likely on the builder's disk: buildctl prune --all, or give it more room"
		}
		if !slices.Contains(out, hint) {
			out = append(out, hint)
		}
	}
	return out
}

func syntaxHints(err *llb.SyntaxError) []string {
	builtin := "name docker/dockerfile:1, which is built in"
	named, perr := reference.ParseNormalizedNamed(err.Frontend)
	if perr != nil {
		return []string{builtin}
	}
	return []string{
		fmt.Sprintf("--allow-frontend %s[@DIGEST] has the builder run it: such an image can read everything that seatrial offers the builder (context, secrets, credentials), so allow only one that you trust, best by its digest", reference.FamiliarName(named)),
		"or " + builtin,
	}
}

func pushHints(err error) []string {
	var e *registry.Error
	if errors.Is(err, registry.ErrBlobMissing) {
		return []string{"the builder may have pruned it: run again"}
	}
	if !errors.As(err, &e) {
		return nil
	}
	if lines := connectionHints(e); lines != nil {
		return lines
	}
	if hint := refusedTagHint(e); hint != "" {
		return []string{hint}
	}
	switch e.Kind {
	case registry.KindDenied:
		if e.Anonymous {
			how := "--registry-password-stdin"
			if os.Getenv("SEATRIAL_REGISTRY_PASSWORD") != "" {
				how = "the password in SEATRIAL_REGISTRY_PASSWORD"
			}
			return append([]string{fmt.Sprintf("no credentials were found for %s: docker login %s, or --registry-user NAME with %s", e.Registry, e.Registry, how)}, hubHints(e)...)
		}
		if e.Source != "" {
			return []string{fmt.Sprintf("the credentials of %s were refused, or may not push to %s", e.Source, e.Repository)}
		}
		return []string{fmt.Sprintf("the credentials for %s were refused, or may not push to %s", e.Registry, e.Repository)}
	case registry.KindNoRepository:
		return []string{"create the repository first: this registry does not do so on a push"}
	case registry.KindTooLarge:
		return []string{
			fmt.Sprintf("%s, or a proxy before it, takes no request of this size (nginx: client_max_body_size; Cloudflare: 100 MB):", e.Registry),
			"raise the limit, go past the proxy, or make the layer smaller: several RUN instructions make several layers",
		}
	case registry.KindFull:
		return []string{fmt.Sprintf("%s has no more room for this: delete images there, or raise the quota", e.Registry)}
	case registry.KindReadOnly:
		return []string{fmt.Sprintf("%s takes no images: is it a pull-through cache, or under maintenance? push to the registry behind it, or when it takes images again", e.Registry)}
	case registry.KindStorage:
		return []string{fmt.Sprintf("%s let us in, but the address that it gave for the blob was refused: such addresses are good for some minutes, by the clock of %s; try again, and if it stays so, the registry's own access to its storage is wrong", e.Registry, e.Storage)}
	case registry.KindUnreachable:
		return append([]string{fmt.Sprintf("is %s the right name, and can it be reached from here?", e.Registry)}, hubHints(e)...)
	}
	return nil
}

// hubHints are for those who have named no registry, and would not think of Docker Hub.
func hubHints(e *registry.Error) []string {
	if e.Registry != name.DefaultRegistry {
		return nil
	}
	return []string{"a reference that begins with no registry's host is one on Docker Hub: registry.example.com/team/app:1.2 is elsewhere"}
}

func buildHints(err *buildError) []string {
	text := err.Error()
	var file *llb.ContextError
	switch {
	case errors.As(err, &file) && errors.Is(err, fs.ErrPermission):
		return []string{"make it readable, or name it in .dockerignore if the build does not need it"}
	case errors.As(err, &file):
		return []string{"run again when nothing writes there, or name it in .dockerignore if the build does not need it"}
	case errors.Is(err, syscall.ENOSPC):
		return []string{"the disk of this machine is full: make room, or --report-dir DIR puts reports elsewhere"}
	// A step that fills the disk fails with an exit code like any other.
	case strings.Contains(strings.ToLower(text+err.output), "no space left on device"):
		return []string{diskHint}
	case strings.Contains(text, "secret") && strings.Contains(text, "not found"):
		return []string{"offer the secret with --secret id=ID,src=FILE"}
	case strings.Contains(text, "unset ssh forward key"), strings.Contains(text, "no SSH key") && strings.Contains(text, "forwarded"):
		return []string{"offer a key with --ssh default=FILE, or those of the agent of SSH_AUTH_SOCK with --ssh default"}
	case strings.Contains(text, "Permission denied (publickey") && strings.Contains(text, "remote repository"):
		return []string{"the server takes none of the keys that are offered: --ssh default=FILE names another one"}
	case strings.Contains(text, "should not be blank"), strings.Contains(text, "failed to parse stage name"):
		return []string{"has every ARG of this line a value? --build-arg NAME=VALUE, or a default: ARG NAME=VALUE before the first FROM"}
	case strings.Contains(text, "is not an allowed gateway source"), strings.Contains(text, "invalid frontend: gateway.v0"):
		return []string{`the builder's configuration forbids this frontend image: see [frontend."gateway.v0"] in its buildkitd.toml`}
	case strings.Contains(text, "unsupported frontend capability moby.buildkit.frontend.contexts"):
		return []string{"this frontend image knows no named contexts: leave out --build-context"}
	case strings.Contains(text, "unsupported frontend capability moby.buildkit.frontend.inputs"):
		return []string{"this frontend image takes no files from elsewhere than the image's: build this one beforehand, and name it with image:"}
	case strings.Contains(text, "unsupported frontend capability moby.buildkit.frontend.subrequests"), strings.Contains(text, "unsupported request frontend."):
		return []string{"this frontend image can only be built with: it does not answer what --call and check ask"}
	case strings.Contains(text, "denied by policy"):
		return []string{"the source policy (--source-policy-file, EXPERIMENTAL_BUILDKIT_SOURCE_POLICY) says so"}
	case strings.Contains(text, "401 Unauthorized"), strings.Contains(text, "authorization failed"), strings.Contains(text, "insufficient_scope"):
		return append([]string{"the registry of a base image wants other credentials: docker login, or --pull-user HOST=NAME"}, err.credentials...)
	case strings.Contains(text, "finding the SBOM generator"):
		return []string{"it is an image, on Docker Hub unless --sbom generator=IMAGE names another one"}
	case strings.Contains(text, "x509: certificate signed by unknown authority"):
		return []string{"it is the builder that pulls base images: its buildkitd.toml names the CA, as [registry.\"HOST\"] with ca = [\"FILE\"]"}
	}
	return nil
}
