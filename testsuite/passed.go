package testsuite

// Passed are the tests that were tried, as what they are once Try has returned nil,
// without what only the builder's record tells of them.
func (s *Suite) Passed() *Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	rep := &Report{Untested: s.skipped}
	for _, r := range s.runs {
		c := Case{Name: r.name, Platform: r.platform, Status: Passed}
		if r.trace != nil {
			c.Results = r.trace.report
		}
		rep.Cases = append(rep.Cases, c)
	}
	return rep
}
