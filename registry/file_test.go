package registry_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seatrial/seatrial/hack/testenv"
	"github.com/seatrial/seatrial/registry"
)

func TestFile(t *testing.T) {
	const mediaType = "application/vnd.example.v1+json"
	reg := testenv.StartRegistry(t, testenv.RegistryOptions{})
	ref, err := name.ParseReference(reg.Host + "/team/notes:one")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if got, err := registry.ReadFile(ctx, ref, mediaType, registry.Options{}); got != nil || err != nil {
		t.Fatalf("ReadFile before WriteFile = %q, %v, want nothing", got, err)
	}
	for _, want := range [][]byte{[]byte(`{"a":1}`), bytes.Repeat([]byte("0123456789"), 1000)} {
		if err := registry.WriteFile(ctx, ref, mediaType, want, registry.Options{}); err != nil {
			t.Fatal(err)
		}
		got, err := registry.ReadFile(ctx, ref, mediaType, registry.Options{})
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("ReadFile = %d bytes, %v, want the %d that were written", len(got), err, len(want))
		}
	}
	if _, err := registry.ReadFile(ctx, ref, "application/other", registry.Options{}); err == nil || !strings.Contains(err.Error(), "application/other") {
		t.Errorf("ReadFile of another type: error = %v, want one that names the type", err)
	}
	testenv.Push(t, reg.Host+"/team/notes:image", testenv.BusyboxImage(t))
	image := ref.Context().Tag("image")
	if _, err := registry.ReadFile(ctx, image, mediaType, registry.Options{}); err == nil {
		t.Error("ReadFile of an image succeeded")
	}
}
