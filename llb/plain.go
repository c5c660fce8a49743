package llb

import "regexp"

// wrapping is what BuildKit and gRPC put before what is the matter. gRPC says the code
// twice where an error has crossed it twice.
var wrapping = regexp.MustCompile(`failed to solve: |failed to run Build function: |([A-Z]\w+: )?rpc error: code = \S+ desc = `)

// Plain is the text of an error for people: without its wrapping, and as RedactURLs
// has it.
func Plain(text string) string {
	return RedactURLs(wrapping.ReplaceAllString(text, ""))
}
