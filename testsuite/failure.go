package testsuite

import (
	"github.com/seatrial/seatrial/llb"
	"github.com/seatrial/seatrial/testsuite/helper/protocol"
)

// Failure is the title of the first test that has failed, and the error of the command
// that did, for llb.Trial.OpenFailed. It is "" and nil if no test has failed.
func (s *Suite) Failure(t *llb.Trial) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.done && r.err != nil && isTestFailure(t, r.err) {
			return r.title(), r.err
		}
	}
	return "", nil
}

// Command is what a step of a test runs, without the helper that starts it.
func Command(args []string) []string {
	const helperArgs = 3 // itself, its mode, its options
	if len(args) > helperArgs && args[0] == protocol.Init {
		return args[helperArgs:]
	}
	return args
}
