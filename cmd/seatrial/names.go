package main

import (
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/urfave/cli/v2"
)

// names finds the image's names, which are where to push to: -t, those of outputs,
// or the environment as the builder scripts of old had it.
func (p *plan) names(c *cli.Context) error {
	tags := c.StringSlice("tag")
	if len(tags) == 0 && (p.outputs.push || p.outputs.stored) {
		tags = p.outputs.names
	}
	if len(tags) == 0 && (p.outputs.push || p.mode == modeCheck) {
		tags = namesFromEnv(os.Getenv)
	}
	if len(tags) == 0 && p.outputs.push {
		hint := "name it with -t REGISTRY/REPOSITORY:TAG, or by ACCOUNT, IMAGE and TAG in the environment (and REGISTRY)"
		if p.mode == modeRun {
			hint += "; seatrial test pushes nothing and needs no name"
		}
		return usagef(hint, "there is no name to push the image to")
	}
	var err error
	if p.refs, err = p.references(tags); err != nil {
		return err
	}
	p.tagged = c.IsSet("tag")
	p.exportNames()
	for _, o := range p.outputs.files {
		if _, err := p.namesOf(o); err != nil {
			return err
		}
	}
	return nil
}

// references parses the names of an image.
func (p *plan) references(names []string) ([]name.Reference, error) {
	opts := []name.Option{name.WeakValidation}
	if p.outputs.http {
		opts = append(opts, name.Insecure)
	}
	var refs []name.Reference
	for _, t := range names {
		if at := strings.LastIndex(t, "@"); at >= 0 && !strings.HasPrefix(t[at:], "@sha") {
			return nil, usagef("--registry-user NAME says who pushes, with --registry-password-stdin; docker login does, too", "a reference has no user name or password: …%s", t[at:])
		}
		ref, err := parseReference(t, opts...)
		if err != nil {
			return nil, err
		}
		if _, ok := ref.(name.Digest); ok {
			return nil, usagef("push to a tag; the digest is printed", "reference %q names a digest, which only the image's content can decide", t)
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// namesOf are the image's names in one output: its own if -t says nothing.
func (p *plan) namesOf(o output) ([]name.Reference, error) {
	if own := o.attrs["name"]; !p.tagged && own != "" {
		return p.references(strings.Split(own, ","))
	}
	return p.refs, nil
}

// namesFromEnv is [$REGISTRY/]$ACCOUNT/$IMAGE with the tags $TAG and latest.
func namesFromEnv(getenv func(string) string) []string {
	image := getenv("IMAGE")
	if image == "" {
		return nil
	}
	var parts []string
	for _, s := range []string{getenv("REGISTRY"), getenv("ACCOUNT"), image} {
		if s = strings.Trim(s, "/"); s != "" {
			parts = append(parts, s)
		}
	}
	repo := strings.Join(parts, "/")
	names := []string{repo + ":latest"}
	if tag := getenv("TAG"); tag != "" && tag != "latest" {
		names = []string{repo + ":" + tag, repo + ":latest"}
	}
	return names
}
