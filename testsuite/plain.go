package testsuite

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// Plain is llb.Plain, where a step of a test is said to run what its author had it run:
// nobody needs to know of the helper that starts it.
func Plain(text string) string {
	const process = "process "
	if at := strings.Index(text, process+`"`+protocol.Init+" "); at >= 0 {
		at += len(process)
		if quoted, err := strconv.QuotedPrefix(text[at:]); err == nil {
			text = text[:at] + withoutHelper(quoted) + text[at+len(quoted):]
		}
	}
	return llb.Plain(text)
}

// withoutHelper takes the helper, its mode and its options off a command line of it, which
// is one string to the daemon.
func withoutHelper(quoted string) string {
	line, err := strconv.Unquote(quoted)
	if err != nil {
		return quoted
	}
	_, line, _ = strings.Cut(strings.TrimPrefix(line, protocol.Init+" "), " ")
	options := json.NewDecoder(strings.NewReader(line))
	if err := options.Decode(&json.RawMessage{}); err != nil {
		return quoted
	}
	return strconv.Quote(strings.TrimPrefix(line[options.InputOffset():], " "))
}
