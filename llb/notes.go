package llb

import (
	"context"
	"os"
	"path/filepath"

	digest "github.com/opencontainers/go-digest"
)

// maxNote is the size of a note that is kept.
const maxNote = 256 << 10

// Note keeps something for later trials, of whichever image, with what this image has
// passed. Like that, it can be lost.
func (t *Trial) Note(key string, data []byte) {
	if len(data) > maxNote {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.notes == nil {
		t.notes = map[string]string{}
	}
	t.notes[key] = string(data)
}

// Noted is what a trial noted last under key; nil if nobody knows.
func (t *Trial) Noted(ctx context.Context, key string) []byte {
	if t.passedDir != "" {
		if data, err := os.ReadFile(noteFile(t.passedDir, key)); err == nil {
			return data
		}
	}
	if n, ok := t.recall(ctx).notes[key]; ok {
		return []byte(n.text)
	}
	return nil
}

func noteFile(dir, key string) string {
	return filepath.Join(dir, "note-"+digest.FromString(key).Encoded())
}
