package registry

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// The numbers that Linux has for no room, wherever seatrial itself runs.
const (
	linuxENOSPC = 28
	linuxEDQUOT = 122
)

// full tells whether a registry has no room. For the usual one, which says it in
// passing, a full disk is a 500; sending the layer again and again does not
// empty it.
func full(answer *transport.Error) bool {
	switch answer.StatusCode {
	case http.StatusInsufficientStorage:
		return true
	case http.StatusTooManyRequests:
		return false // that quota is one of requests, and fills up again
	}
	if slices.ContainsFunc(answer.Errors, func(d transport.Diagnostic) bool { return outOfSpace(d.Detail) }) {
		return true
	}
	text := strings.ToLower(answer.Error())
	for _, sign := range []string{"no space left", "quota exceeded", "exceeded quota", "quota has been exceeded"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// outOfSpace tells whether the detail of an error is, or has in it, the number of a
// system call's error that means no room. The docker-registry of old has Go's own
// structures written as JSON, an error of which is a number.
func outOfSpace(detail any) bool {
	d, ok := detail.(map[string]any)
	if !ok {
		return false
	}
	for key, v := range d {
		number, _ := v.(float64)
		if key == "Err" && (number == linuxENOSPC || number == linuxEDQUOT) || outOfSpace(v) {
			return true
		}
	}
	return false
}
