package testsuite

import "strings"

// Volume is a filesystem that a test has written to.
type Volume struct {
	// Path is where the test has it; "" if that is not known.
	Path string
	// Memory tells a tmpfs (--shm-size, or a mount of the test) from the disk of the
	// builder.
	Memory bool
}

func (v Volume) String() string {
	if v.Memory {
		return v.Path
	}
	return "the builder's disk"
}

// noSpace is what the system says of a full disk, and programs pass on.
const noSpace = "no space left on device"

// full are the filesystems that were full when the test had failed. If it has made room
// before it ended, what it printed tells.
func (r *run) full() []Volume {
	tr := r.trace
	if tr == nil {
		return nil
	}
	says := func(text string) bool { return strings.Contains(strings.ToLower(text), noSpace) }
	switch {
	case len(tr.full) > 0:
		return tr.full
	case exitCode(r.err) < 0 && says(r.err.Error()), says(tr.said), says(tr.truncated), says(tr.lost): // the builder's words
		return []Volume{{Path: "/"}}
	case says(string(tr.tail)):
		return []Volume{{}}
	}
	return nil
}
