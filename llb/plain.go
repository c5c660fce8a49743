package llb

import (
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
)

var (
	// code is one of gRPC's, which it says twice where an error has crossed it twice.
	code = `(?:\b(?:` + codeNames() + `): )?`

	// wrapping is what BuildKit and gRPC put before what is the matter.
	wrapping = regexp.MustCompile(`failed to solve: |failed to run Build function: |failed to call info: |` + code + `rpc error: code = \S+ desc = `)

	// connecting is an error of gRPC's own, which it quotes.
	connecting = regexp.MustCompile(code + `connection error: desc = ("(?:[^"\\]|\\.)*")`)
)

func codeNames() string {
	var names []string
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		names = append(names, c.String())
	}
	return strings.Join(names, "|")
}

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
