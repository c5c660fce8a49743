package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

// oldFlag is a flag of docker build or buildx that is no flag here.
type oldFlag struct {
	name    string
	value   bool   // it has one
	list    bool   // and may be repeated
	warning string // it does nothing with BuildKit; "": and is not missed
	refusal string // what to do instead
}

// oldFlags are those that docker build accepts and ignores, which is done here too,
// and those that have another name here.
var oldFlags = []oldFlag{
	{name: "compress"},
	{name: "rm"},
	{name: "force-rm"},
	{name: "isolation", value: true, warning: "BuildKit has no isolation technologies to choose from"},
	{name: "security-opt", value: true, list: true, warning: "RUN --security=insecure is what BuildKit has"},
	{name: "squash", warning: "BuildKit squashes nothing: copy what the image needs into a last stage"},
	{name: "builder", value: true, refusal: "--addr, or BUILDKIT_HOST, names the builder: docker-container://NAME is a container of buildx's (buildx_buildkit_BUILDER0)"},
	{name: "print", value: true, refusal: "--call METHOD has taken its place in docker build too"},
	{name: "policy", value: true, list: true, refusal: "--source-policy-file FILE takes BuildKit's own policies; policies in Rego are buildx's"},
}

// dockerFlags are old flags, which --help does not show.
func dockerFlags() []cli.Flag {
	flags := make([]cli.Flag, 0, len(oldFlags)+len(resourceKeys))
	for _, old := range oldFlags {
		switch {
		case old.list:
			flags = append(flags, &cli.StringSliceFlag{Name: old.name, Hidden: true})
		case old.value:
			flags = append(flags, &cli.StringFlag{Name: old.name, Hidden: true})
		default:
			flags = append(flags, &cli.BoolFlag{Name: old.name, Hidden: true})
		}
	}
	short := map[string][]string{"memory": {"m"}, "cpu-shares": {"c"}}
	for _, key := range resourceKeys {
		flags = append(flags, &cli.StringFlag{Name: key, Aliases: short[key], Hidden: true})
	}
	return flags
}

// oldFlags refuses flags that have another name here, and says of the others that they
// do nothing.
func (p *plan) oldFlags(c *cli.Context) error {
	for _, old := range oldFlags {
		switch {
		case !c.IsSet(old.name):
		case old.refusal != "":
			return usagef(old.refusal, "--%s is not a flag of seatrial's", old.name)
		case old.warning != "" && !p.quiet:
			fmt.Fprintf(c.App.ErrWriter, "seatrial: --%s does nothing: %s\n", old.name, old.warning)
		}
	}
	return nil
}
