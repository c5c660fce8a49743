package main

import (
	"context"
	"slices"

	"github.com/seatrial/seatrial/registry"
	"github.com/seatrial/seatrial/testsuite"
)

// savedTests are the tests that a saved image is known to have passed; nil if it is not
// known to have passed any. That one failed is a *saidToFail.
//
// What its index states is believed before the note beside it: the digest that is
// pushed covers it, and it gets by whatever copies images. A note counts where nothing
// is stated of any image: in what docker load reads, and with --attest-tests=false. An
// index that states something of one image has to do so of all, but for those that the
// note says were not tested.
func savedTests(ctx context.Context, saved *registry.Saved, img registry.SavedImage) (*testsuite.Report, error) {
	note := tested(img)
	images, err := saved.Attested(ctx, img, testResultType)
	if err != nil {
		return nil, err
	}
	rep := &testsuite.Report{}
	stated := false
	for _, image := range images {
		platform := ""
		if len(images) > 1 {
			platform = platformName(image.Platform)
		}
		stated = stated || len(image.Statements) > 0
		word := saidOf(image)
		if len(word.failed) > 0 {
			return nil, &saidToFail{word.failed} // whatever else passed
		}
		for _, name := range word.passed {
			rep.Cases = append(rep.Cases, testsuite.Case{Name: name, Platform: platform, Status: testsuite.Passed, Cached: true})
		}
		if len(word.passed) == 0 {
			rep.Untested = append(rep.Untested, platform)
		}
	}
	if !stated {
		return note, nil
	}
	silent := func(platform string) bool { return note == nil || !slices.Contains(note.Untested, platform) }
	if len(rep.Cases) == 0 || slices.ContainsFunc(rep.Untested, silent) {
		return nil, nil
	}
	return rep, nil
}
