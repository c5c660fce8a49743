package helper

import (
	"bytes"
	"debug/elf"
	"errors"
	"slices"
	"strings"
	"testing"
)

// machines are the architectures that there must be a helper for.
var machines = map[string]elf.Machine{
	"386": elf.EM_386, "amd64": elf.EM_X86_64, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64,
	"ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390,
}

func TestOpen(t *testing.T) {
	if n := len(Architectures()); n != len(machines) {
		t.Errorf("there are helpers for %q, want %d: run make helpers", Architectures(), len(machines))
	}
	for arch, machine := range machines {
		program, err := Open(arch)
		if err != nil {
			t.Error(err)
			continue
		}
		file, err := elf.NewFile(bytes.NewReader(program))
		if err != nil {
			t.Errorf("Open(%q): %v", arch, err)
			continue
		}
		if file.Machine != machine {
			t.Errorf("Open(%q) is for %v, want %v", arch, file.Machine, machine)
		}
		if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Errorf("Open(%q) is not static", arch)
		}
	}
}

func TestOpenMissing(t *testing.T) {
	for _, arch := range []string{"mips64", "", "../helper"} {
		_, err := NewImage(arch, 0)
		if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "built without the test helper for linux/"+arch+": use make build") {
			t.Errorf("NewImage(%q) = %v, want ErrMissing", arch, err)
		}
	}
}

func TestImageIsReproducible(t *testing.T) {
	a, err := ImageOf("amd64", []byte("program"), 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ImageOf("amd64", []byte("program"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if a.Reference() != b.Reference() || len(a.blobs) != 3 {
		t.Errorf("the same program is in %s and %s, with %d blobs", a.Reference(), b.Reference(), len(a.blobs))
	}
}

// TestImageIsDescribed holds what was known of the layers when they were packed against
// what they are.
func TestImageIsDescribed(t *testing.T) {
	for arch := range machines {
		described, err := NewImage(arch, 0)
		if err != nil {
			t.Fatal(err)
		}
		program, err := Open(arch)
		if err != nil {
			t.Fatal(err)
		}
		made, err := ImageOf(arch, program, 0)
		if err != nil {
			t.Fatal(err)
		}
		if described.Reference() != made.Reference() {
			t.Errorf("the image for %s is described as %s, and is %s: run make helpers", arch, described.Reference(), made.Reference())
		}
	}
}
