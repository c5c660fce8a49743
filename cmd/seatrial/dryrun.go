package main

import (
	"context"
	"fmt"
	"io"

	"github.com/docker/cli/cli/config"
	"github.com/docker/go-units"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/client"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/registry"
)

func dryRunFlag(usage string) cli.Flag { return boolFlag(catImage, "dry-run", usage) }

// dry takes what would be moved out of the plan. An inline cache stays: it is part
// of the image.
func (p *plan) dry(c *cli.Context) error {
	if p.dryRun = c.Bool("dry-run"); !p.dryRun {
		return nil
	}
	var stay []client.CacheOptionsEntry
	for _, e := range p.build.CacheExports {
		if e.Type == "inline" {
			stay = append(stay, e)
		}
	}
	p.build.CacheExports = stay
	return nil
}

// preview is what a push would have done.
type preview struct {
	registry.Preview
	sources []string // of credentials, for each repository
}

// preview asks the registries what is there.
func (s *shipping) preview(ctx context.Context, artifact registry.Artifact, out *outcome) error {
	seen, err := s.push.Preview(ctx, artifact)
	if seen != nil {
		out.preview = &preview{Preview: *seen}
		for _, r := range seen.Repositories {
			out.preview.sources = append(out.preview.sources, sourceOf(ctx, s.options.Keychain, r.Repository))
		}
	}
	if err != nil {
		return &pushError{err}
	}
	return nil
}

// sourceOf says where the credentials for a repository are from, "" if there are none.
func sourceOf(ctx context.Context, keychain authn.Keychain, repo name.Repository) string {
	auth, err := authn.Resolve(ctx, keychain, repo)
	if err != nil || auth == authn.Anonymous {
		return ""
	}
	if from, ok := auth.(interface{ Source() string }); ok {
		return from.Source()
	}
	return "the docker configuration in " + config.Dir()
}

// summarize says it in a few lines.
func (v *preview) summarize(w io.Writer) {
	for i, r := range v.Repositories {
		if r.Complete {
			row(w, "would", "send nothing to "+r.Repository.Name()+": it has the image", "")
		} else {
			row(w, "would", fmt.Sprintf("send %s to %s, mount %s; %s there already", blobs(r.Send), r.Repository.Name(), blobs(r.Mount), blobs(r.There)), "")
		}
		if v.sources[i] == "" {
			row(w, "", "anonymously: no credentials found", "")
		} else {
			row(w, "", "with the credentials of "+v.sources[i], "")
		}
	}
	for _, t := range v.Tags {
		ref := canonical(t.Reference)
		switch {
		case !t.Moves():
			row(w, "would", "leave "+ref, "already there")
		case t.From == v1.Hash{}:
			row(w, "would", "tag "+ref, "which names nothing now")
		default:
			row(w, "would", "move "+ref, "from "+t.From.String())
		}
	}
	row(w, "pushed", "nothing: --dry-run", "")
}

func blobs(b registry.Blobs) string {
	if b.Count == 0 {
		return "none"
	}
	return fmt.Sprintf("%s (%s)", plural(b.Count, "blob"), units.HumanSize(float64(b.Bytes)))
}

// resultPreview is the preview in the result file.
type resultPreview struct {
	Repositories []resultRepository `json:"repositories"`
	Tags         []resultTag        `json:"tags"`
}

type resultRepository struct {
	Repository  string      `json:"repository"`
	Credentials string      `json:"credentials"` // where they are from; "" for none
	Complete    bool        `json:"complete"`    // it has the image already
	Send        resultBlobs `json:"send"`
	Mount       resultBlobs `json:"mount"`
	There       resultBlobs `json:"there"`
}

type resultBlobs struct {
	Count int   `json:"count"`
	Bytes int64 `json:"bytes"`
}

type resultTag struct {
	Reference string `json:"reference"`
	From      string `json:"from"` // a digest; "" if it names nothing
	To        string `json:"to"`
	Moves     bool   `json:"moves"`
}

func (v *preview) document() *resultPreview {
	if v == nil {
		return nil
	}
	doc := &resultPreview{}
	for i, r := range v.Repositories {
		doc.Repositories = append(doc.Repositories, resultRepository{
			r.Repository.Name(), v.sources[i], r.Complete, resultBlobs(r.Send), resultBlobs(r.Mount), resultBlobs(r.There),
		})
	}
	for _, t := range v.Tags {
		one := resultTag{Reference: canonical(t.Reference), To: t.To.String(), Moves: t.Moves()}
		if t.From != (v1.Hash{}) {
			one.From = t.From.String()
		}
		doc.Tags = append(doc.Tags, one)
	}
	return doc
}
