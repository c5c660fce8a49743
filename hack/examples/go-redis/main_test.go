package main

import (
	"io"
	"net/http"
	"os"
	"testing"
)

// TestVisits asks the image under test, which keeps its count in Redis.
func TestVisits(t *testing.T) {
	for _, want := range []string{"1\n", "2\n"} {
		resp, err := http.Get(os.Getenv("APP") + "/argo")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); string(got) != want || err != nil {
			t.Errorf("visits = %q, %v, want %q", got, err, want)
		}
	}
}
