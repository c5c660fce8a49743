// Package llb turns a project's Dockerfile, and what is to be tried on the
// image, into BuildKit LLB and solves both on a buildkitd.
//
// [Frontend] is the conversion alone: a gateway BuildFunc that obeys BuildKit's
// frontend contract, so that it can stand wherever the built-in dockerfile.v0
// frontend stands.
//
// [Solve] is one build: the image is exported into the daemon's content store
// while a function of the caller's tries it, and a second function of the
// caller's takes the exported image away (pushes it, usually) after asking for
// the verdict:
//
//	res, err := llb.Solve(ctx, client, llb.Options{Context: "."}, llb.Phases{
//		Try:  func(ctx context.Context, t *llb.Trial) error { … },
//		Ship: func(ctx context.Context, s *llb.Shipment) error {
//			upload(ctx, s)                       // while tests still run
//			if err := s.Verdict(ctx); err != nil {
//				return err                   // no tag moves
//			}
//			return tag(ctx, s)
//		},
//	})
//
// [Check] and [Call] only look: at what a build would lack, and at what a Dockerfile
// takes and has.
//
// File names of a context need not be UTF-8 if the program registers BuildKit's gRPC
// codec, as its own programs do, by importing
// github.com/moby/buildkit/util/grpcutil/encoding/proto.
//
// It knows nothing of registries; see package registry for the push, and
// package testsuite for what a test is.
package llb
