package llb

import (
	"slices"
	"strings"

	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc/codes"
)

// checkCaps refuses a request that insists on more of the frontend contract
// than there was in BuildKit v0.34. wanted is the attribute "frontend.caps":
// names with commas between, each of which may end in "+forward", an offer to
// let another frontend serve it that we do not take.
func checkCaps(wanted string) error {
	if wanted == "" {
		return nil
	}
	known := []string{"inputs", "subrequests", "contexts", "gitquerystring", "contexts.zstd"}
	for _, c := range strings.Split(wanted, ",") {
		name, _, _ := strings.Cut(c, "+")
		if short, ok := strings.CutPrefix(name, "moby.buildkit.frontend."); !ok || !slices.Contains(known, short) {
			return grpcerrors.WrapCode(errdefs.NewUnsupportedFrontendCapError(name), codes.Unimplemented)
		}
	}
	return nil
}
