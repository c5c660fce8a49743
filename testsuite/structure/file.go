package structure

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	fstypes "github.com/tonistiigi/fsutil/types"
)

func (r *runner) content(ctx context.Context, t FileContentTest, res *Result) {
	data, err := r.tree.read(ctx, clean(t.Path))
	if err != nil {
		res.failf("reading %s: %v", t.Path, err)
		return
	}
	match(res, data, t.Path, t.ExpectedContents, t.ExcludedContents)
}

func (r *runner) existence(ctx context.Context, t FileExistenceTest, res *Result) {
	name := t.Path
	if r.cfg.SchemaVersion != "1.0.0" {
		name = substitute(name, r.global())
	}
	st, _, err := r.tree.lstat(ctx, clean(name))
	switch {
	case !t.ShouldExist && (errors.Is(err, errNotExist) || errors.Is(err, errLoop)):
	case err != nil:
		res.failf("%s: %v", name, err)
	case !t.ShouldExist:
		res.failf("%s exists, and should not", name)
	default:
		t.compare(name, st, res)
	}
}

func (t FileExistenceTest) compare(name string, st *fstypes.Stat, res *Result) {
	if have := mode(st).String(); t.Permissions != "" && t.Permissions != have {
		res.failf("%s has the permissions %s, expected %s", name, have, t.Permissions)
	}
	bits := map[string]fs.FileMode{"owner": 0o100, "group": 0o010, "other": 0o001, "any": 0o111}
	if by := t.IsExecutableBy; by != "" && mode(st)&bits[by] == 0 {
		res.failf("%s is not executable by %s: it has the permissions %s", name, by, mode(st))
	}
	if t.UID != -1 && int(st.Uid) != t.UID {
		res.failf("%s belongs to user %d, expected %d", name, st.Uid, t.UID)
	}
	if t.GID != -1 && int(st.Gid) != t.GID {
		res.failf("%s belongs to group %d, expected %d", name, st.Gid, t.GID)
	}
}

// debianDocs is where Debian's packages have their copyright files.
const debianDocs = "/usr/share/doc"

func (r *runner) license(ctx context.Context, t LicenseTest, res *Result) {
	files := t.Files
	if t.Debian {
		packages, err := r.packages(ctx)
		if err != nil {
			res.failf("reading %s: %v", debianDocs, err)
			return
		}
		files = slices.Concat(packages, files)
	}
	for _, name := range files {
		data, err := r.tree.read(ctx, clean(name))
		if err != nil {
			res.failf("reading license %s: %v", name, err)
			continue
		}
		text := strings.ToUpper(string(data))
		for _, no := range []string{"AGPL", "WTFPL"} {
			if strings.Contains(text, no) {
				res.failf("license %s has %s", name, no)
				break
			}
		}
	}
}

// packages are the copyright files that there have to be. One package is exempt, as
// it is with container-structure-test.
func (r *runner) packages(ctx context.Context) ([]string, error) {
	st, dir, err := r.tree.stat(ctx, debianDocs)
	if err != nil {
		return nil, err
	}
	if !mode(st).IsDir() {
		return nil, errors.New("it is no directory")
	}
	entries, err := r.tree.list(ctx, dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		if mode(entries[name]).IsDir() && name != "libgnutls30" {
			out = append(out, path.Join(debianDocs, name, "copyright"))
		}
	}
	return out, nil
}
