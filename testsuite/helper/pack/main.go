// Command pack makes of each program FILE what package helper embeds: FILE.gz, and
// FILE.json, the descriptor of the layer that has the program. Who only wants to know
// which layer that is then need not unpack the program and hash it.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"

	"github.com/seatrial/seatrial/testsuite/helper/layer"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := pack(name); err != nil {
			fmt.Fprintf(os.Stderr, "pack: packing %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

// pack replaces the file.
func pack(name string) error {
	program, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	blob, err := layer.Of(program, 0)
	if err != nil {
		return err
	}
	descriptor, err := json.Marshal(layer.Describe(blob))
	if err != nil {
		return err
	}
	var zip bytes.Buffer
	w, err := gzip.NewWriterLevel(&zip, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(program); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	// The program last: it is what make looks at.
	if err := os.WriteFile(name+".json", descriptor, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(name+".gz", zip.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Remove(name)
}
