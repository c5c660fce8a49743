package llb

import (
	"context"
	"testing"

	bkllb "github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// contextState is the build context as the converter loads it for some paths.
func contextState(paths ...string) bkllb.State {
	opts := []bkllb.LocalOption{bkllb.SharedKeyHint("context"), bkllb.SessionID("session")}
	if len(paths) > 0 {
		opts = append(opts, bkllb.FollowPaths(paths))
	}
	return bkllb.Local("context", opts...)
}

func marshal(t *testing.T, st bkllb.State) *bkllb.Definition {
	t.Helper()
	def, err := st.Marshal(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return def
}

// vertices are the operations of a definition, by digest.
func vertices(t *testing.T, def *bkllb.Definition) map[digest.Digest]*pb.Op {
	t.Helper()
	out := map[digest.Digest]*pb.Op{}
	for _, dt := range def.Def {
		op := &pb.Op{}
		if err := op.UnmarshalVT(dt); err != nil {
			t.Fatal(err)
		}
		out[digest.FromBytes(dt)] = op
	}
	return out
}

func TestContextUnionSharesVertices(t *testing.T) {
	base := func(ctx bkllb.State) bkllb.State {
		return bkllb.Scratch().File(bkllb.Copy(ctx, "app", "/")).Run(bkllb.Args([]string{"compile"})).Root()
	}
	image := marshal(t, base(contextState("app")))
	tests := contextState("app", "tests")
	test := marshal(t, base(tests).File(bkllb.Copy(tests, "tests", "/")))
	other := marshal(t, bkllb.Local("context", bkllb.SharedKeyHint(dockerignoreHint)))

	u := contextUnion{}
	for _, def := range []*bkllb.Definition{image, test, other} {
		if err := u.add(def); err != nil {
			t.Fatal(err)
		}
	}
	image2, test2, other2 := apply(t, u, image), apply(t, u, test), apply(t, u, other)

	inTest := vertices(t, test2)
	for dgst, op := range vertices(t, image2) {
		if op.Op != nil && inTest[dgst] == nil {
			t.Errorf("vertex %s of the image (%T) is not one of the test's: it would run twice", dgst, op.Op)
		}
		if src := op.GetSource(); src != nil && src.Attrs[pb.AttrFollowPaths] != `["app","tests"]` {
			t.Errorf("followed paths = %s, want the union", src.Attrs[pb.AttrFollowPaths])
		}
	}
	for dgst, op := range inTest {
		for _, in := range op.Inputs {
			if inTest[digest.Digest(in.Digest)] == nil {
				t.Errorf("vertex %s has the input %s, which is not there", dgst, in.Digest)
			}
		}
		if _, ok := test2.Metadata[dgst]; op.Op != nil && !ok {
			t.Errorf("vertex %s has lost its metadata", dgst)
		}
	}
	if string(other2.Def[0]) != string(other.Def[0]) {
		t.Error("a load that is not the build context was changed")
	}
}

func TestContextUnionOfEverything(t *testing.T) {
	all, some := marshal(t, contextState()), marshal(t, contextState("app"))
	u := contextUnion{}
	if err := u.add(all); err != nil {
		t.Fatal(err)
	}
	if err := u.add(some); err != nil {
		t.Fatal(err)
	}
	if got, want := apply(t, u, some).Def[0], all.Def[0]; string(got) != string(want) {
		t.Errorf("union with the whole context = %q, want %q", got, want)
	}
}

func apply(t *testing.T, u contextUnion, def *bkllb.Definition) *bkllb.Definition {
	t.Helper()
	out, err := u.apply(def)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
