package llb

import (
	"fmt"
	"os"
	"strings"

	"github.com/distribution/reference"
)

const (
	schemeImage  = "docker-image://"
	schemeLayout = "oci-layout://"
	schemeStage  = "target:"
	schemeSSH    = "ssh://"
)

// Check reads all that o names on this machine, as Solve does before it asks the
// daemon for anything, and says what is wrong with it.
func (o Options) Check() error {
	_, err := newInputs(o)
	return err
}

// ContextName is the name of a named context as the Dockerfile converter looks for
// it: that of an image in its familiar form, without the tag latest. A name that no
// image could have is an error.
func ContextName(name string) (string, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", fmt.Errorf("named context %q: %w", name, err)
	}
	return strings.TrimSuffix(reference.FamiliarString(named), ":latest"), nil
}

// named adds a named context under the frontend contract: context:NAME is what
// replaces NAME.
func (in *inputs) named(name, value string) error {
	name, err := ContextName(name)
	if err != nil {
		return err
	}
	attr := "context:" + name
	switch {
	case strings.HasPrefix(value, schemeStage):
		in.stages[name] = strings.TrimPrefix(value, schemeStage)
		return nil
	case strings.HasPrefix(value, schemeLayout):
		l, err := openLayout(strings.TrimPrefix(value, schemeLayout))
		if err != nil {
			return fmt.Errorf("named context %q: %w", name, err)
		}
		in.stores["oci:"+l.id] = l.store
		in.attrs[attr] = schemeLayout + l.id + "@" + l.digest.String()
		return nil
	case strings.HasPrefix(value, schemeImage):
		if ref := strings.TrimPrefix(value, schemeImage); ref != "scratch" {
			if _, err := reference.ParseNormalizedNamed(ref); err != nil {
				return fmt.Errorf("named context %q: image %q: %w", name, ref, err)
			}
		}
		in.attrs[attr] = value
		return nil
	case strings.HasPrefix(value, schemeSSH):
		if !IsRemote(value) {
			return fmt.Errorf("named context %q: %s is no URL of a git repository", name, value)
		}
		in.gits[name] = value
		return nil
	case httpURL.MatchString(value) || strings.HasPrefix(value, "git://") || strings.HasPrefix(value, "git@"):
		in.attrs[attr] = value
		return nil
	}
	if scheme, _, ok := strings.Cut(value, "://"); ok {
		return fmt.Errorf("named context %q: %s:// is not one of docker-image://, oci-layout://, https://, http://, git://, ssh://, target: and a directory", name, scheme)
	}
	return in.namedDir(name, value)
}

// namedDir offers a directory with the ignore file in it.
func (in *inputs) namedDir(name, dir string) error {
	fi, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("reading named context %q: %w", name, err)
	}
	if !fi.IsDir() {
		return fmt.Errorf("reading named context %q: %s is not a directory", name, dir)
	}
	src := Source{Dir: dir}
	if err := src.readIgnore(src.ignoreFile()); err != nil {
		return fmt.Errorf("reading named context %q: %w", name, err)
	}
	fs, err := openDir(dir, "")
	if err != nil {
		return fmt.Errorf("opening named context %q: %w", name, err)
	}
	// Not NAME alone: "context" and "dockerfile" are locals too.
	local := "context-" + strings.NewReplacer("/", "_", ":", "_").Replace(name)
	in.offer(local, fs, src.Excludes, ownedByRoot)
	in.attrs["context:"+name] = "local:" + local
	return nil
}
