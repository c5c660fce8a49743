package compose

import "testing"

// TestReadOnlyVolume is honoured unless sut shares it, which a warning says.
func TestReadOnlyVolume(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "a.test.yml", "services:\n  sut:\n    image: this\n    depends_on: [db]\n    volumes:\n      - own:/own:ro\n      - data:/data:ro\n  db:\n    image: db\n    volumes: [data:/data]\nvolumes: {own: {}, data: {}}\n")
	f, err := Load(t.Context(), file, Options{ContextDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	want := "read_only of the volume data is not honoured in sut: it can be written to"
	if len(f.Warnings) != 1 || f.Warnings[0].Line != 7 || f.Warnings[0].Msg != want {
		t.Errorf("Warnings = %+v, want %q in line 7", f.Warnings, want)
	}
}
