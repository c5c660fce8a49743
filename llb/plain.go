package llb

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	// wrapping is what BuildKit and gRPC put before what is the matter. gRPC says the code
	// twice where an error has crossed it twice.
	wrapping = regexp.MustCompile(`failed to solve: |failed to run Build function: |failed to call info: |([A-Z]\w+: )?rpc error: code = \S+ desc = `)

	// connecting is an error of gRPC's own, which it quotes.
	connecting = regexp.MustCompile(`(?:[A-Z]\w+: )?connection error: desc = ("(?:[^"\\]|\\.)*")`)
)

// Plain is the text of an error for people: without its wrapping, and as RedactURLs
// has it.
func Plain(text string) string {
	text = wrapping.ReplaceAllString(text, "")
	text = connecting.ReplaceAllStringFunc(text, func(whole string) string {
		said, err := strconv.Unquote(connecting.FindStringSubmatch(whole)[1])
		if err != nil {
			return whole
		}
		return strings.TrimPrefix(said, "transport: Error while dialing: ")
	})
	return RedactURLs(text)
}
