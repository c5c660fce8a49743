package config

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzLoad has any file loaded, or refused at a place in it.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"valid", "invalid", "loader"} {
		ar, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
		if err != nil {
			f.Fatal(err)
		}
		for _, x := range ar.Files {
			f.Add(x.Data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Load("f", data)
		var e *Error
		if err != nil {
			if !errors.As(err, &e) || e.Pos.Line < 1 {
				t.Fatalf("Load(%q) = %v, want an *Error with a place", data, err)
			}
			return
		}
		file.Settings(variables)
		file.Stages(variables)
		if _, err := file.Suite(variables); err != nil && !errors.As(err, &e) {
			t.Fatalf("Suite() of %q = %v, want an *Error", data, err)
		}
	})
}
