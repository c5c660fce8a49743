package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/client"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/registry"
)

const (
	// passesType is the media type of the file that is kept beside a cache.
	passesType = "application/vnd.seatrial.passes.v1+json"
	// passesFile is its name in the directory of a local cache.
	passesFile = "seatrial-passes.json"
	// passesTag is put behind the tag of a cache in a registry.
	passesTag = "-passes"
	// maxPasses is how many images a file knows of, the latest first.
	maxPasses = 100
)

// A cache has the steps of tests, but BuildKit's cache does not know on which image
// a test passed (llb.Options.Recall says why that matters). So it is kept beside the
// cache, where a builder that imports it finds it: whoever can write there could
// forge the steps themselves as well.

// recallPasses reads what lies beside imported caches. What cannot be read is not
// known, and the tests run again.
func (p *plan) recallPasses(ctx context.Context, imports []client.CacheOptionsEntry) []llb.Passes {
	var all []llb.Passes
	for _, e := range imports {
		list, err := readPasses(ctx, e, "src", registry.Options{Keychain: p.access.pulls, Transport: p.access.hosts, Attempts: 1})
		if err == nil {
			all = append(all, list...)
		}
	}
	return all
}

// keepPasses writes beside exported caches what the image has passed.
func (p *plan) keepPasses(ctx context.Context, exports []client.CacheOptionsEntry, passed llb.Passes) error {
	if len(passed.Marks) == 0 {
		return nil
	}
	opt := p.access.pushOptions()
	opt.Attempts = 2
	var errs []error
	for _, e := range exports {
		if err := writePasses(ctx, e, passed, opt); err != nil {
			errs = append(errs, fmt.Errorf("keeping passed tests beside the cache: %w", err))
		}
	}
	return errors.Join(errs...)
}

func writePasses(ctx context.Context, e client.CacheOptionsEntry, passed llb.Passes, opt registry.Options) error {
	list, _ := readPasses(ctx, e, "dest", opt) // what is there and no such file is replaced
	list = slices.DeleteFunc(list, func(p llb.Passes) bool { return p.Image == passed.Image })
	list = slices.Insert(list, 0, passed)
	data, err := json.Marshal(list[:min(len(list), maxPasses)])
	if err != nil {
		return err
	}
	switch e.Type {
	case "local":
		return os.WriteFile(filepath.Join(e.Attrs["dest"], passesFile), data, 0o644)
	case "registry":
		ref, err := passesReference(e)
		if err != nil {
			return err
		}
		return registry.WriteFile(ctx, ref, passesType, data, opt)
	}
	return nil // BuildKit alone can write to the others
}

// readPasses reads the file beside a cache, whose directory is the attribute dir.
func readPasses(ctx context.Context, e client.CacheOptionsEntry, dir string, opt registry.Options) ([]llb.Passes, error) {
	var data []byte
	var err error
	switch e.Type {
	case "local":
		data, err = os.ReadFile(filepath.Join(e.Attrs[dir], passesFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	case "registry":
		var ref name.Reference
		if ref, err = passesReference(e); err == nil {
			data, err = registry.ReadFile(ctx, ref, passesType, opt)
		}
	}
	if err != nil || len(data) == 0 {
		return nil, err
	}
	var list []llb.Passes
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("reading passed tests: %w", err)
	}
	return list, nil
}

// passesReference is the tag beside that of a cache.
func passesReference(e client.CacheOptionsEntry) (name.Reference, error) {
	ref, err := name.NewTag(e.Attrs["ref"])
	if err != nil {
		return nil, fmt.Errorf("a cache that is named by %q has no tag to keep passed tests beside: %w", e.Attrs["ref"], err)
	}
	return ref.Context().Tag(ref.TagStr() + passesTag), nil
}
