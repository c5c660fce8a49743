package llb

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Transfer is what the daemon was offered, and sent, of one context.
type Transfer struct {
	// Name is the context's: "context", or "context-NAME" for a named one.
	Name string
	// Files is how many regular files the build asked for. Those that the
	// daemon has from last time are not sent again.
	Files int
	// Bytes is what was sent of them.
	Bytes int64
	// Sent and Listed are the bytes and the files by the first part of their
	// path, the most first.
	Sent, Listed []Share
	// LeftOut are the sockets, FIFOs and devices that were not sent, in order.
	LeftOut []string
}

// Share is what one entry of a context's directory has a part in.
type Share struct {
	Path   string
	Amount int64
}

// transfers are what has been sent so far, in order of names.
func (in *inputs) transfers() []Transfer {
	in.mu.Lock()
	defer in.mu.Unlock()
	var out []Transfer
	for _, name := range slices.Sorted(maps.Keys(in.offers)) {
		out = append(out, in.offers[name].transfer())
	}
	return out
}

func (o *offer) transfer() Transfer {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := Transfer{
		Name: o.name, Files: len(o.files), Sent: shares(o.sent),
		LeftOut: slices.Sorted(maps.Keys(o.special)),
	}
	for _, s := range t.Sent {
		t.Bytes += s.Amount
	}
	listed := map[string]int64{}
	for path := range o.files {
		listed[top(path)]++
	}
	t.Listed = shares(listed)
	return t
}

// LargeContext is how many bytes of a context are worth a word while they are sent.
const LargeContext = 100 << 20

// count notes n bytes of a file that were sent.
func (o *offer) count(path string, n int) {
	o.mu.Lock()
	before := o.total
	o.total += int64(n)
	o.sent[top(path)] += int64(n)
	crossed := before < LargeContext && o.total >= LargeContext
	o.mu.Unlock()
	if crossed && o.large != nil {
		o.large(o.transfer())
	}
}

func top(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

func shares(m map[string]int64) []Share {
	out := make([]Share, 0, len(m))
	for path, n := range m {
		out = append(out, Share{path, n})
	}
	slices.SortFunc(out, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Amount, a.Amount), cmp.Compare(a.Path, b.Path))
	})
	return out
}
